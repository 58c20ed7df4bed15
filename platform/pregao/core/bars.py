"""Bars: prices of one instrument over equal spans of time, exact, in arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
COLUMNS = ("open", "high", "low", "close")
_FRAME = ("timestamp", *COLUMNS, "volume")
MAX_TICKS = 2**52
"""Prices are below this: a float tells them apart, and a few of them add up in 64 bits."""
MAX_VOLUME_LOTS = 2**53
"""Volumes are below this many lots: a float tells them apart."""
_NOISE_ULPS = 4
"""What arithmetic on floats may leave behind, in units in the last place; more is another price."""
_END_NS = 2**62
"""Bars close before this (the year 2116), and open after as much before 1970."""
_BLOCK = 2**20
_TOO_MANY_LOTS = "has a volume too large for its lot size"
_ZONE = r"[T ]\d.*(?:Z|[+-]\d{2}:?\d{2})$"


def prices(ticks: Ints, tick_size: Decimal) -> NDArray[np.float64]:
    """Ticks as prices, each the float nearest to the exact decimal: what reading its text would give."""
    tick = Fraction(tick_size)
    return (ticks * tick.numerator) / tick.denominator


class Bar(NamedTuple):
    """One closed bar. Times in ns since 1970 UTC, prices in ticks, volume in base units (float)."""

    open_ns: int
    close_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: float


@dataclass(frozen=True, eq=False)
class Bars:
    """Closed bars of one instrument, in order of time; every array has shape ``(n,)``.

    Bars that exist can be relied on: times ascend and no bar opens before the one before it has closed, prices are
    positive and below `MAX_TICKS`, high and low enclose open and close, volumes are finite, not negative and below
    `MAX_VOLUME_LOTS`. Arrays of other integers, read-only or strided ones are copied.

    Attributes:
        instrument: whose bars, with the grid of the prices.
        timeframe: the length of each bar.
        open_ns: open time, ns since 1970 UTC. A bar closes at ``open_ns + timeframe.ns``.
        open, high, low, close: prices in ticks, int64.
        volume: traded quantity in base units, float64.

    Raises:
        UsageError: naming the first row that breaks one of these rules, counted from 0, or the array that is not of
            whole numbers or of another length.
    """

    instrument: Instrument
    timeframe: Timeframe
    open_ns: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Floats

    def __post_init__(self) -> None:
        columns: dict[str, NDArray[Any]] = {name: _whole(getattr(self, name), name) for name in ("open_ns", *COLUMNS)}
        columns["volume"] = _real(self.volume)
        for name, column in columns.items():
            if column.shape != columns["open_ns"].shape or column.ndim != 1:
                raise UsageError(
                    f"The {name} of bars has the shape {column.shape}, their open_ns {columns['open_ns'].shape}.",
                    "Give one array of the same length for each.",
                )
            object.__setattr__(self, name, column)
        row, why = _flaw(self)
        if why:
            content = ", ".join(f"{name}={column[row].item()}" for name, column in columns.items())
            raise UsageError(f"Row {row} {why} ({content}; prices in ticks).", _mend(why, self.instrument))

    @classmethod
    def trusted(cls, instrument: Instrument, timeframe: Timeframe, *columns: NDArray[Any]) -> Bars:
        """Bars of own, contiguous int64 and float64 arrays that are known to keep the rules; nothing is checked."""
        bars = object.__new__(cls)
        named = zip(("open_ns", *COLUMNS, "volume"), columns, strict=True)
        for name, value in (("instrument", instrument), ("timeframe", timeframe), *named):
            object.__setattr__(bars, name, value)
        return bars

    def __len__(self) -> int:
        return len(self.open_ns)

    def __getitem__(self, rows: slice) -> Bars:
        """The bars of a slice, as views."""
        if rows.step not in (None, 1):
            columns = (getattr(self, name)[rows] for name in ("open_ns", *COLUMNS, "volume"))
            return Bars(self.instrument, self.timeframe, *columns)
        return Bars.trusted(
            self.instrument,
            self.timeframe,
            self.open_ns[rows],
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
        )

    def bar(self, i: int) -> Bar:
        """Bar ``i`` as plain Python numbers."""
        at = int(self.open_ns[i])
        return Bar(
            at,
            at + self.timeframe.ns,
            int(self.open[i]),
            int(self.high[i]),
            int(self.low[i]),
            int(self.close[i]),
            float(self.volume[i]),
        )

    @property
    def close_ns(self) -> Ints:
        """Close time of each bar, ns since 1970 UTC."""
        return self.open_ns + self.timeframe.ns

    def between(self, start_ns: int | None, end_ns: int | None) -> Bars:
        """The bars with ``start_ns <= open_ns < end_ns``; None leaves that side open."""
        lo = 0 if start_ns is None else int(np.searchsorted(self.open_ns, start_ns))
        hi = len(self) if end_ns is None else int(np.searchsorted(self.open_ns, end_ns))
        return self[lo:hi]

    def closing(self) -> Bars:
        """The same times and closes alone, a third as large: opens, highs and lows are the closes, volumes are 0."""
        nothing = np.broadcast_to(0.0, len(self))
        # Copies: the columns of bars that were read are of one block of memory, which is to be let go.
        close = self.close.copy()
        return Bars.trusted(self.instrument, self.timeframe, self.open_ns.copy(), *[close] * 4, nothing)

    def frame(self) -> pd.DataFrame:
        """The bars with float prices, as the ecosystem expects them: ``timestamp`` (UTC, open time), OHLCV."""
        columns: dict[str, object] = {"timestamp": pd.to_datetime(self.open_ns, utc=True)}
        columns |= {name: prices(getattr(self, name), self.instrument.tick_size) for name in COLUMNS}
        return pd.DataFrame(columns | {"volume": self.volume})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, instrument: Instrument, timeframe: Timeframe) -> Bars:
        """Exact bars from float columns ``timestamp open high low close volume``.

        Times are of any datetime type, text in ISO 8601, or ns since 1970. Without a zone they are UTC; those with one
        may have different offsets.

        Raises:
            UsageError: naming the first offending row: a time that is missing or cannot be read, that has a zone where
                the first has none or none where it has one; a price that is not a finite number, not positive or off
                the instrument's grid; and what `Bars` refuses.
        """
        missing = [c for c in _FRAME if c not in frame.columns]
        if missing:
            raise UsageError(f"The bars lack the columns {', '.join(missing)}.")
        twice = [c for c in _FRAME if list(frame.columns).count(c) > 1]
        if twice:
            raise UsageError(f"The bars have several columns {', '.join(twice)}.")
        open_ns = _times(frame)
        tick = float(instrument.tick_size)
        ticks: list[Ints] = []
        for name in COLUMNS:
            price = _numbers(frame[name])
            _refuse(~np.isfinite(price), frame, f"has no finite {name}")
            _refuse(price <= 0, frame, f"has a {name} that is not positive")
            _refuse(price / tick >= MAX_TICKS, frame, f"has a {name} too large for its tick size")
            whole = np.rint(price / tick).astype(np.int64)
            exact = prices(whole, instrument.tick_size)
            _refuse(
                np.abs(price - exact) > _NOISE_ULPS * np.spacing(price),
                frame,
                f"has a {name} that is not a multiple of the tick size {instrument.tick_size}",
            )
            ticks.append(whole)
        bars = cls.trusted(instrument, timeframe, open_ns, *ticks, _real(_numbers(frame["volume"])))
        row, why = _flaw(bars)
        if why:
            raise UsageError(f"Row {row} {why} ({_content(frame, row)}).", _mend(why, instrument))
        return bars


def _whole(values: object, name: str) -> Ints:
    """An own int64 array; `UsageError` for what is not of whole numbers that fit."""
    array = np.asarray(values)
    if array.dtype.kind == "O" or array.dtype == np.uint64:
        for row, value in enumerate(array.ravel().tolist()):
            if not isinstance(value, int) or not -(2**63) <= value < 2**63:
                raise UsageError(f"Row {row} has as {name} no 64-bit integer: {value!r}.")
    elif array.dtype.kind not in "iu" and array.size:
        unit = "ns since 1970" if name == "open_ns" else "ticks"
        raise UsageError(
            f"The {name} of bars must be {unit} as int64, not {array.dtype}.",
            "Bars.from_frame takes times and prices as they are written.",
        )
    return np.require(array.astype(np.int64, copy=False), requirements=["C", "W", "A"])


def _real(values: object) -> Floats:
    """An own float64 array; `UsageError` for what is not of numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" and array.size:
        raise UsageError(f"The volume of bars must be numbers, float64, not {array.dtype}.")
    return np.require(array.astype(np.float64, copy=False), requirements=["C", "W", "A"])


