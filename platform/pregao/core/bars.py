"""Bars: prices of one instrument over equal spans of time, exact, in arrays."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
COLUMNS = ("open", "high", "low", "close")
_NOISE_ULPS = 4
"""What arithmetic on floats may leave behind, in units in the last place; more is another price."""


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
    """Closed bars of one instrument, strictly ascending in time; every array has shape ``(n,)``.

    Attributes:
        instrument: whose bars, with the grid of the prices.
        timeframe: the length of each bar.
        open_ns: open time, ns since 1970 UTC. A bar closes at ``open_ns + timeframe.ns``.
        open, high, low, close: prices in ticks, int64.
        volume: traded quantity in base units, float64.
    """

    instrument: Instrument
    timeframe: Timeframe
    open_ns: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Floats

    def __len__(self) -> int:
        return len(self.open_ns)

    def __getitem__(self, rows: slice) -> Bars:
        """The bars of a slice, as views."""
        return Bars(
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

    def frame(self) -> pd.DataFrame:
        """The bars with float prices, as the ecosystem expects them: ``timestamp`` (UTC, open time), OHLCV."""
        columns: dict[str, object] = {"timestamp": pd.to_datetime(self.open_ns, utc=True)}
        columns |= {name: prices(getattr(self, name), self.instrument.tick_size) for name in COLUMNS}
        return pd.DataFrame(columns | {"volume": self.volume})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, instrument: Instrument, timeframe: Timeframe) -> Bars:
        """Exact bars from float columns ``timestamp open high low close volume``.

        Raises:
            UsageError: naming the first offending row, if a time is missing, repeated or out of order, a price
                is not finite, not positive or off the instrument's grid, high and low do not enclose open and
                close, or a volume is missing or negative.
        """
        missing = [c for c in ("timestamp", *COLUMNS, "volume") if c not in frame.columns]
        if missing:
            raise UsageError(f"The bars lack the columns {', '.join(missing)}.")
        times = pd.to_datetime(frame["timestamp"], utc=True)
        _refuse(times.isna().to_numpy(), frame, "has no timestamp")
        open_ns: Ints = np.asarray(times.dt.as_unit("ns").astype("int64"), dtype=np.int64)
        _refuse(np.r_[False, np.diff(open_ns) <= 0], frame, "is not later than the row before it")
        tick = float(instrument.tick_size)
        ticks: dict[str, Ints] = {}
        for name in COLUMNS:
            price = frame[name].to_numpy(dtype=np.float64)
            _refuse(~np.isfinite(price), frame, f"has no finite {name}")
            _refuse(price <= 0, frame, f"has a {name} that is not positive")
            _refuse(price / tick >= 2**53, frame, f"has a {name} too large for its tick size")
            whole = np.rint(price / tick).astype(np.int64)
            exact = prices(whole, instrument.tick_size)
            _refuse(
                np.abs(price - exact) > _NOISE_ULPS * np.spacing(price),
                frame,
                f"has a {name} that is not a multiple of the tick size {instrument.tick_size}",
            )
            ticks[name] = whole
        _refuse(ticks["high"] < np.maximum(ticks["open"], ticks["close"]), frame, "has a high below its open or close")
        _refuse(ticks["low"] > np.minimum(ticks["open"], ticks["close"]), frame, "has a low above its open or close")
        volume = frame["volume"].to_numpy(dtype=np.float64)
        _refuse(~(np.isfinite(volume) & (volume >= 0)), frame, "has a volume that is missing or negative")
        return cls(instrument, timeframe, open_ns, **ticks, volume=np.ascontiguousarray(volume))


def _refuse(bad: NDArray[np.bool_], frame: pd.DataFrame, why: str) -> None:
    """Raise `UsageError` naming the first bad row, counted from 0, with its content."""
    if bad.any():
        row = int(np.argmax(bad))
        content = ", ".join(f"{k}={frame[k].iloc[row]}" for k in ("timestamp", *COLUMNS, "volume"))
        raise UsageError(f"Row {row} {why} ({content}).")
