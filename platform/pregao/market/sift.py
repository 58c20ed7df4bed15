"""Parting the rows that can be bars from those that cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import COLUMNS, MAX_TICKS, MAX_VOLUME_LOTS, Ints
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.findings import EXAMPLES, BadRow, Finding
from pregao.market.sources import row_number

_FIELDS = (*COLUMNS, "volume")


_FIRST_TIME, _LAST_TIME = (pd.Timestamp(year, 1, 1, tz="UTC") for year in (1824, 2116))
BAD_KINDS = ("no time", "no number", "bad price", "off grid", "bad range", "bad volume", "conflict", "too close")
"""Why a row cannot be a bar."""


class Sifted(NamedTuple):
    """A source's rows, sorted out.

    Attributes:
        frame: the good ones in order of time.
        bad: those that cannot be bars.
        findings: what was found.
        rows: for each good one, which row of the source it was.
        kinds: for each bad one, which of `BAD_KINDS` it is.
    """

    frame: pd.DataFrame
    bad: list[BadRow]
    findings: list[Finding]
    rows: Ints = np.empty(0, dtype=np.int64)
    kinds: tuple[str, ...] = ()


class _Blame:
    """Why each row is bad: the first reason that was given counts."""

    def __init__(self, rows: int) -> None:
        self.code = np.zeros(rows, dtype=np.int16)
        self.reasons = [""]
        self.kinds = [""]

    def add(self, wrong: NDArray[np.bool_], kind: str, reason: str) -> None:
        if wrong.any():
            self.reasons.append(reason)
            self.kinds.append(kind)
            self.code[wrong & (self.code == 0)] = len(self.reasons) - 1


def sift(
    frame: pd.DataFrame, instrument: Instrument, timeframe: Timeframe, origin: Callable[[int], str] = row_number
) -> Sifted:
    """Part the rows that can be bars from those that cannot.

    Bad is a row without a time or a finite price, with a price that is not positive or off the instrument's grid,
    with a high below its low or an open or close outside of them, with a missing or negative volume, at the time of
    an earlier row but with other values, or less than a bar after the one before. Rows out of order are put in
    order and exact duplicates dropped, and both are found.

    Args:
        frame: columns ``timestamp open high low close volume``, as of `pregao.market.sources.Series`.
        instrument, timeframe: whose bars they should be.
        origin: names row ``i`` for a person.
    """
    times = pd.to_datetime(frame["timestamp"], utc=True)
    values = {name: frame[name].to_numpy(dtype=np.float64) for name in _FIELDS}
    blame = _Blame(len(frame))
    blame.add(times.isna().to_numpy(), "no time", "has no readable time")
    outside = ((times < _FIRST_TIME) | (times > _LAST_TIME)).to_numpy()
    blame.add(outside, "no time", "has a time out of range")
    times = times.mask(outside)
    _judge_values(values, instrument, blame)

    findings: list[Finding] = []
    open_ns = times.dt.as_unit("ns").astype("int64").to_numpy()
    kept = np.flatnonzero(blame.code == 0)
    late = kept[np.flatnonzero(np.diff(open_ns[kept]) < 0) + 1]
    findings += _found("order", "Rows were not in order of time.", late, origin)
    order = kept[np.argsort(open_ns[kept], kind="stable")]
    same_time = np.r_[False, np.diff(open_ns[order]) == 0][: len(order)]
    same_values = np.ones(len(order), dtype=bool)
    for column in values.values():
        same_values[1:] &= column[order][1:] == column[order][:-1]
    again = order[same_time & same_values]
    findings += _found("duplicate", "Rows came twice, alike.", np.sort(again), origin)
    differing = _mask(len(frame), order[same_time & ~same_values])
    blame.add(differing, "conflict", "has the time of an earlier row, but other values")
    order = order[~same_time]
    close_by = np.r_[False, np.diff(open_ns[order]) < timeframe.ns][: len(order)]
    blame.add(_mask(len(frame), order[close_by]), "too close", f"begins less than {timeframe} after the row before it")
    order = order[~close_by]

    bad = [
        BadRow(
            where=origin(int(i)),
            why=blame.reasons[blame.code[i]],
            content=", ".join(f"{name}={frame[name].iloc[i]}" for name in ("timestamp", *_FIELDS)),
        )
        for i in np.flatnonzero(blame.code)
    ]
    if bad:
        where = tuple(f"{row.where} {row.why}" for row in bad[:EXAMPLES])
        findings.append(
            Finding(kind="bad row", level="error", count=len(bad), text="Rows that cannot be bars.", examples=where)
        )
    good = pd.DataFrame({"timestamp": times.iloc[order], **{name: values[name][order] for name in _FIELDS}})
    kinds = tuple(blame.kinds[code] for code in blame.code[blame.code > 0])
    return Sifted(good.reset_index(drop=True), bad, findings, order, kinds)


def _judge_values(values: dict[str, NDArray[np.float64]], instrument: Instrument, blame: _Blame) -> None:
    """Blame the rows whose prices or volume no bar can have."""
    tick = float(instrument.tick_size)
    with np.errstate(invalid="ignore"):
        for name in COLUMNS:
            price = values[name]
            blame.add(~np.isfinite(price), "no number", f"has no number as {name}")
            blame.add(price <= 0, "bad price", f"has a {name} that is not positive")
            ticks = price / tick
            blame.add(
                ticks >= MAX_TICKS, "bad price", f"has a {name} too large for the tick size {instrument.tick_size}"
            )
            off = np.abs(ticks - np.rint(ticks)) > np.maximum(1e-12 * np.abs(ticks), 1e-6)
            blame.add(off, "off grid", f"has a {name} that is not a multiple of the tick size {instrument.tick_size}")
        blame.add(values["high"] < values["low"], "bad range", "has a high below its low")
        for name in ("open", "close"):
            outside = (values[name] > values["high"]) | (values[name] < values["low"])
            blame.add(outside, "bad range", f"has its {name} outside of its low and high")
        blame.add(~np.isfinite(values["volume"]), "bad volume", "has no number as volume")
        blame.add(values["volume"] < 0, "bad volume", "has a negative volume")
        most = MAX_VOLUME_LOTS * float(instrument.lot_size)
        blame.add(
            values["volume"] >= most, "bad volume", f"has a volume too large for the lot size {instrument.lot_size}"
        )


def _found(kind: str, text: str, rows: Ints, origin: Callable[[int], str]) -> list[Finding]:
    if not len(rows):
        return []
    where = tuple(origin(int(i)) for i in rows[:EXAMPLES])
    return [Finding(kind=kind, level="warning", count=len(rows), text=text, examples=where)]


def _mask(n: int, rows: Ints) -> NDArray[np.bool_]:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask
