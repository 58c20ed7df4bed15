"""Following a live market for a session: the venue may be away when the session starts, goes on, or in between."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pregao.core.bars import Bar, Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.feeds import Closed, Ended, Event, Forming, Gap, Held, LiveFeed, Recovered, Revised, Skewed, Stale
from pregao.market.sift import sift
from pregao.market.sources import LiveSource, Request, read_options, source
from pregao.market.store import Store
from pregao.sessions.records import Body
from pregao.sessions.spec import Live

LATE_NS = 60_000_000_000
"""A bar that comes so long after its close, or half its own length if that is less, is caught up on and not traded on:
what is decided at a close fills at the next open, and that open lies too far back by then."""
LEAST = 10
"""Bars that are asked for even if a strategy needs none: the last price must be known."""
_CLOSED_NS = 7 * 86_400_000_000_000
"""No exchange that closes is closed for longer than this, or its last bars are too old to begin with."""
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


@dataclass(frozen=True)
class Passed:
    """A bar that came after the account had gone on without it, see `gathering`."""

    bar: Bar


def live_source(name: str) -> LiveSource:
    """The source of a name, if its markets can be followed.

    Raises:
        NotFoundError: if there is no such source.
        UsageError: if it has only history.
    """
    found = source(name)
    if not isinstance(found, LiveSource):
        raise UsageError(
            f"The source {name} brings history only.", "Follow a market of ccxt or yfinance, or replay stored bars."
        )
    return found


def history(feed: Live, timeframe: Timeframe, count: int) -> Bars:
    """The last closed bars of a live market, with its trading rules, straight from the venue.

    Args:
        count: how many are wanted; fewer come of a market that is younger.

    Raises:
        NotFoundError: if the venue does not know the market, or it has no bars of late.
        UsageError: for what the source does not offer, or a wrong option.
        PregaoError: if the venue cannot be reached or answers nonsense.
    """
    found = live_source(feed.source)
    count = max(count, LEAST)
    span = (count + 2) * timeframe.ns
    reach = _CLOSED_NS + 4 * span if found.closes else span
    request = Request(
        (feed.symbol,),
        timeframe,
        time.time_ns() - reach,
        None,
        read_options(found.Options, feed.options),
        known={instrument.key: instrument for instrument in Store().instruments()},
    )
    for series in found.fetch(request):
        rows = sift(series.frame, series.instrument, timeframe, series.origin).frame
        bars = Bars.from_frame(rows, series.instrument, timeframe)
        if len(bars):
            return bars[max(len(bars) - count, 0) :]
    raise NotFoundError(
        f"{feed.source} has no {timeframe} bars of {feed.symbol} of late, so it cannot be followed.",
        "It may be suspended; choose another market or timeframe, or replay stored bars.",
    )


class Asked:
    """`history`, asked in a thread of its own: a venue that is away is asked for up to a minute.

    Attributes:
        error: why it could not be had; None while it is asked, and once it is there.
    """

    def __init__(self, feed: Live, timeframe: Timeframe, count: int) -> None:
        self.error: Exception | None = None
        self._bars: Bars | None = None
        self._thread = threading.Thread(target=self._ask, args=(feed, timeframe, count), daemon=True)
        self._thread.start()

    def get(self, timeout_s: float) -> Bars | None:
        """The bars; None if they are not there within ``timeout_s`` seconds."""
        self._thread.join(timeout_s)
        return self._bars

    def _ask(self, feed: Live, timeframe: Timeframe, count: int) -> None:
        try:
            self._bars = history(feed, timeframe, count)
        except Exception as error:  # the session's runner decides what to do about it
            self.error = error


def late_ns(bar: Bar) -> int:
    """So long after its close a bar comes too late to be traded on, see `LATE_NS`."""
    return min(LATE_NS, (bar.close_ns - bar.open_ns) // 2)


def is_late(bar: Bar, now_ns: int) -> bool:
    """Whether a bar comes too late to be traded on."""
    return now_ns - bar.close_ns > late_ns(bar)


def told(event: Event | Passed) -> Body | None:
    """What a session journals of an event of its feed; None for what it does not."""
    match event:
        case Stale():
            return {"state": "stale", "reason": event.reason}
        case Recovered():
            return {"state": "recovered", "ms": round(event.after_s * 1_000)}
        case Held():
            return {"state": "held", "t": event.open_ns, "reason": event.reason}
        case Gap():
            return {"state": "gap", "from": event.start_ns, "to": event.end_ns, "bars": event.missing}
        case Revised():
            return {"state": "revised", "t": event.bar.open_ns, "is": _row(event.bar), "was": _row(event.was)}
        case Skewed():
            return {"state": "skewed", "ms": round(event.seconds * 1_000)}
        case Ended():
            return {"state": "ended", "reason": event.reason}
        case Passed():
            return {"state": "passed", "t": event.bar.open_ns, "to": event.bar.close_ns, "bar": _row(event.bar)}
    return None


def _row(bar: Bar) -> list[Any]:
    return [bar.open, bar.high, bar.low, bar.close, repr(bar.volume)]


class Following:
    """A live feed that is opened in the background, and opened again and again while the venue cannot be reached.

    Args:
        feed: what is followed.
        after_ns: open time of the last bar known; those since come first.
        unheard: the session has been told that the market is not heard.
    """

    def __init__(
        self, feed: Live, instrument: Instrument, timeframe: Timeframe, after_ns: int, unheard: bool = False
    ) -> None:
        self._source = live_source(feed.source)
        self._options = read_options(self._source.Options, feed.options)
        changes: Mapping[str, Any] = {"stale_s": feed.stale_s, "poll_s": feed.poll_s}
        self._watch = replace(self._source.watch, **{k: v for k, v in changes.items() if v is not None})
        self._market = instrument, timeframe
        self._after_ns = self._last_ns = after_ns
        self._unheard = unheard
        self._heard: tuple[int, int] | None = None
        self._began = time.monotonic()
        self._feed: LiveFeed | None = None
        self._own: deque[Event] = deque()
        self._failed: Exception | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._opener = threading.Thread(target=self._open, name=f"opens {feed.symbol}", daemon=True)
        self._opener.start()

    @property
    def now_ns(self) -> int:
        """The venue's time; this machine's while the venue has not been reached."""
        return self._feed.now_ns if self._feed is not None else time.time_ns()

    @property
    def heard(self) -> bool:
        """Whether the venue has been reached and every bar that has closed has been read."""
        return self._feed is not None and self._caught_up(self._feed)

    @property
    def last_price(self) -> tuple[int, int] | None:
        """The last price that was heard, in ticks, and when by the venue's clock; None before the first."""
        return self._heard

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event but forming bars and trades; None if there is none within ``timeout_s`` seconds.

        Raises:
            PregaoError: if the feed itself failed.
        """
        with self._changed:
            if not self._own and self._feed is None and self._failed is None:
                self._changed.wait(timeout_s)
            if self._own:
                return self._own.popleft()
            if self._failed is not None:
                raise PregaoError(f"The feed failed: {self._failed!r}.") from self._failed
            feed = self._feed
        if feed is None:
            return None
        event = self._from(feed, timeout_s)
        if self._unheard and self._caught_up(feed):
            self._unheard = False
            self._own.append(Recovered(time.monotonic() - self._began))
        return event

    def close(self) -> None:
        """Let go of the venue; may be called twice."""
        self._closing.set()
        self._opener.join(10.0)
        if self._feed is not None:
            self._feed.close()

    def _from(self, feed: LiveFeed, timeout_s: float) -> Event | None:
        event = feed.next_event(timeout_s)
        if isinstance(event, Closed | Forming):
            self._heard = event.bar.close, max(feed.now_ns, event.bar.open_ns)
        if isinstance(event, Closed):
            self._last_ns = event.bar.open_ns
        elif isinstance(event, Gap):
            self._last_ns = event.end_ns - self._market[1].ns
        elif isinstance(event, Recovered):
            self._unheard = False
        return None if isinstance(event, Forming) else event

    def _caught_up(self, feed: LiveFeed) -> bool:
        """Whether every bar that has closed has been read: nothing but the forming one is to come."""
        length = self._market[1].ns
        return feed.now_ns - (self._last_ns + length) < length

    def _open(self) -> None:
        tried = 0
        while not self._closing.is_set():
            try:
                feed = self._source.live(*self._market, self._options, self._after_ns, self._watch)
            except (NotFoundError, UsageError) as error:
                self._say(Ended(str(error)))
                return
            except PregaoError as error:
                if not self._unheard:
                    self._unheard, self._began = True, time.monotonic()
                    self._say(Stale(0.0, f"The venue cannot be reached: {error.message}"))
                self._closing.wait(_PAUSES_S[min(tried, len(_PAUSES_S) - 1)])
                tried += 1
            except Exception as error:  # whatever it is, the session's runner gets it
                with self._changed:
                    self._failed = error
                    self._changed.notify_all()
                return
            else:
                with self._changed:
                    self._feed = feed
                    self._changed.notify_all()
                return

    def _say(self, event: Event) -> None:
        with self._changed:
            self._own.append(event)
            self._changed.notify_all()
