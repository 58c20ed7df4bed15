"""What a model's features look at besides: at each bar of a session, the last closed bar of each other instrument.

Only the last one that had closed by then counts (`pregao.features.beside`), so a bar of the session carries at most one
of each, and its journal keeps it with its own: recovery, and a shadow, see the same again. One that has not come is
missing, and never waited for longer than `GRACE_S`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pregao.core.bars import Bar, Bars
from pregao.market.feeds import Closed
from pregao.sessions.places import Followed, Place
from pregao.sessions.records import Body
from pregao.sessions.spec import Live

GRACE_S = 2.0
"""A bar of another instrument that closes with one's own may come so much later."""
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

    def close(self) -> None:
        """There is nothing to let go of."""


class Heard:
    """Other instruments of the same venue, followed live.

    Args:
        bars: of each, as the store keeps it: whose rules it has, and what it is called.
        after_ns: open time of the session's last bar.
    """

    def __init__(self, place: Place, feed: Live, bars: Mapping[str, Bars], after_ns: int) -> None:
        self._length = next(iter(bars.values())).timeframe.ns
        self._feeds: dict[str, Followed] = {
            name: place.follow(
                feed.model_copy(update={"symbol": other.instrument.symbol}), other.instrument, other.timeframe,
                after_ns, False,
            )
            for name, other in bars.items()
        }  # fmt: skip
        self._came: dict[str, list[Bar]] = {name: [] for name in bars}

    def at(self, after_ns: int | None, close_ns: int) -> dict[str, Bar]:
        """As `Stored.at`, of what has come; what closes just then is waited for."""
        until = time.monotonic() + GRACE_S
        found = {}
        for name, feed in self._feeds.items():
            came = self._came[name]
            while not came or came[-1].close_ns < close_ns:
                event = feed.next_event(max(until - time.monotonic(), 0.0))
                if isinstance(event, Closed):
                    came.append(event.bar)
                elif event is None and time.monotonic() >= until:
                    break
            known = [bar for bar in came if bar.close_ns <= close_ns]
            self._came[name] = came[len(known) :]
            if known and (after_ns is None or known[-1].close_ns > after_ns):
                found[name] = known[-1]
        return found

    def close(self) -> None:
        """Let go of the venue."""
        for feed in self._feeds.values():
            feed.close()


def row_of(others: Others) -> Body:
    """Other instruments' bars as a journal keeps them."""
    return {name: [*bar[:-1], repr(bar.volume)] for name, bar in others.items()}


def of_row(body: Mapping[str, Any]) -> dict[str, Bar]:
    """The bars that `row_of` wrote down."""
    return {name: Bar._make([*values[:-1], float(values[-1])]) for name, values in body.items()}
