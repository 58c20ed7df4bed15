"""When an instrument trades, and which bars a series lacks. Exchanges' hours come from exchange_calendars."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from pregao.core.bars import Ints
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe

ALWAYS = "24/7"
_DAY_NS = 86_400_000_000_000


class Gap(NamedTuple):
    """A span without the bars it should have: ``start_ns <= t < end_ns``, and how many bars are missing in it."""

    start_ns: int
    end_ns: int
    missing: int


def gaps(open_ns: Ints, calendar: str, timeframe: Timeframe) -> list[Gap]:
    """The gaps of a series between its first and its last bar, in order.

    A market that never closes has a bar every ``timeframe``. On an exchange, each trading session (each half of
    it, where there is a lunch break) must have as many bars as fit into it, wherever their grid begins.

    Args:
        open_ns: ascending open times, shape ``(n,)``.
        calendar: ``"24/7"`` or a name of exchange_calendars.
        timeframe: length of the bars.

    Raises:
        UsageError: if the calendar is not known.
    """
    if len(open_ns) < 2:
        return []
    if calendar == ALWAYS or timeframe.seconds > 86_400:
        step = np.diff(open_ns)
        return [
            Gap(int(open_ns[i]) + timeframe.ns, int(open_ns[i + 1]), int(step[i]) // timeframe.ns - 1)
            for i in np.flatnonzero(step >= 2 * timeframe.ns)
        ]
    starts, ends = sessions(calendar, int(open_ns[0]), int(open_ns[-1]), timeframe)
    expected = (ends - starts) // timeframe.ns
    # A bar belongs to the session in which it ends, so that bars on a grid of whole hours count from 9:30 too.
    bar_ends = open_ns + timeframe.ns
    have = np.searchsorted(bar_ends, ends + timeframe.ns) - np.searchsorted(bar_ends, starts, side="right")
    # The first and last session may have begun before the series or go on after it.
    expected[0] = min(expected[0], (ends[0] - open_ns[0]) // timeframe.ns)
    expected[-1] = min(expected[-1], (bar_ends[-1] - starts[-1]) // timeframe.ns)
    short = np.flatnonzero(have < expected)
    return [Gap(int(starts[i]), int(ends[i]), int(expected[i] - have[i])) for i in short]


def closed_during(calendar: str, timeframe: Timeframe, start_ns: int, end_ns: int) -> bool:
    """Whether a market has no bar in ``start_ns <= t < end_ns`` because it is closed. Errors as of `schedule`."""
    if calendar == ALWAYS or end_ns <= start_ns:
        return False
    starts, ends = sessions(calendar, start_ns - _DAY_NS, end_ns + _DAY_NS, timeframe)
    return not (np.minimum(ends, end_ns) - np.maximum(starts, start_ns) >= timeframe.ns).any()


def closed_days(open_ns: Ints, calendar: str) -> Ints:
    """The midnights (UTC, ns) of the days on which there are bars although the exchange was closed."""
    none: Ints = np.empty(0, dtype=np.int64)
    if calendar == ALWAYS or not len(open_ns):
        return none
    days = np.unique(open_ns // _DAY_NS * _DAY_NS)
    closed: Ints = days[~np.isin(days, schedule(calendar, int(days[0]), int(days[-1])).days)]
    return closed


class Schedule(NamedTuple):
    """The sessions of an exchange, ascending; times in ns since 1970 UTC, each of shape ``(n,)``.

    Attributes:
        days: midnight UTC of the date of each session.
        opens, closes: of each session.
        pauses, resumes: begin and end of the lunch break; both the close where there is none.
    """

    days: Ints
    opens: Ints
    pauses: Ints
    resumes: Ints
    closes: Ints


def schedule(calendar: str, first_ns: int, last_ns: int) -> Schedule:
    """The sessions from the UTC day of ``first_ns`` to that of ``last_ns``, by the exchange's dates.

    Args:
        calendar: a name of exchange_calendars; not ``"24/7"``, which has no sessions.
        first_ns: ns since 1970 UTC.
        last_ns: likewise; not before it.

    Raises:
        UsageError: if the calendar is not known, or does not reach so far.
    """
    first, last = first_ns // _DAY_NS * _DAY_NS, last_ns // _DAY_NS * _DAY_NS
    decade = pd.Timestamp(first).year // 10 * 10, pd.Timestamp(last).year // 10 * 10 + 10
    try:
        # Whole decades, made once: one of its own for each question takes longer than all else that is asked.
        table = _made(calendar, f"{decade[0]}-01-01", f"{decade[1]}-01-01")
    except ValueError:
        # Some calendars reach only so far as holidays are known. Two weeks: their bounds must be trading days.
        fortnight = pd.Timedelta(days=14)
        span = (str((pd.Timestamp(first) - fortnight).date()), str((pd.Timestamp(last) + fortnight).date()))
        try:
            table = _made(calendar, *span)
        except ValueError as error:
            raise UsageError(
                f"The trading calendar {calendar!r} cannot be used: {error}.", "Give another one."
            ) from error
    lo, hi = np.searchsorted(table.days, first), np.searchsorted(table.days, last, side="right")
    return Schedule(*(column[lo:hi] for column in table))


@lru_cache(maxsize=64)
def _made(calendar: str, start: str, end: str) -> Schedule:
    """The sessions between two dates. Raises `ValueError` if the calendar is not known or does not reach so far."""
    import exchange_calendars
    from exchange_calendars.errors import CalendarError

    try:
        table = exchange_calendars.get_calendar(calendar, start=start, end=end).schedule
    except CalendarError as error:
        raise ValueError(str(error)) from error
    opens, closes = _ns(table["open"]), _ns(table["close"])
    pauses, resumes = (_ns(table[name].fillna(table["close"])) for name in ("break_start", "break_end"))
    return Schedule(_ns(table.index), opens, pauses, resumes, closes)


def sessions(calendar: str, first_ns: int, last_ns: int, timeframe: Timeframe) -> tuple[Ints, Ints]:
    """Starts and ends of the trading sessions that meet the span; for day bars, whole days at midnight UTC.

    A session with a lunch break counts as two. Arguments and errors as in `schedule`.
    """
    table = schedule(calendar, first_ns, last_ns)
    if not timeframe.intraday:
        return table.days, table.days + _DAY_NS
    lunch = table.resumes < table.closes
    starts = np.concatenate([table.opens, table.resumes[lunch]])
    ends = np.concatenate([table.pauses, table.closes[lunch]])
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order]


def _ns(times: pd.Series[pd.Timestamp] | pd.Index[pd.Timestamp]) -> Ints:
    index = pd.DatetimeIndex(times)
    utc = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    values: Ints = utc.as_unit("ns").asi8
    return values
