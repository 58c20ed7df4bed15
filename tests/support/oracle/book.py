"""What changes while trading: orders, positions, the account, and the events that tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from oracle.rules import NO_BRACKET, Bracket

ZERO = Fraction(0)


@dataclass(eq=False)
class Order:
    """A working order. It is sized by ``quantity`` or by ``value``; both are what is left."""

    id: int
    book: int
    kind: str  # market, limit, stop, stop_limit, trailing
    side: int
    quantity: Fraction = ZERO
    value: Fraction = ZERO
    limit: Fraction = ZERO
    trigger: Fraction = ZERO
    trail: Fraction = ZERO
    trail_rate: Fraction = ZERO
    mark: Fraction = ZERO
    role: str = ""
    reduce_only: bool = False
    post_only: bool = False
    tif: str = "GTC"
    expires: int = 0
    since: int = 0
    bracket: Bracket = NO_BRACKET
    group: int = 0  # the entry whose exit it is
    reserve: Fraction = ZERO
    met: bool = False  # has met an open
    found: Fraction = ZERO  # of an exit: where the market was when a fill placed it
    resting: bool = False  # a stop-limit order triggered in this bar's path, which rests until the bar is over
    filled: Fraction = ZERO
    turnover: Fraction = ZERO
    rate_fees: Fraction = ZERO
    sale_fees: Fraction = ZERO
    fees_paid: Fraction = ZERO

    @property
    def by_value(self) -> bool:
        return self.value > 0

    @property
    def price(self) -> Fraction:
        """The price that was asked for: its limit, or the trigger that it waits for; a trailing stop has none."""
        return {"limit": self.limit, "stop": self.trigger, "stop_limit": self.trigger}.get(self.kind, ZERO)


@dataclass
class Position:
    """What is held of one instrument (short: negative), with what was paid for all of it."""

    quantity: Fraction = ZERO
    cost: Fraction = ZERO
    margin: Fraction = ZERO  # locked for it
    bars_held: int = 0
    last: Fraction = ZERO
    realised: Fraction = ZERO
    fees: Fraction = ZERO
    funding: Fraction = ZERO
    interest: Fraction = ZERO
    dividends: Fraction = ZERO
    best: Fraction = ZERO
    worst: Fraction = ZERO
    used: Fraction = ZERO  # of this bar's liquidity
    actions_done: int = 0
    borrow_day: int | None = None


@dataclass
class Account:
    cash: Fraction
    freed: Fraction = ZERO  # by the fills of this moment
    now: int = 0
    orders: list[Order] = field(default_factory=list)  # in time priority
    positions: list[Position] = field(default_factory=list)
    last_id: int = 0
    ambiguous: int = 0

    @property
    def locked(self) -> Fraction:
        return sum((o.reserve for o in self.orders), ZERO) + sum((p.margin for p in self.positions), ZERO)

    @property
    def free(self) -> Fraction:
        return self.cash - self.locked


@dataclass(frozen=True)
class Event:
    kind: str
    order_id: int
    at: int
    order_kind: str = ""
    role: str = ""
    side: int = 0
    quantity: Fraction = ZERO
    price: Fraction = ZERO
    reference: Fraction = ZERO
    fee: Fraction = ZERO
    realised: Fraction = ZERO
    position: Fraction = ZERO
    cash: Fraction = ZERO
    rule: str = ""
    reason: str = ""
    ambiguous: bool = False
    liquidity: str = ""
    amount: Fraction = ZERO
    book: int = 0
