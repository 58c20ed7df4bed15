"""What a live feed asks of its venue, whichever venue it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pregao.core.actions import Dividend, Split
from pregao.core.errors import PregaoError
from pregao.market.feeds.events import Traded
from pregao.market.feeds.sequence import Candle


class BusyError(PregaoError):
    """The venue refuses requests for a while.

    Attributes:
        retry_after_s: seconds for which it must not be asked; 0 if it does not say.
    """

    def __init__(self, message: str, mend: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, mend)
        self.retry_after_s = retry_after_s


class Wire(Protocol):
    """One market's access to its venue, asynchronous. Failures that a person can understand are `PregaoError`s;
    `NotFoundError` says that the venue does not know the market any more."""

    streams: bool
    """Whether the venue offers a stream; without one the feed asks again and again."""

    async def open(self) -> None:
        """Get ready, before anything else."""
        ...

    async def now_ns(self) -> int:
        """The venue's clock."""
        ...

    async def trading(self) -> bool:
        """Whether the market is still traded, asked anew."""
        ...

    async def candles(self, since_ns: int, now_ns: int, limit: int) -> Sequence[Candle]:
        """The candles that open at or after a time, the forming one included, in order, no more than ``limit``; those
        that are over by ``now_ns`` must be certain."""
        ...

    def actions(self) -> Sequence[Split | Dividend]:
        """The splits and dividends that the last answer of `candles` told of."""
        ...

    async def listen(self, candle: Callable[[Candle], None], trade: Callable[[Traded], None]) -> None:
        """Listen to the stream until it fails; it always ends with an error, and leaves no connection behind."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
