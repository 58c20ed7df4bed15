"""A session's part of an account at an exchange: what it wants there, and what it has, as far as the exchange has told.

It takes the place of the simulation engine at a session's desk, and like it is pure: bars, decisions and what the
exchange said go in, events come out; the same always lead to the same. It sends nothing. What it wants (`wants`) is
read by whoever talks to the exchange, `pregao.sessions.brokers.courier`, and only after it was journaled.

One operation at a time, as in the engine: an entry at the market; once it has ended, a bracket for what it bought; to
leave, the bracket is cancelled first, and what is left then is sold at the market.
"""

from __future__ import annotations

import json
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError, UsageError
from pregao.core.money import FLOOR, NEAREST, PPM, mul_ppm
from pregao.simulation import layout
from pregao.simulation.accounts import AccountState, WorkingOrder
from pregao.simulation.events import Event
from pregao.simulation.plan import Plan

_MAGIC = b"PRGV1\n"
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


class VenueAccount:
    """See the module. Implements `pregao.simulation.execution.Execution`.

    Money is in the quote currency, exact: an exchange reckons finer than the session's quanta. A fee that is taken from
    what was bought counts as paid by a sale at the fill's price; one in a third currency is kept beside, unvalued.

    Attributes:
        wants: orders that have not ended, oldest first.
        leaving: why the position is to be closed; empty if it is not.
        name: of the account at the exchange; empty before it was reached.
        away: why the exchange is not heard; empty if it is.
        other_fees: by currency, what is in no figure.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        instrument = plan.instrument
        self._lot, self._tick, self._quantum = instrument.lot_size, instrument.tick_size, instrument.quantum
        self._cash = plan.cash_quanta * self._quantum
        self._held = self._dust = self._cost = self._fees = self._realised = _NONE
        self.other_fees: dict[str, Decimal] = {}
        self.wants: list[Want] = []
        self.leaving = self.name = self.away = ""
        self._stuck = False
        self._count = self._fills = self._bars = self._bars_held = 0
        self._now_ns = self._last = 0
        self._exits = (plan.take_profit_ppm, plan.stop_loss_ppm, 0, 0)  # distances, and prices where not 0

    # What the desk asks

    def step(self, bar: Bar) -> list[Event]:
        """The account is marked; a horizon that is over, or an exit that has to be tried again, is acted on."""
        self._now_ns, self._last = bar.close_ns, bar.close
        self._bars += 1
        self._stuck = False
        if self._lots():
            self._bars_held += 1
            horizon = self.plan.horizon_bars
            if 0 < horizon <= self._bars_held and not self.leaving:
                self.leaving = layout.REASONS[layout.HORIZON]
            bracket = self._wanted("bracket")
            if bracket and bracket.filled_lots and bar.close <= bracket.stop_ticks:
                # A take profit that has begun to fill has no stop loss beside it any more.
                self.leaving = self.leaving or "the stop loss was passed"
        return self._advance()

    def signal(self, signal: int, fraction_ppm: int = PPM, book: int = 0) -> list[Event]:
        """Enter, or leave; an entry is ignored while a position or another entry is there."""
        if signal == layout.LEAVE:
            if not self._lots() and not self._wanted("entry"):
                return []
            self.leaving = self.leaving or layout.REASONS[layout.REQUESTED]
            return self._advance()
        if self._lots() or self._wanted("entry"):
            return []
        value = mul_ppm(self.plan.entry_quanta, fraction_ppm, FLOOR)
        exits = self.plan.take_profit_ppm, self.plan.stop_loss_ppm, 0, 0
        return self._enter(1 if signal == layout.ENTER_LONG else -1, value, exits)

    def leave_now(self, price_ticks: int, ts_ns: int, book: int = 0) -> list[Event]:
        """At what price an exit fills is the exchange's to say."""
        return []

    def submit(self, kind: int, side: int, **how: Any) -> list[Event]:
        """An entry at the market with exits of its own: all that a session submits."""
        if kind != layout.MARKET or how.get("role") != layout.ENTRY:
            raise UsageError("A session sends its exchange entries at the market only.")
        exits = (
            self.plan.take_profit_ppm if how.get("take_profit_ppm") is None else int(how["take_profit_ppm"]),
            self.plan.stop_loss_ppm if how.get("stop_loss_ppm") is None else int(how["stop_loss_ppm"]),
            int(how.get("take_profit_ticks", 0)), int(how.get("stop_loss_ticks", 0)),
        )  # fmt: skip
        return self._enter(side, int(how["value_quanta"]), exits)

    def amend(self, order_id: int, *, qty_lots: int = 0, price_ticks: int = 0, limit_ticks: int = 0) -> list[Event]:
        """Move the stop loss of the bracket."""
        want = self._wanted("bracket")
        if want is None or order_id != want.number + 1 or want.ending or price_ticks <= 0:
            return []
        moved = self._change(want, stop_ticks=price_ticks)
        return [self._event("amended", moved, "stop_loss", reason=layout.REASONS[layout.REQUESTED])]

    def cancel(self, order_id: int) -> list[Event]:
        """Ask for an entry to be cancelled; the exchange says whether it came in time."""
        want = self._wanted("entry")
        if want is not None and want.number == order_id:
            self._change(want, ending=True)
        return []

    @property
    def account(self) -> AccountState:
        """As it was told, valued at the last close."""
        lots = self._lots()
        worth = (self._held + self._dust) * self._last * self._tick
        return AccountState(
            self._whole(self._cash + worth), self._whole(self._cash), lots, self._whole(self._cost),
            self._whole(self._realised), self._whole(self._fees), self._bars_held if lots else 0, self._last,
            self._now_ns, self._bars, self._fills, 0, 0, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def account_of(self, book: int) -> AccountState:
        """There is one instrument."""
        return self.account

    def waiting_of(self, book: int) -> bool:
        """Whether an entry or an exit at the market is on its way."""
        return any(want.role != "bracket" for want in self.wants)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """There is one instrument."""
        return (self.plan,)

    def quantum(self, book: int | None = None) -> float:
        """Money in one quantum of the quote currency."""
        return float(self._quantum)

    def open_orders(self) -> list[WorkingOrder]:
        """What is wanted: a bracket as its two exits."""
        found = []
        for w in self.wants:
            if w.role == "bracket":
                left = w.lots - w.filled_lots
                found.append(WorkingOrder(w.number, "limit", "take_profit", -1, left, 0, w.profit_ticks))
                found.append(WorkingOrder(w.number + 1, "stop", "stop_loss", -1, left, 0, w.stop_ticks))
            else:
                side = 1 if w.role == "entry" else -1
                found.append(WorkingOrder(w.number, "market", w.role, side, w.lots, w.value_quanta, 0))
        return found

    # What the exchange says

    def hear(self, told: list[dict[str, Any]]) -> list[Event]:
        """What became of orders, see `courier.News`: fills that are new, and how an order ended."""
        events = []
        for news in told:
            want = next((w for w in self.wants if w.number == news["id"]), None)
            if want is None:
                continue
            for fill in (f for f in news["fills"] if f["n"] > want.last_fill):  # each is taken once
                want = self._change(want, filled_lots=want.filled_lots + fill["qty"], last_fill=fill["n"])
                events.append(self._filled(want, fill))
            if news["state"] != "open":
                events += self._ended(want, news["state"], news["reason"])
        return events + self._advance()

    # Inside

    def _enter(self, side: int, value_quanta: int, exits: tuple[int, int, int, int]) -> list[Event]:
        self._exits = exits
        value = min(value_quanta, self._whole(self._cash))
        want = Want(self._next(), "entry", value_quanta=value)
        reason = 0
        if side < 0:
            reason = layout.NO_SHORT
        elif value < max(self._last * self.plan.instrument.tick_quanta, 1):
            reason = layout.MIN_NOTIONAL
        if reason:
            return [self._event("rejected", want, "entry", side=side, reason=layout.REASONS[reason])]
        self.wants.append(want)
        return [self._event("accepted", want, "entry")]

    def _advance(self) -> list[Event]:
        """What is to be wanted next, by what is there."""
        events: list[Event] = []
        entry, bracket, out = (self._wanted(role) for role in ("entry", "bracket", "exit"))
        lots = self._lots()
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
            self._bars_held = 0
            if not self.wants:
                self.leaving = ""
        return events

    def _levels(self, lots: int) -> tuple[int, int]:
        """Take profit and stop loss of the position, in ticks, from what it cost."""
        profit_ppm, loss_ppm, profit_at, stop_at = self._exits
        price = int((self._cost / (lots * self._lot * self._tick)).to_integral_value(ROUND_HALF_EVEN))
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
        instrument = self.plan.instrument
        in_kind = worth = realised = _NONE
        if fill["fee_in"] == instrument.quote:
            worth = fee
        elif fill["fee_in"] == instrument.base:
            in_kind, worth = fee, fee * fill["price"] * self._tick
        elif fee:
            self.other_fees[fill["fee_in"]] = self.other_fees.get(fill["fee_in"], _NONE) + fee
        if side > 0:
            got = quantity - in_kind
            self._cost += value - (worth if in_kind else _NONE)
            self._held += got
        else:
            had = self._held
            basis = (self._cost * quantity / had).quantize(self._quantum, ROUND_HALF_EVEN) if had else _NONE
            realised = value - basis
            self._cost -= basis
            self._held = had - quantity - in_kind
            if self._held < self._lot:  # less than can be sold
                self._dust, self._held, self._cost = self._dust + self._held, _NONE, _NONE
        self._cash -= side * value + (_NONE if in_kind else worth)
        self._fees += worth
        self._realised += realised
        self._fills += 1
        role = fill["role"]
        return self._event(
            "fill", want, role, number=want.number + (role == "stop_loss"), side=side, lots=fill["qty"],
            price=fill["price"], ts_ns=fill["ms"] * 1_000_000, fee=worth, realised=realised, rule=RULE,
            liquidity="maker" if fill["maker"] else "taker", amount=worth if in_kind else _NONE,
        )  # fmt: skip

    def _ended(self, want: Want, state: str, reason: str) -> list[Event]:
        """An order is at the exchange no more, or never came there."""
        self.wants = [w for w in self.wants if w.number != want.number]
        if want.role != "entry" and self._lots() and self._value(self._lots()) < self.plan.instrument.min_notional:
            # So little cannot be sold; it stays in the equity.
            self._dust, self._held, self._cost = self._dust + self._held, _NONE, _NONE
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
        expected = want.value_quanta // max(self._last * self.plan.instrument.tick_quanta, 1)
        return Event(
            kind, number or want.number, ts_ns or self._now_ns, order_kind, role,
            side or (1 if want.role == "entry" else -1), lots if lots is not None else want.lots or expected, price,
            price if kind == "fill" else 0, 0, self._whole(fee), self._whole(realised), self._lots(),
            self._whole(self._cash), rule, reason, False, liquidity=liquidity, amount_quanta=self._whole(amount),
        )  # fmt: skip

    def _wanted(self, role: str) -> Want | None:
        return next((want for want in self.wants if want.role == role), None)

    def _change(self, want: Want, **changes: Any) -> Want:
        changed = want._replace(**changes)
        self.wants = [changed if w.number == want.number else w for w in self.wants]
        return changed

    def _next(self, count: int = 1) -> int:
        self._count += count
        return self._count - count + 1

    def _lots(self) -> int:
        """Whole lots of the position."""
        return int(self._held / self._lot)

    def _value(self, lots: int) -> Decimal:
        return lots * self._lot * self._last * self._tick

    def _whole(self, money: Decimal) -> int:
        return int((money / self._quantum).to_integral_value(ROUND_FLOOR))

    # The state

    def to_bytes(self) -> bytes:
        """The whole state; `from_bytes` goes on from it."""
        own: dict[str, Any] = {name: str(getattr(self, name)) for name in _MONEY}
        own |= {name: getattr(self, name) for name in _PLAIN}
        own |= {"wants": self.wants, "other_fees": {name: str(fee) for name, fee in self.other_fees.items()}}
        return _MAGIC + json.dumps(own, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, plans: Any, raw: bytes) -> VenueAccount:
        """An account in a saved state; raises `PregaoError` if the bytes are none."""
        if not raw.startswith(_MAGIC):
            raise PregaoError("This is not a saved account at an exchange of this version of Pregão.")
        state = json.loads(raw[len(_MAGIC) :])
        account = cls(plans)
        for name in _MONEY:
            setattr(account, name, Decimal(state[name]))
        for name in _PLAIN:
            setattr(account, name, state[name])
        account._exits = tuple(state["_exits"])
        account.wants = [Want(*want) for want in state["wants"]]
        account.other_fees = {name: Decimal(fee) for name, fee in state["other_fees"].items()}
        return account


_MONEY = ("_cash", "_held", "_dust", "_cost", "_fees", "_realised")
_PLAIN = ("leaving", "name", "away", "_stuck", "_count", "_fills", "_bars", "_bars_held", "_now_ns", "_last", "_exits")
