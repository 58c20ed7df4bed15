"""What can go wrong with the frames of a stream, one class each: a fault turns one frame into none, one or several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]


def is_close(frame: Frame) -> bool:
    """Whether the frame is the last of a candle."""
    return frame["e"] == "kline" and frame["k"]["x"]


class FrameFault:
    """All frames pass. A real fault overrides this."""

    def __call__(self, frame: Frame) -> list[Frame]:
        return [frame]


@dataclass
class DroppedFrames(FrameFault):
    """Frames that ``which`` says are lost."""

    which: Callable[[Frame], bool] = is_close

    def __call__(self, frame: Frame) -> list[Frame]:
        return [] if self.which(frame) else [frame]


@dataclass
class Repeated(FrameFault):
    """Every frame comes twice, and the last of a candle once more after the next frame."""

    _again: list[Frame] = field(default_factory=list)

    def __call__(self, frame: Frame) -> list[Frame]:
        sent = [frame, frame, *self._again]
        self._again = [frame] if is_close(frame) else []
        return sent


@dataclass
class Swapped(FrameFault):
    """Every n-th frame comes after the one that follows it."""

    nth: int = 3
    _count: int = 0
    _held: list[Frame] = field(default_factory=list)

    def __call__(self, frame: Frame) -> list[Frame]:
        self._count += 1
        if self._held:
            sent = [frame, *self._held]
            self._held = []
            return sent
        if self._count % self.nth == 0:
            self._held = [frame]
            return []
        return [frame]


@dataclass
class LateClose(FrameFault):
    """The last frame of a candle comes after so many frames of the next."""

    after: int = 3
    _held: list[tuple[int, Frame]] = field(default_factory=list)

    def __call__(self, frame: Frame) -> list[Frame]:
        self._held = [(left - 1, held) for left, held in self._held]
        due = [held for left, held in self._held if left <= 0]
        self._held = [(left, held) for left, held in self._held if left > 0]
        if is_close(frame):
            self._held.append((self.after, frame))
            return due
        return [frame, *due]


@dataclass
class Tampered(FrameFault):
    """Frames that ``which`` picks are changed, as often as ``times``."""

    change: Callable[[Frame], Frame]
    which: Callable[[Frame], bool] = is_close
    times: int = 1

    def __call__(self, frame: Frame) -> list[Frame]:
        if self.times and self.which(frame):
            self.times -= 1
            return [self.change({**frame, "k": dict(frame.get("k", {}))})]
        return [frame]
