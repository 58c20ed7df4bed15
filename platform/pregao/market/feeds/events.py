"""What a feed says: closed bars, each once and in order, and everything else that a session or a panel should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from pregao.core.actions import Dividend, Split
from pregao.core.bars import Bar
from pregao.market.calendars import Gap

Origin = Literal["replay", "live", "backfill"]


@dataclass(frozen=True, slots=True)
class Closed:
    """A bar has closed: the only event that a strategy acts on. Each bar comes once, in order of time.

    Attributes:
        bar: the bar.
        origin: played back, heard live, or fetched because it was missed.
    """

    bar: Bar
    origin: Origin


@dataclass(frozen=True, slots=True)
class Acted:
    """A split or a dividend; it comes before the first bar whose prices are ex of it."""

    action: Split | Dividend


@dataclass(frozen=True, slots=True)
class Forming:
    """The bar that is forming, as it is now; only the latest is kept for a slow reader."""

    bar: Bar


@dataclass(frozen=True, slots=True)
class Traded:
    """A trade: time in ns since 1970 UTC, price in ticks, quantity in base units; the oldest are dropped for a slow
    reader."""

    ts_ns: int
    price: int
    quantity: float
    side: str


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing was heard for too long, or what was heard is behind the market. Positions are not watched until
    `Recovered`."""

    silent_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """The market is heard again, after so many seconds; the bars that were missed came before this event."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """A bar was not believed, though asked for again. It is held back, and with it those after it, until the next bar
    has closed: then the venue's word stands (`Closed`), or the bar is given up (`Gap`) if no bar can be like it.

    Attributes:
        open_ns: which bar.
        reason: what is wrong with it.
    """

    open_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Revised:
    """A bar that was delivered has changed at the venue since. Who acted on it, acted on ``was``."""

    bar: Bar
    was: Bar


@dataclass(frozen=True, slots=True)
class Skewed:
    """The venue's clock and this machine's differ by so many seconds (positive: the venue's is ahead). The venue's
    counts."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more will come, and why."""

    reason: str


Event = Closed | Acted | Forming | Traded | Gap | Stale | Recovered | Held | Revised | Skewed | Ended
"""A `Gap` says that the venue has no bars in a span, though asked again and though later bars exist."""


class Feed(Protocol):
    """Brings bars and events to one reader."""

    @property
    def finished(self) -> bool:
        """Whether everything has been delivered and nothing more will come."""
        ...

    def next(self, timeout_s: float) -> Bar | None:
        """The next closed bar; None if there is none within ``timeout_s`` seconds. Other events are passed over."""
        ...

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event of any kind; None if there is none within ``timeout_s`` seconds."""
        ...

    def close(self) -> None:
        """Let go of threads and connections; may be called twice."""
        ...
