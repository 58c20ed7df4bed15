"""A session's part of an account at an exchange: what it wants there, and what it has, as far as the exchange has told.

It takes the place of the simulation engine at a session's desks, and like it is pure: bars, decisions and what the
exchange said go in, events come out; the same always lead to the same. It sends nothing. What it wants is read by
whoever talks to the exchange, `pregao.sessions.brokers.courier`, and only after it was journaled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from functools import partial
from typing import Any

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError, UsageError
from pregao.core.money import FLOOR, PPM, mul_ppm
from pregao.sessions.brokers.operation import Operation, Purse
from pregao.simulation import layout
from pregao.simulation.accounts import AccountState, WorkingOrder
from pregao.simulation.events import Event
from pregao.simulation.plan import Plan

_MAGIC, _MAGIC_OF_SEVERAL = b"PRGV1\n", b"PRGV2\n"


class VenueAccount:
    """See the module. Implements `pregao.simulation.execution.Execution`.

    Args:
        plans: of its instruments, all quoted in one currency; the first one's cash is the account's.

    Attributes:
        operations: one an instrument.
        purse: what they share.
    """

    def __init__(self, plans: Plan | Sequence[Plan]) -> None:
        self.plans = (plans,) if isinstance(plans, Plan) else tuple(plans)
        self.plan = self.plans[0]
        self._quantum = self.plan.instrument.quantum
        self.purse = Purse(self.plan.cash_quanta * self._quantum)
        self.operations = [
            Operation(plan, self.purse, book, partial(self._entering, book)) for book, plan in enumerate(self.plans)
        ]
        self._bars = 0

    @property
    def reached(self) -> bool:
        """Whether the exchange was reached at all."""
        return any(each.name for each in self.operations)

    # What the desks ask

    def step_all(self, bars: Mapping[int, Bar]) -> list[Event]:
        """The closed bars of one moment arrive, by the instruments' places in the account."""
        self.purse.now_ns = next(iter(bars.values())).close_ns
        self._bars += 1
        return [event for book, bar in bars.items() for event in self.operations[book].step(bar)]

    def step(self, bar: Bar) -> list[Event]:
        """A closed bar of the first instrument arrives."""
        return self.step_all({0: bar})

    def signal(self, signal: int, fraction_ppm: int = PPM, book: int = 0) -> list[Event]:
        """Enter, or leave; an entry is ignored while a position or another entry is there."""
        operation = self.operations[book]
        if signal == layout.LEAVE:
            return operation.leave()
        if operation.busy:
            return []
        plan = operation.plan
        value = mul_ppm(plan.entry_quanta, fraction_ppm, FLOOR)
        exits = plan.take_profit_ppm, plan.stop_loss_ppm, 0, 0
        return operation.enter(1 if signal == layout.ENTER_LONG else -1, value, exits)

    def leave_now(self, price_ticks: int, ts_ns: int, book: int = 0) -> list[Event]:
        """At what price an exit fills is the exchange's to say."""
        return []

    def submit(self, kind: int, side: int, **how: Any) -> list[Event]:
        """An entry at the market with exits of its own: all that a session submits."""
        if kind != layout.MARKET or how.get("role") != layout.ENTRY:
            raise UsageError("A session sends its exchange entries at the market only.")
        operation = self.operations[int(how.get("book", 0))]
        plan = operation.plan
        exits = (
            plan.take_profit_ppm if how.get("take_profit_ppm") is None else int(how["take_profit_ppm"]),
            plan.stop_loss_ppm if how.get("stop_loss_ppm") is None else int(how["stop_loss_ppm"]),
            int(how.get("take_profit_ticks", 0)), int(how.get("stop_loss_ticks", 0)),
        )  # fmt: skip
        return operation.enter(side, int(how["value_quanta"]), exits)

    def amend(self, order_id: int, *, qty_lots: int = 0, price_ticks: int = 0, limit_ticks: int = 0) -> list[Event]:
        """Move the stop loss of a bracket."""
        return [event for each in self.operations for event in each.move_stop(order_id, price_ticks)]

    def cancel(self, order_id: int) -> list[Event]:
        """Ask for an entry to be cancelled; the exchange says whether it came in time."""
        for each in self.operations:
            each.cancel(order_id)
        return []

    @property
    def account(self) -> AccountState:
        """As it was told, valued at the last closes, with the first instrument."""
        return self.account_of(0)

    def account_of(self, book: int) -> AccountState:
        """As it was told, valued at the last closes, with one of its instruments."""
        one, purse = self.operations[book], self.purse
        equity = purse.cash + sum(each.worth for each in self.operations)
        return AccountState(
            self._whole(equity), self._whole(purse.cash), one.lots, self._whole(one.cost), self._whole(one.realised),
            self._whole(one.fees), one.bars_held if one.lots else 0, one.last, purse.now_ns, self._bars,
            sum(each.fills for each in self.operations), 0, 0, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def waiting_of(self, book: int) -> bool:
        """Whether an entry or an exit at the market is on its way."""
        return any(want.role != "bracket" for want in self.operations[book].wants)

    def quantum(self, book: int | None = None) -> float:
        """Money in one quantum of the quote currency."""
        return float(self._quantum)

    def open_orders(self) -> list[WorkingOrder]:
        """What is wanted: a bracket as its two exits."""
        return [order for each in self.operations for order in each.open_orders()]

    # What the exchange says

    def hear(self, told: list[dict[str, Any]]) -> list[Event]:
        """What became of orders, see `courier.Courier.take`."""
        events = [event for news in told for each in self.operations for event in each.hear(news)]
        return events + [event for each in self.operations for event in each.advance()]

    # Inside

    def _entering(self, book: int) -> Decimal:
        """What the entries of the other instruments are going to spend."""
        return sum((each.entering for each in self.operations if each.book != book), Decimal(0))

    def _whole(self, money: Decimal) -> int:
        return int((money / self._quantum).to_integral_value(ROUND_FLOOR))

    # The state

    def to_bytes(self) -> bytes:
        """The whole state; `from_bytes` goes on from it."""
        purse = self.purse
        shared: dict[str, Any] = {
            "_cash": str(purse.cash), "_count": purse.count, "_now_ns": purse.now_ns, "_bars": self._bars,
            "other_fees": {name: str(fee) for name, fee in purse.other_fees.items()},
        }  # fmt: skip
        own = [each.state() for each in self.operations]
        if len(own) == 1:  # as it was when there was never more than one: journals have its hash
            return _MAGIC + _plain(shared | own[0])
        return _MAGIC_OF_SEVERAL + _plain(shared | {"books": own})

    @classmethod
    def from_bytes(cls, plans: Any, raw: bytes) -> VenueAccount:
        """An account in a saved state; raises `PregaoError` if the bytes are none."""
        account = cls(plans)
        magic = _MAGIC if len(account.plans) == 1 else _MAGIC_OF_SEVERAL
        if not raw.startswith(magic):
            raise PregaoError("This is not a saved account at an exchange of this version of Pregão.")
        state = json.loads(raw[len(magic) :])
        purse = account.purse
        purse.cash, purse.count, purse.now_ns = Decimal(state["_cash"]), state["_count"], state["_now_ns"]
        purse.other_fees = {name: Decimal(fee) for name, fee in state["other_fees"].items()}
        account._bars = state["_bars"]
        for each, own in zip(account.operations, state.get("books", [state]), strict=True):
            each.restore(own)
        return account


def _plain(state: dict[str, Any]) -> bytes:
    return json.dumps(state, sort_keys=True, separators=(",", ":")).encode()
