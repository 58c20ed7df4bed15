"""When an instrument trades: in its exchange's sessions, or always.

Hours come from exchange_calendars, holidays, half days, lunch breaks and daylight saving time included. It is only
imported for exchanges that close: a market that never does needs none of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars, Ints
from pregao.market.calendars import ALWAYS, Schedule, schedule

_DAY_NS = 86_400_000_000_000
_AROUND_NS = 14 * _DAY_NS
"""Held before and after what is asked for: longer than any holidays, so that the next session is among it."""
_AHEAD_NS = 60 * _DAY_NS


class Hours:
    """The sessions of one exchange. Build it with `of`; it reads on by itself when asked about a later time."""

    def __init__(self, calendar: str, first_ns: int, last_ns: int, table: Schedule | None) -> None:
        self.calendar = calendar
        self._first_ns, self._last_ns, self._table = first_ns, last_ns, table

    @classmethod
    def of(cls, calendar: str, first_ns: int, last_ns: int) -> Hours:
        """The hours from ``first_ns`` to ``last_ns`` (ns since 1970 UTC).

        Args:
            calendar: ``"24/7"`` or a name of exchange_calendars (``"XNYS"``).
            first_ns: first time that will be asked about; earlier ones are read when needed, as are later ones.
            last_ns: last time.

        Raises:
            UsageError: if the calendar is not known, or does not reach so far. Any method may raise it for a time
                outside of the span.
        """
        hours = cls(calendar, first_ns, last_ns, None)
        if calendar != ALWAYS:
            hours._read()
        return hours

    def live(self, open_ns: Ints, span_ns: int) -> NDArray[np.bool_]:
        """Whether each bar may trade, shape ``(n,)``.

        An intraday bar may if a part of it lies in a session: the bar from 9:00 to 10:00 of an exchange that opens at
        9:30 has only prices of the session. Bars on holidays, in the lunch break and after the close of a half day may
        not. A bar of a day or longer may if the exchange has a session on one of its days, counted from the UTC
        date on which the bar opens, as day bars are stored at midnight UTC of their date.

        Args:
            open_ns: ascending open times, ns since 1970 UTC.
            span_ns: length of the bars in ns.
        """
        if self.calendar == ALWAYS or not len(open_ns):
            return np.ones(len(open_ns), dtype=np.bool_)
        table = self._covering(int(open_ns[0]), int(open_ns[-1]) + span_ns)
        if span_ns >= _DAY_NS:
            first = open_ns // _DAY_NS * _DAY_NS
            return _meets(first, first + span_ns, table.days, table.days + 1)
        before = _meets(open_ns, open_ns + span_ns, table.opens, table.pauses)
        return before | _meets(open_ns, open_ns + span_ns, table.resumes, table.closes)

    def is_open(self, now_ns: int) -> bool:
        """Whether the exchange trades at this time: from the open on, not at the close itself."""
        return bool(self.live(np.array([now_ns], dtype=np.int64), 1)[0])

    def day_end(self, now_ns: int) -> int:
        """When an order for the day ends: the close of the session that is going on, else of the next one.

        A lunch break is within its session; at the close itself the session is over. Without sessions, the next
        midnight UTC.
        """
        if self.calendar == ALWAYS:
            return (now_ns // _DAY_NS + 1) * _DAY_NS
        closes = self._covering(now_ns, now_ns).closes
        return int(closes[np.searchsorted(closes, now_ns, side="right")])

    def _covering(self, first_ns: int, last_ns: int) -> Schedule:
        if self._table is None or first_ns < self._first_ns or last_ns > self._last_ns:
            self._first_ns = min(self._first_ns, first_ns)
            if last_ns > self._last_ns:
                self._last_ns = last_ns + _AHEAD_NS
            return self._read()
        return self._table

    def _read(self) -> Schedule:
        self._table = schedule(self.calendar, self._first_ns - _AROUND_NS, self._last_ns + _AROUND_NS)
        return self._table


def live_rows(bars: Bars) -> NDArray[np.bool_] | None:
    """Which bars may trade by their instrument's calendar, shape ``(n,)``; None if all may.

    Raises:
        UsageError: if the calendar is not known.
    """
    calendar = bars.instrument.calendar
    if calendar == ALWAYS or not len(bars):
        return None
    hours = Hours.of(calendar, int(bars.open_ns[0]), int(bars.close_ns[-1]))
    rows = hours.live(bars.open_ns, bars.timeframe.ns)
    return None if rows.all() else rows


def _meets(first: Ints, end: Ints, starts: Ints, ends: Ints) -> NDArray[np.bool_]:
    """Whether each span ``[first, end)`` has time in common with one of the ascending, disjoint ``[starts, ends)``."""
    at = np.searchsorted(ends, first, side="right")
    found: NDArray[np.bool_] = np.append(starts, np.iinfo(np.int64).max)[at] < end
    return found
