"""One instrument of an account at an exchange: what is wanted there, and what is held, as far as the exchange has told.

One operation at a time, as in the simulation engine: an entry at the market; once it has ended, a bracket for what it
bought; to leave, the bracket is cancelled first, and what is left then is sold at the market. An entry of which nothing
final is known when the next bar closes is cancelled: what it was decided on is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from pregao.core.bars import Bar
from pregao.core.money import NEAREST, mul_ppm
from pregao.simulation import layout
from pregao.simulation.accounts import WorkingOrder
from pregao.simulation.events import Event
from pregao.simulation.plan import Plan

RULE = layout.RULE_NAMES[layout.AT_VENUE]
_NONE = Decimal(0)


class Want(NamedTuple):
    """An order that a session wants to be at the exchange.

    Attributes:
        number: of the session's; a bracket has the next one too, for its stop loss.
        role: entry, exit (at the market) or bracket.
        value_quanta: what an entry may spend; 0 for exits, which have ``lots``.
        profit_ticks, stop_ticks: of a bracket.
        ending: it is to be cancelled.
        waits: not to be sent yet: an exit, for what is before it to end.
        filled_lots: so far.
        last_fill: number of its last fill that was told.
    """

    number: int
    role: str
    lots: int = 0
    value_quanta: int = 0
    profit_ticks: int = 0
    stop_ticks: int = 0
    ending: bool = False
    waits: bool = False
    filled_lots: int = 0
    last_fill: int = 0


@dataclass
class Purse:
    """What the instruments of an account share.

    Attributes:
        cash: in the quote currency.
        count: numbers given to orders.
        now_ns: the close of the last bar.
        other_fees: by currency, what is in no figure.
    """

    cash: Decimal
    count: int = 0
    now_ns: int = 0
    other_fees: dict[str, Decimal] = field(default_factory=dict)


class Operation:
    """See the module.

    Money is in the quote currency, exact: an exchange reckons finer than the session's quanta. A fee that is taken from
    what was bought counts as paid by a sale at the fill's price; one in a third currency is kept beside, unvalued.

    Args:
        purse: what it shares with the account's other instruments.
        book: the instrument's place there.
        spoken_for: money that entries of the others are to spend.

    Attributes:
        wants: orders that have not ended, oldest first.
        leaving: why the position is to be closed; empty if it is not.
        name: of the account and the market at the exchange; empty before it was reached.
        away: why the exchange is not heard; empty if it is.
        held, dust: of the base currency: the position, and what is less than can be sold.
        last: price of the last close, in ticks.
    """

    def __init__(self, plan: Plan, purse: Purse, book: int, spoken_for: Callable[[], Decimal]) -> None:
        self.plan, self.purse, self.book = plan, purse, book
        self._spoken_for = spoken_for
        instrument = plan.instrument
        self._lot, self._tick, self._quantum = instrument.lot_size, instrument.tick_size, instrument.quantum
        self.held = self.dust = self.cost = self.fees = self.realised = _NONE
        self.wants: list[Want] = []
        self.leaving = self.name = self.away = ""
        self._stuck = False
        self.fills = self.bars_held = self.last = 0
        self._exits: tuple[int, ...] = (plan.take_profit_ppm, plan.stop_loss_ppm, 0, 0)  # distances, prices where not 0

    # What the account asks

    def step(self, bar: Bar) -> list[Event]:
        """A closed bar arrives: what waits too long, a horizon that is over, or an exit that has to be tried again, is
        acted on."""
        self.last = bar.close
        self._stuck = False
        entry = self._wanted("entry")
        if entry is not None:
            self._change(entry, ending=True)
        if self.lots:
            self.bars_held += 1
            horizon = self.plan.horizon_bars
            if 0 < horizon <= self.bars_held and not self.leaving:
                self.leaving = layout.REASONS[layout.HORIZON]
            bracket = self._wanted("bracket")
            if bracket and bracket.filled_lots and bar.close <= bracket.stop_ticks:
                # A take profit that has begun to fill has no stop loss beside it any more.
                self.leaving = self.leaving or "the stop loss was passed"
        return self.advance()

    @property
    def busy(self) -> bool:
        """Whether a position or an entry is there."""
        return bool(self.lots or self._wanted("entry"))

    def leave(self) -> list[Event]:
        """Close what is there."""
        if not self.busy:
            return []
        self.leaving = self.leaving or layout.REASONS[layout.REQUESTED]
        return self.advance()

    def enter(self, side: int, value_quanta: int, exits: tuple[int, int, int, int]) -> list[Event]:
        """Open a position at the market.

        Args:
            exits: distances of take profit and stop loss from what it cost, ppm, and their prices in ticks, which count
                where they are not 0.
        """
        self._exits = exits
        value = min(value_quanta, self._whole(self.purse.cash - self._spoken_for()))
        want = Want(self._next(), "entry", value_quanta=value)
        reason = 0
        if side < 0:
            reason = layout.NO_SHORT
        elif value < max(self.last * self.plan.instrument.tick_quanta, 1):
            reason = layout.MIN_NOTIONAL
        if reason:
            return [self._event("rejected", want, "entry", side=side, reason=layout.REASONS[reason])]
        self.wants.append(want)
        return [self._event("accepted", want, "entry")]

    def move_stop(self, order_id: int, price_ticks: int) -> list[Event]:
        """Another price for the stop loss of the bracket; no event if that is not the order that is meant."""
        want = self._wanted("bracket")
        if want is None or order_id != want.number + 1 or want.ending or price_ticks <= 0:
            return []
        moved = self._change(want, stop_ticks=price_ticks)
        return [self._event("amended", moved, "stop_loss", reason=layout.REASONS[layout.REQUESTED])]

    def cancel(self, order_id: int) -> None:
        """Ask for an entry to be cancelled; the exchange says whether it came in time."""
        want = self._wanted("entry")
        if want is not None and want.number == order_id:
            self._change(want, ending=True)

    @property
    def lots(self) -> int:
        """Whole lots of the position."""
        return int(self.held / self._lot)

    @property
    def worth(self) -> Decimal:
        """What is held, at the last close."""
        return (self.held + self.dust) * self.last * self._tick

    @property
    def entering(self) -> Decimal:
        """What an entry is still going to spend: all that is held then is its own."""
        want = self._wanted("entry")
        return max(want.value_quanta * self._quantum - self.cost, _NONE) if want is not None else _NONE

    def open_orders(self) -> list[WorkingOrder]:
        """What is wanted: a bracket as its two exits."""
        found = []
        for w in self.wants:
            if w.role == "bracket":
                left = w.lots - w.filled_lots
                found += [
                    WorkingOrder(w.number, "limit", "take_profit", -1, left, 0, w.profit_ticks, book=self.book),
                    WorkingOrder(w.number + 1, "stop", "stop_loss", -1, left, 0, w.stop_ticks, book=self.book),
                ]
            else:
                side = 1 if w.role == "entry" else -1
                found.append(WorkingOrder(w.number, "market", w.role, side, w.lots, w.value_quanta, 0, book=self.book))
        return found

    # What the exchange says

    def hear(self, news: dict[str, Any]) -> list[Event]:
        """What became of an order, see `courier.Courier.take`: fills that are new, and how it ended."""
        want = next((w for w in self.wants if w.number == news["id"]), None)
        if want is None:
            return []
        events = []
        for fill in (f for f in news["fills"] if f["n"] > want.last_fill):  # each is taken once
            want = self._change(want, filled_lots=want.filled_lots + fill["qty"], last_fill=fill["n"])
            events.append(self._filled(want, fill))
        return events + (self._ended(want, news["state"], news["reason"]) if news["state"] != "open" else [])

    def advance(self) -> list[Event]:
        """What is to be wanted next, by what is there."""
        events: list[Event] = []
        entry, bracket, out = (self._wanted(role) for role in ("entry", "bracket", "exit"))
        lots = self.lots
        if self.leaving and out is None and not self._stuck and (lots or entry):
            out = Want(self._next(), "exit", lots, waits=True)
            events += self._want(out, ("exit", 0))
        for before in (entry, bracket):
            if before is not None:
                if self.leaving and not before.ending:
                    self._change(before, ending=True)
                return events
        if out is not None and out.waits:
            if lots:
                self._change(out, lots=lots, waits=False)
            else:
                events += self._ended(out, "cancelled", layout.REASONS[layout.FLAT])
        elif out is None and lots and not self._stuck:
            profit, stop = self._levels(lots)
            want = Want(self._next(2), "bracket", lots, profit_ticks=profit, stop_ticks=stop)
            events += self._want(want, ("take_profit", profit), ("stop_loss", stop))
        if not lots:
            self.bars_held = 0
            if not self.wants:
                self.leaving = ""
        return events

    # Inside

    def _levels(self, lots: int) -> tuple[int, int]:
        """Take profit and stop loss of the position, in ticks, from what it cost."""
        profit_ppm, loss_ppm, profit_at, stop_at = self._exits
        price = int((self.cost / (lots * self._lot * self._tick)).to_integral_value(ROUND_HALF_EVEN))
        profit = profit_at or price + max(mul_ppm(price, profit_ppm, NEAREST), 1)
        return profit, stop_at or max(price - max(mul_ppm(price, loss_ppm, NEAREST), 1), 1)

    def _want(self, want: Want, *legs: tuple[str, int]) -> list[Event]:
        self.wants.append(want)
        return [
            self._event("accepted", want, role, number=want.number + i, price=price)
            for i, (role, price) in enumerate(legs)
        ]

    def _filled(self, want: Want, fill: dict[str, Any]) -> Event:
        """Take an execution into the account."""
        side, quantity = fill["side"], fill["qty"] * self._lot
        value, fee = quantity * fill["price"] * self._tick, Decimal(fill["fee"])
        instrument, purse = self.plan.instrument, self.purse
        in_kind = worth = realised = _NONE
        if fill["fee_in"] == instrument.quote:
            worth = fee
        elif fill["fee_in"] == instrument.base:
            in_kind, worth = fee, fee * fill["price"] * self._tick
        elif fee:
            purse.other_fees[fill["fee_in"]] = purse.other_fees.get(fill["fee_in"], _NONE) + fee
        if side > 0:
            got = quantity - in_kind
            self.cost += value - (worth if in_kind else _NONE)
            self.held += got
        else:
            had = self.held
            basis = (self.cost * quantity / had).quantize(self._quantum, ROUND_HALF_EVEN) if had else _NONE
            realised = value - basis
            self.cost -= basis
            self.held = had - quantity - in_kind
            if self.held < self._lot:  # less than can be sold
                self.dust, self.held, self.cost = self.dust + self.held, _NONE, _NONE
        purse.cash -= side * value + (_NONE if in_kind else worth)
        self.fees += worth
        self.realised += realised
        self.fills += 1
        role = fill["role"]
        return self._event(
            "fill", want, role, number=want.number + (role == "stop_loss"), side=side, lots=fill["qty"],
            price=fill["price"], ts_ns=fill["ms"] * 1_000_000, fee=worth, realised=realised, rule=RULE,
            liquidity="maker" if fill["maker"] else "taker", amount=worth if in_kind else _NONE,
        )  # fmt: skip

    def _ended(self, want: Want, state: str, reason: str) -> list[Event]:
        """An order is at the exchange no more, or never came there."""
        self.wants = [w for w in self.wants if w.number != want.number]
        if want.role != "entry" and self.lots and self._value(self.lots) < self.plan.instrument.min_notional:
            # So little cannot be sold; it stays in the equity.
            self.dust, self.held, self.cost = self.dust + self.held, _NONE, _NONE
        if state == "filled":
            return []
        if state == "rejected":
            if want.role == "bracket":
                self.leaving = self.leaving or "the exits were refused"
            self._stuck = want.role == "exit"
        kind = "rejected" if state == "rejected" else "cancelled"
        legs = ("take_profit", "stop_loss") if want.role == "bracket" else (want.role,)
        return [
            self._event(kind, want, leg, number=want.number + i, reason=reason or state) for i, leg in enumerate(legs)
        ]

    def _event(
        self,
        kind: str,
        want: Want,
        role: str,
        *,
        number: int = 0,
        side: int = 0,
        lots: int | None = None,
        price: int = 0,
        ts_ns: int = 0,
        fee: Decimal = _NONE,
        realised: Decimal = _NONE,
        rule: str = "",
        reason: str = "",
        liquidity: str = "",
        amount: Decimal = _NONE,
    ) -> Event:
        order_kind = {"take_profit": "limit", "stop_loss": "stop"}.get(role, "market")
        if kind == "amended":
            number, price = want.number + 1, want.stop_ticks
        expected = want.value_quanta // max(self.last * self.plan.instrument.tick_quanta, 1)
        return Event(
            kind, number or want.number, ts_ns or self.purse.now_ns, order_kind, role,
            side or (1 if want.role == "entry" else -1), lots if lots is not None else want.lots or expected, price,
            price if kind == "fill" else 0, 0, self._whole(fee), self._whole(realised), self.lots,
            self._whole(self.purse.cash), rule, reason, False, liquidity=liquidity, amount_quanta=self._whole(amount),
            book=self.book,
        )  # fmt: skip

    def _wanted(self, role: str) -> Want | None:
        return next((want for want in self.wants if want.role == role), None)

    def _change(self, want: Want, **changes: Any) -> Want:
        changed = want._replace(**changes)
        self.wants = [changed if w.number == want.number else w for w in self.wants]
        return changed

    def _next(self, count: int = 1) -> int:
        self.purse.count += count
        return self.purse.count - count + 1

    def _value(self, lots: int) -> Decimal:
        return lots * self._lot * self.last * self._tick

    def _whole(self, money: Decimal) -> int:
        return int((money / self._quantum).to_integral_value(ROUND_FLOOR))

    # The state

    def state(self) -> dict[str, Any]:
        """As JSON; `restore` takes it back."""
        own: dict[str, Any] = {f"_{name}": str(getattr(self, name)) for name in _MONEY}
        return own | {name: getattr(self, attribute) for name, attribute in _PLAIN.items()} | {"wants": self.wants}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for name in _MONEY:
            setattr(self, name, Decimal(state[f"_{name}"]))
        for name, attribute in _PLAIN.items():
            setattr(self, attribute, state[name])
        self._exits = tuple(state["_exits"])
        self.wants = [Want(*want) for want in state["wants"]]


_MONEY = ("held", "dust", "cost", "fees", "realised")
_PLAIN = {
    "leaving": "leaving", "name": "name", "away": "away", "_stuck": "_stuck", "_fills": "fills",
    "_bars_held": "bars_held", "_last": "last", "_exits": "_exits",
}  # fmt: skip
