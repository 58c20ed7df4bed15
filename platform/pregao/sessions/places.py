"""What a session gets from the process that it runs in: alone it has it to itself, at a host it shares it."""

from __future__ import annotations

from typing import Protocol

from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.feeds import Event
from pregao.sessions.following import Asked, Following
from pregao.sessions.spec import Live
from pregao.sessions.writer import Writer


class Followed(Protocol):
    """A live market as a session reads it, see `following.Following`."""

    @property
    def now_ns(self) -> int:
        """The venue's time."""
        ...

    @property
    def last_price(self) -> tuple[int, int] | None:
        """The last price that was heard, in ticks, and when by the venue's clock; None before the first."""
        ...

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within ``timeout_s`` seconds."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Place(Protocol):
    """A process that sessions run in.

    Attributes:
        poll_s: a session looks up this often from waiting for its feed.
    """

    poll_s: float

    def follow(
        self, feed: Live, instrument: Instrument, timeframe: Timeframe, after_ns: int, unheard: bool
    ) -> Followed:
        """A live market, from the bar after ``after_ns`` on; arguments as of `following.Following`."""
        ...

    def history(self, feed: Live, timeframe: Timeframe, count: int) -> Asked:
        """The last bars of a live market, as they come; see `following.Asked`."""
        ...

    def called(self, session_id: str) -> bool:
        """Whether commands may wait for a session."""
        ...

    def beat(self, writer: Writer) -> None:
        """Show that a session's loop turns. Raises `FencedError` if another runner has it."""
        ...


class Alone:
    """A process of its own."""

    poll_s = 0.1

    def follow(
        self, feed: Live, instrument: Instrument, timeframe: Timeframe, after_ns: int, unheard: bool
    ) -> Followed:
        """See `Place.follow`."""
        return Following(feed, instrument, timeframe, after_ns, unheard)

    def history(self, feed: Live, timeframe: Timeframe, count: int) -> Asked:
        """See `Place.history`."""
        return Asked(feed, timeframe, count)

    def called(self, session_id: str) -> bool:
        """Only its inbox knows."""
        return True

    def beat(self, writer: Writer) -> None:
        """See `Place.beat`."""
        writer.heartbeat()
