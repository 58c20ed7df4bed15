"""History by pages: each page is checked, asked for again where something is amiss, and complete before the next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pregao.market.sources.ccxt.patience import Patience

PAGE = 1_000
ASKS = 4
"""A doubtful page is asked for so often at most; two equal answers are believed earlier."""
JUMP = math.log(1.5)
"""A close this far (in logarithms) from the one before is doubtful."""
Row = list[Any]
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
            page = self._page(at, end_ms, PAGE)
            if page:
                yield page
                at = max(page) + self.step_ms
            elif self._ends_before(at):
                return
            else:  # an exchange that looks only so far ahead, and a long time without trading
                at += PAGE * self.step_ms

    def backward(self, start_ms: int, end_ms: int) -> Iterator[Rows]:
        """The same from the newest to the oldest, until there is a whole page without any."""
        at = end_ms
        while at > start_ms:
            begin = max(start_ms, at - PAGE * self.step_ms)
            page: Rows = {}
            for part in self.forward(begin, at):
                page |= part
            if not page:
                return
            yield page
            at = begin

    def _ends_before(self, at_ms: int) -> bool:
        """Whether the market's last candle is earlier than this."""
        last = self._ask(None, PAGE)
        return all(not isinstance(row[0], int | float) or row[0] < at_ms for row in last)

    def _ask(self, since_ms: int | None, limit: int) -> list[Row]:
        rows = self.patience.call(
            self.client, lambda: self.client.fetch_ohlcv(self.symbol, self.timeframe, since_ms, limit)
        )
        return [list(row) for row in rows]

    def _page(self, at_ms: int, end_ms: int, limit: int) -> Rows:
        """One page. Rows are lost, doubled or spoilt on the way: what is amiss is asked for again, and believed if it
        comes twice alike."""
        limit = min(limit, -(-(end_ms - at_ms) // self.step_ms))
        known, doubtful, before = self._read(at_ms, end_ms, limit)
        for _ in range(ASKS - 1):
            if not doubtful:
                break
            again, doubtful, answer = self._read(at_ms, end_ms, limit)
            # A sound row stays where the new answer lacks it or has spoilt it.
            known = {at: row for at, row in known.items() if sound(row) or at not in again} | {
                at: row for at, row in again.items() if sound(row) or not sound(known.get(at, []))
            }
            if answer == before:
                break
            before = answer
        return dict(sorted(known.items()))

    def _read(self, at_ms: int, end_ms: int, limit: int) -> tuple[Rows, bool, list[Row]]:
        """Rows by open time, whether anything about them is doubtful, and the answer as it came."""
        answer = self._ask(at_ms, limit)
        rows: Rows = {}
        doubtful = False
        for row in answer:
            at = row[0] if row else None
            if not isinstance(at, int | float) or not math.isfinite(at):
                doubtful = True
                continue
            if not at_ms <= at < end_ms:
                continue  # the forming candle, or more than was asked for
            doubtful = doubtful or not sound(row) or (int(at) in rows and rows[int(at)] != row)
            rows[int(at)] = row
        times = sorted(rows)
        doubtful = doubtful or bool(times and times[0] != at_ms) or self._amiss(rows, times)
        return rows, doubtful, answer

    def _amiss(self, rows: Rows, times: list[int]) -> bool:
        """Whether candles lack in between, or a price jumps further than is likely."""
        for earlier, later in itertools.pairwise(times):
            if later - earlier > self.step_ms:
                return True
            was, now = rows[earlier], rows[later]
            if sound(was) and sound(now) and abs(math.log(now[4] / was[4])) > JUMP:
                return True
        return False


def sound(row: Row) -> bool:
    """Whether a row has prices and a volume that a candle can have."""
    if len(row) < 6 or not all(isinstance(value, int | float) and math.isfinite(value) for value in row[:6]):
        return False
    _, open_, high, low, close, volume = row[:6]
    return bool(0 < low <= min(open_, close) and max(open_, close) <= high and volume >= 0)
