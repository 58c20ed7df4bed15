"""A page of candles: rows are lost, doubled or spoilt on their way. What is doubtful is asked for again, and believed
when it comes twice alike."""

from __future__ import annotations

import itertools
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
    """

    def __init__(self, start_ms: int, end_ms: float, step_ms: int) -> None:
        self._start_ms, self._end_ms, self._step_ms = start_ms, end_ms, step_ms
        self._rows: dict[int, Row] = {}
        self._before: list[Row] | None = None
        self._asked = 0
        self.wanted = True
        """Whether the page must be asked for (again)."""

    @property
    def rows(self) -> dict[int, Row]:
        """Rows by open time, ascending. One that no candle can be is among them only if it came so every time."""
        return dict(sorted(self._rows.items()))

    def add(self, answer: list[Row]) -> None:
        """An answer of the exchange."""
        came: dict[int, Row] = {}
        doubtful = not answer
        for row in answer:
            at = row[0] if row else None
            if not isinstance(at, int | float) or not math.isfinite(at):
                doubtful = True
            elif self._start_ms <= at < self._end_ms:
                doubtful = doubtful or not sound(row) or (int(at) in came and came[int(at)] != row)
                came[int(at)] = row
        for at, row in came.items():
            if at not in self._rows or sound(row) or not sound(self._rows[at]):
                self._rows[at] = row
        self._asked += 1
        again = doubtful or self._amiss(came)
        self.wanted = again and answer != self._before and self._asked < ASKS
        self._before = answer

    def _amiss(self, came: dict[int, Row]) -> bool:
        """Whether candles lack at the beginning or in between, or a price jumps further than is likely."""
        times = sorted(came)
        if times and times[0] != self._start_ms:
            return True
        for earlier, later in itertools.pairwise(times):
            was, now = came[earlier], came[later]
            if later - earlier > self._step_ms:
                return True
            if sound(was) and sound(now) and abs(math.log(now[4] / was[4])) > JUMP:
                return True
        return False


def sound(row: Row) -> bool:
    """Whether a row has prices and a volume that a candle can have."""
    if len(row) < 6 or not all(isinstance(value, int | float) and math.isfinite(value) for value in row[:6]):
        return False
    _, open_, high, low, close, volume = row[:6]
    return bool(0 < low <= min(open_, close) and max(open_, close) <= high and volume >= 0)
