"""How far a trading session has gone, for features that ask for it (`pregao.features.stream.Hours`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Ints
from pregao.market.calendars import ALWAYS, Schedule, schedule

_DAY_NS = 86_400_000_000_000
_AROUND_NS = 14 * _DAY_NS


class TradingHours:
    """Of each bar, how long its trading session has lasted at its close, and how long the session is.

    A bar belongs to the session that it has a part in; the lunch break is within its session. What ends after the
    session's close, as the last bar of whole hours does, ends with it. Outside of a session, for bars of a day or
    longer and for markets that never close, both are missing.

    Args:
        calendar: ``"24/7"`` or a name of exchange_calendars; it is imported for the latter only.
    """

    def __init__(self, calendar: str) -> None:
        self.calendar = calendar
        self._first_ns = self._last_ns = 0
        self._table: Schedule | None = None

    def __call__(self, open_ns: Ints, close_ns: Ints) -> NDArray[np.float64]:
        """Seconds since the session's open and its length in seconds, shape ``(n, 2)``.

        Args:
            open_ns, close_ns: of the bars, ascending, ns since 1970 UTC, shape ``(n,)``.

        Raises:
            UsageError: if the calendar is not known, or does not reach so far.
        """
        found = np.full((len(close_ns), 2), np.nan)
        if self.calendar == ALWAYS or not len(close_ns) or close_ns[0] - open_ns[0] >= _DAY_NS:
            return found
        table = self._covering(int(open_ns[0]), int(close_ns[-1]))
        at = np.searchsorted(table.opens, close_ns) - 1  # the last session that began before the bar's close
        opens, closes = table.opens[at], table.closes[at]
        inside = (at >= 0) & (open_ns < closes)
        elapsed = np.minimum(close_ns, closes) - opens
        found[inside] = np.column_stack([elapsed, closes - opens])[inside] / 1e9
        return found

    def _covering(self, first_ns: int, last_ns: int) -> Schedule:
        if self._table is None or first_ns < self._first_ns or last_ns > self._last_ns:
            self._first_ns, self._last_ns = first_ns - _AROUND_NS, last_ns + _AROUND_NS
            self._table = schedule(self.calendar, self._first_ns, self._last_ns)
        return self._table
