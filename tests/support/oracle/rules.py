"""What is agreed before trading starts: the grid of an instrument, the terms of its venue, the bars."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

BUY, SELL = 1, -1
DAY_NS = 86_400 * 10**9


def down(amount: Fraction, step: Fraction) -> Fraction:
    """The multiple of ``step`` at or below."""
    return math.floor(amount / step) * step


def up(amount: Fraction, step: Fraction) -> Fraction:
    """The multiple of ``step`` at or above."""
    return math.ceil(amount / step) * step


def nearest(amount: Fraction, step: Fraction) -> Fraction:
    """The multiple of ``step`` that is nearest, of two the upper."""
    return math.floor(amount / step + Fraction(1, 2)) * step


@dataclass(frozen=True)
class Fees:
    """Rates are parts of the value of a fill, the rest is money."""

    maker: Fraction = Fraction(0)
    taker: Fraction = Fraction(0)
    flat: Fraction = Fraction(0)
    per_unit: Fraction = Fraction(0)
    minimum: Fraction = Fraction(0)
    cap: Fraction = Fraction(0)
    sale: Fraction = Fraction(0)


@dataclass(frozen=True)
class Funding:
    at: int
    rate: Fraction


@dataclass(frozen=True)
class Split:
    """``new`` shares for ``old``."""

    at: int
    new: int
    old: int


@dataclass(frozen=True)
class Dividend:
    at: int
    per_unit: Fraction


Action = Funding | Split | Dividend


@dataclass(frozen=True)
class Terms:
    """Rates are parts of one. Slippage: ``fixed``, ``half_spread`` of the price, and price * ``impact`` * share**2."""

    fees: Fees = Fees()
    fixed: Fraction = Fraction(0)
    half_spread: Fraction = Fraction(0)
    impact: Fraction = Fraction(0)
    path: str = "pessimistic"
    touch: bool = False
    participation: Fraction | None = None
    latency: int = 0
    margined: bool = False
    initial_margin: Fraction = Fraction(1)
    maintenance_margin: Fraction = Fraction(0)
    liquidation_fee: Fraction = Fraction(0)
    borrow: Fraction = Fraction(0)
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Market:
    """One instrument as it is traded: its grid, and the terms."""

    tick: Fraction
    lot: Fraction
    quantum: Fraction
    terms: Terms = field(default_factory=Terms)
    least_value: Fraction = Fraction(0)
    allow_short: bool = True
    horizon: int = 0


@dataclass(frozen=True)
class Bracket:
    """Where the exits of an entry lie: parts of the fill price, or prices."""

    profit: Fraction = Fraction(0)
    loss: Fraction = Fraction(0)
    profit_price: Fraction = Fraction(0)
    loss_price: Fraction = Fraction(0)


NO_BRACKET = Bracket()


@dataclass(frozen=True)
class Candle:
    opens: int
    closes: int
    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction
    volume: Fraction = Fraction(0)
    finer: tuple[Candle, ...] = ()
    in_session: bool = True
