"""Instruments, series and bars as the API tells them."""

from __future__ import annotations

from pydantic import BaseModel

from pregao.core.bars import Bar
from pregao.core.instrument import Instrument


class InstrumentOut(BaseModel):
    """An instrument, with the decimals that its prices and quantities are shown with."""

    key: str
    symbol: str
    asset_class: str
    base: str
    quote: str
    synthetic: bool
    price_decimals: int
    quantity_decimals: int

    @classmethod
    def of(cls, instrument: Instrument) -> InstrumentOut:
        """The shape for an instrument."""
        return cls(
            key=instrument.key,
            symbol=instrument.symbol,
            asset_class=instrument.asset_class,
            base=instrument.base,
            quote=instrument.quote,
            synthetic=instrument.synthetic,
            price_decimals=instrument.price_decimals,
            quantity_decimals=instrument.quantity_decimals,
        )


class SeriesOut(BaseModel):
    """The bars of one timeframe in the store: how many, and the open times of the first and the last."""

    timeframe: str
    bars: int
    first: float
    last: float


class StoredInstrument(InstrumentOut):
    """An instrument of the store with its series, shortest timeframe first."""

    series: list[SeriesOut]


class BarOut(BaseModel):
    """One bar: open time, prices, volume in base units."""

    t: int
    o: float
    h: float
    l: float  # noqa: E741  # the field's usual name
    c: float
    v: float

    @classmethod
    def of(cls, bar: Bar, instrument: Instrument) -> BarOut:
        """The shape for a bar."""
        o, h, low, c = (float(instrument.price(ticks)) for ticks in bar[2:6])
        return cls(t=bar.open_ns // 10**9, o=o, h=h, l=low, c=c, v=bar.volume)