def _numbers(column: pd.Series) -> Floats:
    """A column as floats; what is no number is NaN."""
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _times(frame: pd.DataFrame) -> Ints:
    """The column ``timestamp`` in ns since 1970 UTC; `UsageError` naming the first row that has no such time."""
    column = frame["timestamp"]
    if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column):
        given = column.notna().to_numpy()
        zoned = column.astype("string").str.strip().str.contains(_ZONE).fillna(False).to_numpy(dtype=np.bool_)
        first = bool(zoned[np.argmax(given)]) if len(given) else False
        odd = "names no time zone although the first does" if first else "names a time zone although the first does not"
        _refuse(given & (zoned != first), frame, odd)
    kind = None if pd.api.types.is_numeric_dtype(column) else "ISO8601"
    times = pd.to_datetime(column, utc=True, errors="coerce", format=kind)
    _refuse(times.isna().to_numpy(), frame, "has no timestamp that can be read")
    outside = (times < pd.Timestamp(-_END_NS, tz="UTC")) | (times > pd.Timestamp(_END_NS, tz="UTC"))
    _refuse(outside.to_numpy(), frame, "has a time out of range")
    return np.require(times.dt.as_unit("ns").astype("int64"), np.int64, ["C", "W"])


def _flaw(bars: Bars) -> tuple[int, str]:
    """The first row that breaks the rules of `Bars`, and which rule; an empty text if none does."""
    for start in range(0, len(bars), _BLOCK):
        first, found = _BLOCK, ""
        for bad, why in _rules(bars, start):
            row = int(np.argmax(bad))
            if bad[row] and row < first:
                first, found = row, why
        if found:
            return start + first, found
    return 0, ""


