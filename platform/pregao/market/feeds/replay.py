"""The replay: stored bars played back at a chosen pace, with pause and seek."""

from __future__ import annotations

import threading
import time

import numpy as np

from pregao.core.bars import Bar, Bars
from pregao.core.errors import UsageError
from pregao.market.calendars import Gap, gaps
from pregao.market.feeds.events import Closed, Ended, Event, Held
from pregao.market.feeds.sequence import REFERENCES, far


class ReplayFeed:
    """Plays stored bars back, in order, each exactly once.

    A bar is due ``1 / speed`` seconds after the one before it was due. A consumer that comes late gets its bar at
    once and the pace goes on from there: bars are delayed, never skipped, and never arrive in a burst.

    The methods `pause`, `resume`, `seek` and the speed may be used from another thread than the reader's.

    Args:
        bars: what to play.
        speed: bars a second; 0 plays as fast as they are asked for.
        start_index: the first bar to play, for a session that resumes.

    Raises:
        UsageError: if the speed is negative or the index outside ``0..len(bars)``.
    """

    def __init__(self, bars: Bars, speed: float, start_index: int = 0) -> None:
        if not 0 <= start_index <= len(bars):
            raise UsageError(f"Bar {start_index} is outside the {len(bars)} bars of the replay.")
        self.bars = bars
        self.index = start_index
        self._changed = threading.Condition()
        self._interval = _interval(speed)
        self._due = time.monotonic() + self._interval
        self._left_s: float | None = None
        """Seconds to the next bar, while paused."""
        self._gaps: dict[int, Gap] | None = None
        self._told = -1
        self._held: Bar | None = None
        """Told as `Held`, and not given yet."""
        self._ended = False

    @property
    def finished(self) -> bool:
        """Whether every bar has been delivered."""
        return self.index >= len(self.bars)

    @property
    def paused(self) -> bool:
        """Whether no bar comes until `resume`."""
        return self._left_s is not None

    @property
    def speed(self) -> float:
        """Bars a second; 0 is as fast as they are asked for. Setting it counts from now."""
        return 1.0 / self._interval if self._interval else 0.0

    @speed.setter
    def speed(self, speed: float) -> None:
        with self._changed:
            self._interval = _interval(speed)
            self._restart()

    def pause(self) -> None:
        """Stop the clock: no bar comes, at any speed, until `resume`."""
        with self._changed:
            if self._left_s is None:
                self._left_s = max(0.0, self._due - time.monotonic())
                self._changed.notify_all()

    def resume(self) -> None:
        """Go on where `pause` stopped, with what was left of the wait for the next bar."""
        with self._changed:
            if self._left_s is not None:
                self._due = time.monotonic() + self._left_s
                self._left_s = None
                self._changed.notify_all()

    def seek(self, time_ns: int) -> None:
        """Go on, forwards or back, with the first bar that opens at or after a time (ns since 1970 UTC)."""
        with self._changed:
            self.index = int(np.searchsorted(self.bars.open_ns, time_ns))
            self._told = -1
            self._held = None
            self._ended = False
            self._restart()

    def next(self, timeout_s: float) -> Bar | None:
        """The next bar once it is due; None if it is not due within ``timeout_s`` seconds, or at the end."""
        until = time.monotonic() + max(0.0, timeout_s)
        with self._changed:
            while not self.finished:
                now = time.monotonic()
                wait = self._due - now if self._left_s is None else float("inf")
                if wait <= 0:
                    self._due = max(self._due, now - self._interval) + self._interval
                    bar = self.bars.bar(self.index)
                    self.index += 1
                    return bar
                if now >= until:
                    return None
                self._changed.wait(min(wait, until - now))
            return None

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event: `Closed`, the `Gap` before a bar whose predecessors are missing, and `Ended` once.

        Before a bar whose price is hard to believe comes `Held`, as a live feed says it.
        """
        if self._held is not None:
            held, self._held = self._held, None
            return Closed(held, "replay")
        index = self.index
        if self.finished:
            if self._ended:
                return None
            self._ended = True
            return Ended("Every stored bar was played.")
        gap = self._gap_before(index)
        if gap is not None and self._told != index:
            self._told = index
            return gap
        bar = self.next(timeout_s)
        if bar is None:
            return None
        at = self.index - 1
        reason = far(bar, self.bars.close[max(0, at - REFERENCES) : at].tolist())
        if reason:
            self._held = bar
            return Held(bar.open_ns, reason)
        return Closed(bar, "replay")

    def close(self) -> None:
        """Nothing to let go of."""

    def _restart(self) -> None:
        """The next bar is a whole interval away."""
        if self._left_s is None:
            self._due = time.monotonic() + self._interval
        else:
            self._left_s = self._interval
        self._changed.notify_all()

    def _gap_before(self, index: int) -> Gap | None:
        if self._gaps is None:
            found = gaps(self.bars.open_ns, self.bars.instrument.calendar, self.bars.timeframe)
            after = np.searchsorted(self.bars.open_ns, [gap.end_ns for gap in found])
            self._gaps = dict(zip(after.tolist(), found, strict=True))
        return self._gaps.get(index)


def _interval(speed: float) -> float:
    """Seconds between bars."""
    if not 0 <= speed < float("inf"):
        raise UsageError(f"A replay cannot run at {speed} bars a second.", "Give 0 or more.")
    return 1.0 / speed if speed else 0.0
