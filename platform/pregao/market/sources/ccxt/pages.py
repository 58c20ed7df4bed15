"""A page of candles: rows are lost, doubled or spoilt on their way. What is doubtful is asked for again, and believed
when it comes twice alike."""

from __future__ import annotations

import math
from typing import Any

ASKS = 4
"""A doubtful page is asked for so often at most."""
JUMP = math.log(1.5)
"""A close this far (in logarithms) from the one before is doubtful."""
Row = list[Any]


class Page:
    """The rows of one span, put together from one or several answers. Ask while `wanted`, and `add` each answer.

    Args:
        start_ms, end_ms: open times wanted, ``start_ms <= t < end_ms``; other rows are passed over.
        step_ms: length of a candle.
        forming_ms: candles that open at this time or later may still be forming: they change, and nothing about them
            is doubted.
    """

    def __init__(self, start_ms: int, end_ms: float, step_ms: int, forming_ms: float = math.inf) -> None:
        self._start_ms, self._end_ms, self._step_ms = start_ms, end_ms, step_ms
        self._forming_ms = forming_ms
        self._rows: dict[int, Row] = {}
        self._before: dict[int, Row] | None = None
        self._asked = 0
        self.wanted = True
        """Whether the page must be asked for (again)."""
        self.settled = False
        """Whether the rows are beyond doubt, or the same answer came twice."""

    @property
    def rows(self) -> dict[int, Row]:
        """Rows by open time, ascending. One that no candle can be is among them only if it came so every time."""
        return dict(sorted(self._rows.items()))

    def sure(self) -> dict[int, Row]:
        """The rows before the first that is in doubt."""
        rows = self.rows
        first = self._amiss(rows)
        return {at: row for at, row in rows.items() if first is None or at < first}

    def add(self, answer: list[Row]) -> None:
        """An answer of the exchange."""
        came: dict[int, Row] = {}
        doubtful = not answer
        for row in answer:
            at = row[0] if row else None
            if not isinstance(at, int | float) or not math.isfinite(at):
                doubtful = True
            elif self._start_ms <= at < self._end_ms:
                doubtful = doubtful or (int(at) in came and came[int(at)] != row)
                came[int(at)] = row
        for at, row in came.items():
            if at not in self._rows or sound(row) or not sound(self._rows[at]):
                self._rows[at] = row
        came = {at: row for at, row in came.items() if at < self._forming_ms}
        self._asked += 1
        # What one answer left out, the next may not even reach: all rows count.
        doubtful = doubtful or self._amiss(self.rows) is not None
        self.settled = not doubtful or came == self._before
        self.wanted = not self.settled and self._asked < ASKS
        self._before = came

    def _amiss(self, rows: dict[int, Row]) -> int | None:
        """The open time from which on rows are in doubt: candles are missing before it, it cannot be one, or its price
        is too far away."""
        expected, close = self._start_ms, None
        for at, row in rows.items():
            if at >= self._forming_ms:
                return expected if expected < self._forming_ms else None
            if at != expected or not sound(row) or (close is not None and abs(math.log(row[4] / close)) > JUMP):
                return min(at, expected)
            expected, close = at + self._step_ms, row[4]
        return None


def sound(row: Row) -> bool:
    """Whether a row has prices and a volume that a candle can have."""
    if len(row) < 6 or not all(isinstance(value, int | float) and math.isfinite(value) for value in row[:6]):
        return False
    _, open_, high, low, close, volume = row[:6]
    return bool(0 < low <= min(open_, close) and max(open_, close) <= high and volume >= 0)
