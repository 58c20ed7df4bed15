"""Several instruments on one tape: their bars by open time, and which of them make a moment.

A moment is all bars that open at the same time, at most one an instrument. Calendars and gaps may differ: an instrument
without a bar in a moment keeps its last price, and its orders wait. A moment's bars close before the next one's open,
as they must where they arrive live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars, Ints
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.simulation.actions import ACTION
from pregao.simulation.hours import live_rows
from pregao.simulation.tape import Tape

_NO_FINE = np.zeros((0, 2), np.int64)
_NO_FINE_BARS = np.zeros((0, 6), np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class Moments:
    """When an account is marked: open and close time of each moment, ns since 1970 UTC, shape ``(t,)``."""

    timeframe: Timeframe
    open_ns: Ints
    close_ns: Ints

    def __len__(self) -> int:
        return len(self.open_ns)


class Joined(NamedTuple):
    """The bars of several instruments as the compiled driver reads them.

    Attributes:
        tape: all rows, by open time and then by the instrument's place in the account.
        first: first row of each moment and, at the end, the number of rows, shape ``(t + 1,)``.
        order: which row of the concatenated series each row of the tape is, shape ``(n,)``.
    """

    tape: Tape
    first: Ints
    order: Ints

    @property
    def open_ns(self) -> Ints:
        """Open time of each moment, shape ``(t,)``."""
        return np.asarray(self.tape.open_ns[self.first[:-1]])


def join(
    bars: Sequence[Bars], finer: Sequence[Bars | None] | None = None, actions: NDArray[Any] | None = None
) -> Joined:
    """Put the bars of several instruments on one tape.

    Args:
        bars: a series an instrument, in the order of the account, all of one timeframe.
        finer: of each instrument bars with a shorter timeframe, or None, for the path rule ``finer``.
        actions: the account's table, see `Engine.actions`.

    Raises:
        UsageError: if a series is empty, timeframes differ, or a bar opens before another one has closed.
    """
    for series in bars:
        if len(series) == 0:
            raise UsageError(f"There are no bars of {series.instrument.symbol} to run over.")
        if series.timeframe != bars[0].timeframe:
            raise UsageError(
                f"The bars of {series.instrument.symbol} are of {series.timeframe}, those of "
                f"{bars[0].instrument.symbol} of {bars[0].timeframe}.",
                "An account needs bars of one timeframe.",
            )
    book = np.repeat(np.arange(len(bars), dtype=np.int64), [len(series) for series in bars])
    open_ns = np.concatenate([series.open_ns for series in bars])
    order = np.argsort(open_ns, kind="stable")
    book, open_ns = book[order], open_ns[order]
    first = np.concatenate([[0], np.flatnonzero(np.diff(open_ns)) + 1, [len(open_ns)]]).astype(np.int64)
    span = bars[0].timeframe.ns
    early = np.flatnonzero(np.diff(open_ns[first[:-1]]) < span)
    if len(early):
        row, next_row = first[early[0]], first[early[0] + 1]
        before, after = (bars[book[r]].instrument.symbol for r in (row, next_row))
        raise UsageError(
            f"The {bars[0].timeframe} bar of {after} that opens at {_time(open_ns[next_row])} begins before the one of "
            f"{before} from {_time(open_ns[row])} has closed.",
            "In one account all bars of a moment open together: use a timeframe in which they do, such as 1d.",
        )

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(series, name) for series in bars])[order]

    lived = [live_rows(series) for series in bars]
    alive = np.zeros(0, np.int8)
    if any(rows is not None for rows in lived):
        full = [np.ones(len(s), np.int8) if rows is None else rows for s, rows in zip(bars, lived, strict=True)]
        alive = np.concatenate(full)[order].astype(np.int8)
    fine, fine_bars = _fine(bars, finer)
    tape = Tape(
        book, alive, open_ns, column("open"), column("high"), column("low"), column("close"), column("volume"),
        fine[order] if len(fine) else fine, fine_bars, np.zeros(0, ACTION) if actions is None else actions, span, 0,
    )  # fmt: skip
    return Joined(tape, first, order)


def _fine(bars: Sequence[Bars], finer: Sequence[Bars | None] | None) -> tuple[Ints, Ints]:
    """First row and end of each bar's finer bars, in the concatenated series, and the finer bars."""
    if finer is None or not any(series is not None for series in finer):
        return _NO_FINE, _NO_FINE_BARS
    spans, tables, end = [], [], 0
    for series, fine in zip(bars, finer, strict=True):
        if fine is None:
            spans.append(np.full((len(series), 2), end, np.int64))
            continue
        edges = [np.searchsorted(fine.open_ns, edge) + end for edge in (series.open_ns, series.close_ns)]
        spans.append(np.stack(edges, axis=1))
        tables.append(np.stack([fine.open, fine.high, fine.low, fine.close, fine.open_ns, fine.close_ns], axis=1))
        end += len(fine)
    return np.ascontiguousarray(np.concatenate(spans), np.int64), np.ascontiguousarray(np.concatenate(tables), np.int64)


def _time(ns: int) -> str:
    text = str(np.datetime64(int(ns), "ns").astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(":00") + " UTC"
