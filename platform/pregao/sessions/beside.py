"""What a model's features look at besides: at each bar of a session, the last closed bar of each other instrument.

Only the last one that had closed by then counts (`pregao.features.beside`), so a bar of the session carries at most one
of each, and its journal keeps it with its own: recovery, and a shadow, see the same again. One that does not come is
missing, and never waited for longer than `GRACE_S`; one that comes late is there from the next bar on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pregao.core.bars import Bar, Bars
from pregao.market.feeds import Closed, Ended
from pregao.sessions.places import Followed, Place
from pregao.sessions.records import Body
from pregao.sessions.spec import Live

GRACE_S = 2.0
"""A bar of another instrument that closes with one's own may come so much later."""
CATCH_UP_S = 10.0
"""While a session catches up on bars that closed long ago, another instrument is waited for so long, once."""
Others = Mapping[str, Bar]


class Stored:
    """Bars of other instruments that a store keeps, by what they are to the model."""

    def __init__(self, bars: Mapping[str, Bars]) -> None:
        self._bars = bars

    def at(self, after_ns: int | None, close_ns: int) -> dict[str, Bar]:
        """The last bar of each that closed by ``close_ns``; only those that closed after ``after_ns``, unless None."""
        found = {}
        for name, bars in self._bars.items():
            row = int(np.searchsorted(bars.close_ns, close_ns, side="right")) - 1
            if row >= 0 and (after_ns is None or int(bars.close_ns[row]) > after_ns):
                found[name] = bars.bar(row)
        return found

    def along(self, bars: Sequence[Bar]) -> list[Others]:
        """`at` of each of these bars, the first with whatever closed before it."""
        closes: list[int | None] = [None, *(bar.close_ns for bar in bars)]
        return [self.at(closes[i], bar.close_ns) for i, bar in enumerate(bars)]


class Heard:
    """Other instruments of the same venue, followed live.

    Args:
        bars: of each, as the store keeps it: whose rules it has, and what it is called.
        after_ns: open time of the session's last bar.
    """

    def __init__(self, place: Place, feed: Live, bars: Mapping[str, Bars], after_ns: int) -> None:
        self._others: dict[str, _Other] = {}
        for name, other in bars.items():
            followed = place.follow(beside_of(feed, other), other.instrument, other.timeframe, after_ns, False)
            self._others[name] = _Other(followed)

    def at(self, close_ns: int, late: bool) -> dict[str, Bar]:
        """The last bar of each that closed by ``close_ns``, if it has not been given yet; what closes just then is
        waited for.

        Args:
            late: the session's own bar closed long ago.
        """
        until = time.monotonic() + (CATCH_UP_S if late else GRACE_S)
        for other in self._others.values():
            other.await_close(close_ns, until, late)
        found = {name: other.last(close_ns) for name, other in self._others.items()}
        return {name: bar for name, bar in found.items() if bar is not None}

    def close(self) -> None:
        """Let go of the venue."""
        for other in self._others.values():
            other.feed.close()


class _Other:
    """One of them: what has come of it and was not given yet, and whether it is worth waiting for."""

    def __init__(self, feed: Followed) -> None:
        self.feed = feed
        self._came: deque[Bar] = deque()
        self._silent = False
        """It was waited for in vain, and nothing has come since."""
        self._ended = False

    def await_close(self, close_ns: int, until: float, late: bool) -> None:
        """Read until a bar that closes then, or a later one, has come, or the time is over (monotonic s)."""
        if late and self._silent:
            until = 0.0  # many bars are caught up on: not each of them waits again
        while not self._ended and not (self._came and self._came[-1].close_ns >= close_ns):
            event = self.feed.next_event(max(until - time.monotonic(), 0.0))
            if isinstance(event, Closed):
                self._came.append(event.bar)
                self._silent = False
            elif isinstance(event, Ended):
                self._ended = True
            elif event is None and time.monotonic() >= until:
                self._silent = True
                break

    def last(self, close_ns: int) -> Bar | None:
        """The last bar that closed by then; those before it are not needed any more."""
        found = None
        while self._came and self._came[0].close_ns <= close_ns:
            found = self._came.popleft()
        return found


def beside_of(feed: Live, bars: Bars) -> Live:
    """The market of another instrument at a session's venue."""
    return feed.model_copy(update={"symbol": bars.instrument.symbol, "also": ()})


def row_of(others: Others) -> Body:
    """Other instruments' bars as a journal keeps them."""
    return {name: [*bar[:-1], repr(bar.volume)] for name, bar in others.items()}


def of_row(body: Mapping[str, Any]) -> dict[str, Bar]:
    """The bars that `row_of` wrote down."""
    return {name: Bar._make([*values[:-1], float(values[-1])]) for name, values in body.items()}
