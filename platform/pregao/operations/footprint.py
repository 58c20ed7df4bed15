"""How much memory this process and all that it started take together, at most."""

from __future__ import annotations

from threading import Event, Thread
from types import TracebackType

import psutil

from pregao.operations.processes import family_of

SAMPLE_SECONDS = 1.0


class Footprint:
    """Samples while entered. ``peak`` is in bytes: each process's proportional share (shared libraries counted once)
    where the system tells it, else its resident memory."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = Event()
        self._thread = Thread(target=self._sample, name="footprint", daemon=True)

    def __enter__(self) -> Footprint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(share, family_of(me))))


def share(process: psutil.Process) -> int:
    """Memory of one process in bytes; 0 if it has ended."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
