"""Sample data: real daily bars of two indices, 1999 to 2018, that the library ``arch`` ships. Needs no network."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pandas as pd

from pregao.core.bars import COLUMNS
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.sources import Request, Series, SourceOptions, pick

INDICES = {"SPX": "arch.data.sp500", "NASDAQ": "arch.data.nasdaq"}
DAILY = "1d"


class SampleOptions(SourceOptions):
    """The source ``sample`` has no options."""


class Sample:
    """The source ``sample``: S&P 500 (``SPX``) and NASDAQ Composite (``NASDAQ``), traded as if in units."""

    name: ClassVar[str] = "sample"
    Options: ClassVar[type[SourceOptions]] = SampleOptions

    def fetch(self, request: Request) -> Iterable[Series]:
        """Daily bars, at midnight UTC of the trading day. Raises `UsageError` for another timeframe."""
        timeframe = request.timeframe or Timeframe.parse(DAILY)
        if timeframe.name != DAILY:
            raise UsageError(f"The sample data have no {timeframe} bars.", f"Use {DAILY}.")
        for symbol in pick(request.symbols, INDICES, "sample"):
            raw = importlib.import_module(INDICES[symbol]).load()
            days = pd.to_datetime(raw.index, utc=True)
            columns = {name: _cents(raw[name.capitalize()].to_numpy(dtype=np.float64)) for name in COLUMNS}
            volume = raw["Volume"].to_numpy(dtype=np.float64)
            frame = pd.DataFrame({"timestamp": days, **columns, "volume": volume})
            start = pd.Timestamp(request.start_ns, tz="UTC") if request.start_ns is not None else days[0]
            wanted = frame["timestamp"] >= start
            if request.end_ns is not None:
                wanted &= frame["timestamp"] < pd.Timestamp(request.end_ns, tz="UTC")
            yield Series(_instrument(symbol), timeframe, frame[wanted].reset_index(drop=True))


def _cents(price: np.ndarray) -> np.ndarray:
    """The quoted prices: the file holds them as 32-bit floats, printed with six decimals (1229.229980 is 1229.23).

    Only a price whose 32-bit float is the given one is put back; any other stays, for the checks to refuse.
    """
    quoted = np.round(price, 2)
    same = np.abs(quoted.astype(np.float32).astype(np.float64) - price) < 1e-6
    return np.where(same, quoted, price)


def _instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        source="sample",
        venue="arch",
        asset_class="index",
        base=symbol,
        quote="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
        calendar="XNYS",
    )
