"""Feeds: what brings a session its bars, one by one. A replay plays stored bars back at a chosen pace."""

from __future__ import annotations

import time

from pregao.core.bars import Bar, Bars
from pregao.core.errors import UsageError


class ReplayFeed:
    """Plays stored bars back, in order, each exactly once.

    A bar is due ``1 / speed`` seconds after the one before it was due. A consumer that comes late gets its bar at
    once and the pace goes on from there: bars are delayed, never skipped, and never arrive in a burst.

    Args:
        bars: what to play.
        speed: bars a second; 0 plays as fast as they are asked for.
        start_index: the first bar to play, for a session that resumes.

    Raises:
        UsageError: if the speed is negative or the index outside ``0..len(bars)``.
    """

    def __init__(self, bars: Bars, speed: float, start_index: int = 0) -> None:
        if not 0 <= speed < float("inf"):
            raise UsageError(f"A replay cannot run at {speed} bars a second.", "Give 0 or more.")
        if not 0 <= start_index <= len(bars):
            raise UsageError(f"Bar {start_index} is outside the {len(bars)} bars of the replay.")
        self.bars = bars
        self.index = start_index
        self._interval = 1.0 / speed if speed else 0.0
        self._due = time.monotonic() + self._interval

    @property
    def finished(self) -> bool:
        """Whether every bar has been delivered."""
        return self.index >= len(self.bars)

    def next(self, timeout_s: float) -> Bar | None:
        """The next bar once it is due; None if it is not due within ``timeout_s`` seconds, or at the end."""
        if self.finished:
            return None
        wait = self._due - time.monotonic()
        if wait > timeout_s:
            time.sleep(max(0.0, timeout_s))
            return None
        if wait > 0:
            time.sleep(wait)
        self._due = max(self._due, time.monotonic() - self._interval) + self._interval
        bar = self.bars.bar(self.index)
        self.index += 1
        return bar
