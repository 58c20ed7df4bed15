"""An instrument: what is traded, where, and the grid that its prices and quantities lie on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

AssetClass = Literal["crypto", "stock", "index"]
_DEFAULT_QUANTUM = Decimal("0.00000001")
_SAFE = re.compile(r"[^A-Za-z0-9._=^-]")


def folder_name(symbol: str) -> str:
    """A symbol as one safe path segment: ``BTC/USDT`` becomes ``BTC-USDT``; never empty, never dots only."""
    name = _SAFE.sub("-", symbol.strip()).strip(".")
    return name or "-"


def quantum_of(instruments: Iterable[Instrument]) -> Decimal:
    """The unit of money of an account that trades these: that of the finest."""
    return min(instrument.quantum for instrument in instruments)


def names_of(instruments: Sequence[Instrument]) -> tuple[str, ...]:
    """What to call each of several instruments: its symbol, or its key where two share a symbol."""
    symbols = [instrument.symbol for instrument in instruments]
    return tuple(each.key if symbols.count(each.symbol) > 1 else each.symbol for each in instruments)


def _decimals(grid: Decimal) -> int:
    return max(0, -int(grid.normalize().as_tuple().exponent))


class Instrument(BaseModel):
    """One instrument at one venue, with its trading rules.

    Prices are multiples of ``tick_size`` and quantities of ``lot_size``, both in decimal units of the
    quote and base currency. ``calendar`` is ``"24/7"`` or a name that exchange_calendars knows (``"XNYS"``).
    ``counted_in`` is not part of it but of the account that trades it, see `counted`; it is never stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str = Field(min_length=1, max_length=60)
    source: str = Field(min_length=1)
    venue: str = Field(min_length=1)
    asset_class: AssetClass
    base: str
    quote: str
    tick_size: Decimal = Field(gt=0)
    lot_size: Decimal = Field(gt=0)
    min_notional: Decimal = Field(default=Decimal(0), ge=0)
    maker_fee_ppm: int = Field(default=0, ge=-10_000, le=100_000)
    taker_fee_ppm: int = Field(default=0, ge=0, le=100_000)
    allow_short: bool = False
    calendar: str = "24/7"
    synthetic: bool = False
    counted_in: Decimal | None = Field(default=None, exclude=True, repr=False)

    @field_validator("symbol")
    @classmethod
    def _printable(cls, symbol: str) -> str:
        if not symbol.isprintable() or symbol != symbol.strip():
            raise ValueError("a symbol is printable text without spaces around it")
        return symbol

    @model_validator(mode="after")
    def _grid_fits(self) -> Instrument:
        if (self.tick_size * self.lot_size) % self.quantum:
            raise ValueError("tick size times lot size must be a multiple of the money quantum")
        return self

    @cached_property
    def quantum(self) -> Decimal:
        """The unit of money in the quote currency: 1e-8, or a finer power of ten where the grid needs it, or the
        account's."""
        if self.counted_in is not None:
            return self.counted_in
        quantum = _DEFAULT_QUANTUM
        while (self.tick_size * self.lot_size) % quantum:
            quantum /= 10
        return quantum

    @cached_property
    def tick_quanta(self) -> int:
        """Quanta in one tick of one lot, so that ``ticks * lots * tick_quanta`` is a notional."""
        return int(self.tick_size * self.lot_size / self.quantum)

    @cached_property
    def price_decimals(self) -> int:
        """Decimals of the grid of prices: 2 for ticks of 0.25, 0 for ticks of 10."""
        return _decimals(self.tick_size)

    @cached_property
    def quantity_decimals(self) -> int:
        """Decimals of the grid of quantities."""
        return _decimals(self.lot_size)

    def price_text(self, price: float | Decimal) -> str:
        """A price to the last digit of its grid: ``38,193.80``."""
        return f"{price:,.{self.price_decimals}f}"

    def quantity_text(self, quantity: float | Decimal) -> str:
        """A quantity to the last digit of its grid, zeros at the end left out: ``0.505``."""
        shown = f"{quantity:,.{self.quantity_decimals}f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown

    @property
    def key(self) -> str:
        """``source/venue/symbol`` with the symbol as a path segment: unique, and the folder in the store."""
        return f"{self.source}/{self.venue}/{folder_name(self.symbol)}"

    def counted(self, quantum: Decimal) -> Instrument:
        """The same with money in the quanta of an account that it shares: as fine as the finest of its instruments."""
        if quantum == self.quantum:
            return self
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Instrument(**{**fields, "counted_in": quantum})

    def price(self, ticks: int) -> Decimal:
        """A price in ticks as a decimal number."""
        return int(ticks) * self.tick_size

    def quantity(self, lots: int) -> Decimal:
        """A quantity in lots as a decimal number."""
        return int(lots) * self.lot_size

    def money(self, quanta: int) -> Decimal:
        """Money in quanta as a decimal number of the quote currency."""
        return int(quanta) * self.quantum

    @cached_property
    def ratios(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """A tick in price, a lot in quantity, a quantum in money, as integers ``(n, d)``: ``ticks * n / d`` is the
        float next to the exact price, without a decimal number in between."""
        return (
            self.tick_size.as_integer_ratio(),
            self.lot_size.as_integer_ratio(),
            self.quantum.as_integer_ratio(),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, decimals as text; `Instrument.model_validate` reads it back."""
        return self.model_dump(mode="json")
