"""Ctrl-C, SIGTERM and a closed terminal: the first asks to end, later ones hurry."""

from __future__ import annotations

import signal
from threading import Event
from types import FrameType, TracebackType
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupts:
    """While entered (in the main thread), the first of these signals raises `KeyboardInterrupt`; each further one,
    or any after `stopping`, sets ``hurry`` and raises nothing, so that the clean end is never itself cut short."""

    def __init__(self) -> None:
        self.hurry = Event()
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stopping(self) -> None:
        """From now on no signal raises."""
        self._asked = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self.hurry.set()
            return
        self._asked = True
        raise KeyboardInterrupt