def _rules(bars: Bars, start: int) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Which bars of the block from ``start`` on break each of the rules; the first that is told counts."""
    rows = slice(start, start + _BLOCK)
    times, volume, span = bars.open_ns[rows], bars.volume[rows], bars.timeframe.ns
    opened, high, low, close = (getattr(bars, name)[rows] for name in COLUMNS)
    before = np.empty_like(times)
    before[0] = bars.open_ns[start - 1] if start else -_END_NS - span
    before[1:] = times[:-1]
    yield (times < -_END_NS) | (times >= _END_NS - span), "has a time out of range"
    yield times <= before, "is not later than the row before it"
    yield times < before + span, f"opens before the {bars.timeframe} bar of the row before it has closed"
    for name, price in zip(COLUMNS, (opened, high, low, close), strict=True):
        yield price <= 0, f"has a {name} that is not positive"
        yield price >= MAX_TICKS, f"has a {name} too large for its tick size"
    yield high < np.maximum(opened, close), "has a high below its open or close"
    yield low > np.minimum(opened, close), "has a low above its open or close"
    yield ~(volume >= 0), "has a volume that is missing or negative"
    yield volume >= MAX_VOLUME_LOTS * float(bars.instrument.lot_size), _TOO_MANY_LOTS


def _mend(why: str, instrument: Instrument) -> str:
    return f"It is {instrument.lot_size}; give a coarser one." if why == _TOO_MANY_LOTS else ""


def _refuse(bad: NDArray[np.bool_], frame: pd.DataFrame, why: str) -> None:
    """Raise `UsageError` naming the first bad row, counted from 0, with its content."""
    if bad.any():
        row = int(np.argmax(bad))
        raise UsageError(f"Row {row} {why} ({_content(frame, row)}).")


def _content(frame: pd.DataFrame, row: int) -> str:
    return ", ".join(f"{name}={frame[name].iloc[row]}" for name in _FRAME)
