"""Several live markets as one: the bars that close together come together, since one account meets them at once.

An account has one clock: what it has gone on without, it cannot go back to. So a bar waits for those of the other
markets that close with it, as long as it is still worth trading on; not long for one that is not heard, and not at all
for one that says that it has none, is closed or has ended. A bar that comes after that has been passed over, which is
told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pregao.core.bars import Bar
from pregao.market.feeds import Closed, Ended, Event, Gap, Recovered, Stale
from pregao.sessions.following import Passed, is_late, late_ns
from pregao.sessions.places import Followed

IsClosed = Callable[[int, int], bool]
GRACE_S = 2.0
"""Another market is waited for at least so long, also one that is not heard."""
CATCH_UP_S = 10.0
"""While bars are caught up on that closed long ago, another market is waited for so long, once."""


@dataclass(frozen=True)
class Moment:
    """Bars that closed together.

    Attributes:
        bars: by the markets' places, ascending.
        late: they came too late to be traded on, see `following.LATE_NS`.
    """

    bars: dict[int, Bar]
    late: bool


class _Market:
    """What has come of one of them and was not given yet, and whether it is worth waiting for."""

    def __init__(self, feed: Followed, closed: IsClosed) -> None:
        self.feed = feed
        self._closed = closed
        self.bar: Bar | None = None
        self.until_ns = 0
        """It has no bar that opens before."""
        self.silent = False
        """It is not heard, or was waited for in vain, and nothing has come since."""
        self.ended = False

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event that is no bar; a bar is kept until the others have theirs."""
        if self.bar is not None or self.ended:
            return None
        event = self.feed.next_event(timeout_s)
        match event:
            case Closed():
                self.bar, self.silent = event.bar, False
                return None
            case Gap():
                self.until_ns = event.end_ns
            case Stale():
                self.silent = True
            case Recovered():
                self.silent = False
            case Ended():
                self.ended = True
        return event

    def awaited(self, like: Bar) -> bool:
        """Whether a bar that opens when another one did may still come."""
        if self.bar is not None or self.ended or self.until_ns > like.open_ns:
            return False
        return not self._closed(like.open_ns, like.close_ns)


class Together:
    """The markets of one account.

    Args:
        markets: each from the bar after the last that was lived through on.
        closed: of each whether its exchange is closed in all of a span (ns).
    """

    def __init__(self, markets: Sequence[Followed], closed: Sequence[IsClosed]) -> None:
        self.markets = tuple(markets)
        self._each = [_Market(*each) for each in zip(markets, closed, strict=True)]
        self._since = 0.0
        """When the first bar of the next moment came (monotonic s); 0 before."""

    def next(self, timeout_s: float, last: Bar | None) -> Moment | tuple[int, Event | Passed] | None:
        """The next moment, or an event of one of the markets; None if there is none within ``timeout_s`` seconds.

        Args:
            last: a bar of the last moment that was lived through.
        """
        for number, event in self._heard(timeout_s):
            return number, event
        if last is not None:
            for number, market in enumerate(self._each):
                if market.bar is not None and market.bar.open_ns <= last.open_ns:
                    passed, market.bar = Passed(market.bar), None
                    return number, passed
        return self._moment()

    def _heard(self, timeout_s: float) -> Iterator[tuple[int, Event]]:
        """What has come; if nothing has, it is waited for."""
        empty = [(number, market) for number, market in enumerate(self._each) if market.bar is None]
        for wait_s in (0.0, timeout_s / max(len(empty), 1)):
            for number, market in empty:
                if market.bar is None:
                    event = market.next_event(wait_s)
                    if event is not None:
                        yield number, event
            if self._ready():
                return

    def _ready(self) -> bool:
        first = self._first()
        return first is not None and not any(market.awaited(first) for market in self._each)

    def _first(self) -> Bar | None:
        """Of the bars that have come the one that opened first."""
        came = [market.bar for market in self._each if market.bar is not None]
        return min(came, key=lambda bar: bar.open_ns, default=None)

    def _moment(self) -> Moment | None:
        """The bars that opened first, once all that may have one have come, or are not waited for any longer."""
        first = self._first()
        if first is None:
            return None
        now = time.monotonic()
        self._since = self._since or now
        market_ns = max(market.feed.now_ns for market in self._each)
        late = is_late(first, market_ns)
        waited = [market for market in self._each if market.awaited(first)]
        if waited and self._patient(first, market_ns, now - self._since, all(market.silent for market in waited)):
            return None
        for market in waited:
            market.silent = True
        self._since = 0.0
        bars = {}
        for number, market in enumerate(self._each):
            if market.bar is not None and market.bar.open_ns == first.open_ns:
                bars[number], market.bar = market.bar, None
        return Moment(bars, late)

    @staticmethod
    def _patient(first: Bar, market_ns: int, waited_s: float, silent: bool) -> bool:
        """Whether bars that have come wait for the others.

        Args:
            market_ns: the market's time.
            waited_s: so long they have waited already.
            silent: the others are not heard, or were waited for in vain before.
        """
        if is_late(first, market_ns):
            return waited_s < CATCH_UP_S and not silent
        return waited_s < GRACE_S or (2 * (market_ns - first.close_ns) < late_ns(first) and not silent)

    def close(self) -> None:
        """Let go of the markets."""
        for feed in self.markets:
            feed.close()
