"""History by pages: each page is checked, and complete before the next is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pregao.market.sources.ccxt.pages import ASKS, Page, Row, sound
from pregao.market.sources.ccxt.patience import AGAIN, Patience, VenueError

PAGE = 1_000
Rows = dict[int, Row]


@dataclass(frozen=True)
class History:
    """The closed candles of one market in one timeframe.

    Attributes:
        client: a synchronous ccxt client with its markets loaded.
        symbol, timeframe: in ccxt's spelling.
        step_ms: length of a candle.
        patience: how failures are met.
    """

    client: Any
    symbol: str
    timeframe: str
    step_ms: int
    patience: Patience

    def forward(self, start_ms: int, end_ms: int) -> Iterator[Rows]:
        """Pages of the candles with ``start_ms <= open < end_ms``, from the oldest to the newest."""
        at = start_ms
        while at < end_ms:
            page = self._page(at, end_ms)
            rows = page.rows if page.settled else page.sure()
            if rows:
                yield rows
            if not page.settled:
                raise VenueError(f"{self.client.id} answers {ASKS} times differently about {self.symbol}.", AGAIN)
            if rows:
                at = max(rows) + self.step_ms
            elif self._ends_before(at):
                return
            else:  # an exchange that looks only so far ahead, and a long time without trading
                at += PAGE * self.step_ms

    def backward(self, start_ms: int, end_ms: int) -> Iterator[Rows]:
        """The same from the newest to the oldest, until there is a whole page without any."""
        at = end_ms
        while at > start_ms:
            begin = max(start_ms, at - PAGE * self.step_ms)
            rows: Rows = {}
            for part in self.forward(begin, at):
                rows |= part
            if not rows:
                return
            yield rows
            at = begin

    def _page(self, at_ms: int, end_ms: int) -> Page:
        page = Page(at_ms, end_ms, self.step_ms)
        limit = min(PAGE, -(-(end_ms - at_ms) // self.step_ms))
        while page.wanted:
            page.add(self._ask(at_ms, limit))
        return page

    def _ends_before(self, at_ms: int) -> bool:
        """Whether the market's last candle is earlier than this.

        An empty page is the end, or an answer that ccxt could not read: it takes both for no candles.
        """
        page = Page(0, float("inf"), self.step_ms)
        page.add(self._ask(None, PAGE))
        times = [at for at, row in page.rows.items() if sound(row)]
        if not times:
            raise VenueError(f"{self.client.id} sends no candles of {self.symbol} at all.", AGAIN)
        return max(times) < at_ms

    def _ask(self, since_ms: int | None, limit: int) -> list[Row]:
        return self.patience.call(
            self.client,
            lambda: [list(row) for row in self.client.fetch_ohlcv(self.symbol, self.timeframe, since_ms, limit)],
        )
