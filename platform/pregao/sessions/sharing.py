"""One feed for all sessions of a process that follow the same market: asked once, read by each at its own pace.

What is heard is kept for a while in a log. A session that comes later, or that was away, reads from where it stands,
if the log reaches back so far; else it follows the market by itself until it does. A session that reads slowly holds
up nobody: what it has missed it reads in the log, too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import replace

from pregao.core.errors import PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.feeds import Acted, Closed, Ended, Event, Gap, Held, Recovered, Revised, Stale, Traded
from pregao.sessions.following import Asked, Following
from pregao.sessions.records import canonical
from pregao.sessions.spec import Live

KEPT = 2_000
"""Events that a log keeps: more than a day of one-minute bars."""
SLACK_BARS = 20
"""A log begins so many bars before the first session's place: others of a process that was killed stand near it."""
OWN = 4
"""Sessions that may follow a market by themselves at once; a venue has limits."""
ASKED_S = 10.0
_STEP_S = 0.25

Open = Callable[[int, bool], Following]


class SharedFeed:
    """A market and what was heard of it lately.

    Args:
        open_feed: follows the market from the bar after a time (ns) on.
        after_ns: the place of the first session.
        length_ns: of a bar.
    """

    def __init__(self, open_feed: Open, after_ns: int, length_ns: int) -> None:
        self.open_feed = open_feed
        self.length_ns = length_ns
        self.readers = 0
        self.own = threading.BoundedSemaphore(OWN)
        self._from_ns = after_ns - SLACK_BARS * length_ns
        self._log: deque[Event] = deque()
        self._dropped = 0
        self._stale: Stale | None = None
        self._held: Held | None = None
        self._ended: Ended | None = None
        self._failed: Exception | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._following = open_feed(self._from_ns, False)
        self._thread = threading.Thread(target=self._hear, name="shared feed", daemon=True)
        self._thread.start()

    @property
    def now_ns(self) -> int:
        """The venue's time, as far as it is known."""
        return self._following.now_ns

    @property
    def last_price(self) -> tuple[int, int] | None:
        """See `following.Following.last_price`."""
        return self._following.last_price

    @property
    def heard(self) -> bool:
        """Whether the market is heard, and nothing that has closed is missing."""
        return self._stale is None and self._following.heard

    @property
    def usable(self) -> bool:
        """Whether it still brings something."""
        return self._failed is None and self._ended is None

    def join(self, after_ns: int) -> tuple[int, list[Event]] | None:
        """A place in the log for who knows the bars up to one, and what was heard since it; None if the log does not
        reach back so far."""
        with self._changed:
            if after_ns < self._from_ns:
                return None
            since = [self._since(event, after_ns) for event in self._log if isinstance(event, Closed | Acted | Gap)]
            heard: list[Event | None] = [*since, self._held, self._stale, self._ended]
            return self._dropped + len(self._log), [event for event in heard if event is not None]

    def read(self, place: int, timeout_s: float) -> Event | None:
        """The event at a place of the log; None if there is none within ``timeout_s`` seconds.

        Raises:
            LookupError: if it is not kept any more.
            PregaoError: if the feed failed, once everything before has been read.
        """
        with self._changed:
            if place >= self._dropped + len(self._log):
                if self._failed is not None:
                    raise PregaoError(f"The feed failed: {self._failed!r}.") from self._failed
                self._changed.wait(timeout_s)
            if place < self._dropped:
                raise LookupError(place)
            at = place - self._dropped
            return self._log[at] if at < len(self._log) else None

    def close(self) -> None:
        """Let go of the venue."""
        self._closing.set()
        self._following.close()
        self._thread.join(10.0)

    def _since(self, event: Closed | Acted | Gap, after_ns: int) -> Closed | Acted | Gap | None:
        """What of an event comes after a bar."""
        if isinstance(event, Acted):
            return event if event.action.ts_ns > after_ns else None
        if isinstance(event, Closed):
            return event if event.bar.open_ns > after_ns else None
        known_ns = after_ns + self.length_ns
        if event.end_ns <= known_ns:
            return None
        if event.start_ns >= known_ns:
            return event
        return event._replace(start_ns=known_ns, missing=(event.end_ns - known_ns) // self.length_ns)

    def _hear(self) -> None:
        while not self._closing.is_set():
            try:
                event = self._following.next_event(_STEP_S)
            except Exception as error:  # each session's runner gets it
                with self._changed:
                    self._failed = error
                    self._changed.notify_all()
                return
            if event is not None and not isinstance(event, Traded):
                with self._changed:
                    self._keep(event)
                    self._changed.notify_all()

    def _keep(self, event: Event) -> None:
        match event:
            case Stale():
                self._stale = event
            case Recovered():
                self._stale = None
            case Held():
                self._held = event
            case Ended():
                self._ended = event
            case Closed() | Gap():
                self._held = None
            case Revised():
                for at, kept in enumerate(self._log):
                    if isinstance(kept, Closed) and kept.bar.open_ns == event.bar.open_ns:
                        self._log[at] = replace(kept, bar=event.bar)  # who comes later trades on the venue's word
        self._log.append(event)
        while len(self._log) > KEPT:
            gone = self._log.popleft()
            self._dropped += 1
            if isinstance(gone, Closed):
                self._from_ns = gone.bar.open_ns
            elif isinstance(gone, Gap):
                self._from_ns = gone.end_ns - self.length_ns


class Reader:
    """A session's place at a shared feed; it has the methods of `following.Following`.

    Args:
        shared: the feed.
        after_ns: open time of the last bar that the session knows.
        unheard: the session has been told that the market is not heard.
        left: called once it has gone.
    """

    def __init__(self, shared: SharedFeed, after_ns: int, unheard: bool, left: Callable[[], None]) -> None:
        self._shared = shared
        self._last_ns = after_ns
        self._unheard = unheard
        self._left = left
        self._began = time.monotonic()
        self._own: Following | None = None
        self._waiting: deque[Event] = deque()
        self._place = -1
        self._closed = False
        self._join()

    @property
    def now_ns(self) -> int:
        """See `following.Following.now_ns`."""
        return self._own.now_ns if self._own is not None else self._shared.now_ns

    @property
    def last_price(self) -> tuple[int, int] | None:
        """See `following.Following.last_price`."""
        return self._own.last_price if self._own is not None else self._shared.last_price

    def next_event(self, timeout_s: float) -> Event | None:
        """See `following.Following.next_event`."""
        if self._own is None and self._place < 0 and not self._alone():
            time.sleep(timeout_s)
            return None
        event = self._own.next_event(timeout_s) if self._own is not None else self._heard(timeout_s)
        if isinstance(event, Closed):
            self._last_ns = event.bar.open_ns
        elif isinstance(event, Gap):
            self._last_ns = event.end_ns - self._shared.length_ns
        elif isinstance(event, Recovered | Stale):
            self._unheard = isinstance(event, Stale)
        if self._own is not None and isinstance(event, Closed | Gap):
            self._join()
        return event

    def close(self) -> None:
        """Let go of the market; may be called twice."""
        self._end_own()
        if not self._closed:
            self._closed = True
            self._left()

    def _heard(self, timeout_s: float) -> Event | None:
        if self._waiting:
            return self._waiting.popleft()
        try:
            event = self._shared.read(self._place, timeout_s)
        except LookupError:
            self._join()
            return None
        if event is None:
            if self._unheard and self._shared.heard:
                return Recovered(time.monotonic() - self._began)
            return None
        self._place += 1
        known = isinstance(event, Closed) and event.bar.open_ns <= self._last_ns
        not_its_own = isinstance(event, Revised) and event.bar.open_ns > self._last_ns
        return None if known or not_its_own else event

    def _join(self) -> None:
        found = self._shared.join(self._last_ns)
        if found is None:
            self._place = -1
            return
        self._place, events = found
        self._waiting.extend(events)
        self._end_own()

    def _alone(self) -> bool:
        """Follow the market without the others, as far as the log does not reach back; false while too many do."""
        if self._shared.own.acquire(blocking=False):
            self._own = self._shared.open_feed(self._last_ns, self._unheard)
        return self._own is not None

    def _end_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.close()
            self._shared.own.release()


class SharedFeeds:
    """The feeds of a process, one a market and timeframe, open as long as a session reads them."""

    def __init__(self) -> None:
        self._feeds: dict[Hashable, SharedFeed] = {}
        self._asked: dict[Hashable, tuple[float, Asked]] = {}
        self._changed = threading.Lock()

    def follow(self, feed: Live, instrument: Instrument, timeframe: Timeframe, after_ns: int, unheard: bool) -> Reader:
        """A session's place; arguments as of `following.Following`."""
        key = (canonical(feed.model_dump(mode="json")), canonical(instrument.to_json()), timeframe.name)

        def open_feed(since_ns: int, unheard: bool) -> Following:
            return Following(feed, instrument, timeframe, since_ns, unheard)

        with self._changed:
            shared = self._feeds.get(key)
            if shared is None or not shared.usable:
                shared = self._feeds[key] = SharedFeed(open_feed, after_ns, timeframe.ns)
            shared.readers += 1
        return Reader(shared, after_ns, unheard, lambda: self._leave(key, shared))

    def history(self, feed: Live, timeframe: Timeframe, count: int) -> Asked:
        """The last bars of a market; who asks the same within `ASKED_S` gets the same, unless it could not be had."""
        key = (canonical(feed.model_dump(mode="json")), timeframe.name, count)
        with self._changed:
            at, asked = self._asked.get(key, (0.0, None))
            if asked is None or asked.error is not None or time.monotonic() - at > ASKED_S:
                asked = Asked(feed, timeframe, count)
                self._asked[key] = time.monotonic(), asked
            return asked

    def __len__(self) -> int:
        return len(self._feeds)

    def _leave(self, key: Hashable, shared: SharedFeed) -> None:
        with self._changed:
            shared.readers -= 1
            if shared.readers:
                return
            if self._feeds.get(key) is shared:
                del self._feeds[key]
        with suppress(Exception):  # nobody reads it any more
            shared.close()
