"""The engine: the compiled step driven bar by bar, as a live session needs it."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.core.money import PPM
from pregao.simulation import kernel, layout
from pregao.simulation.plan import Plan

_MAGIC = b"PRGE1"


class Event(NamedTuple):
    """What happened to an order, and why. Prices in ticks, quantities in lots, money in quanta.

    ``kind`` is accepted, fill, cancelled or rejected; ``role`` entry, take_profit, stop_loss, exit or empty;
    ``rule`` (fills only) open, gap or path. ``reference_ticks`` is the price before ``slippage_ticks``.
    ``position_lots`` and ``cash_quanta`` are those after the event. ``ambiguous`` marks a stop that filled in a bar
    which also reached the take profit.
    """

    kind: str
    order_id: int
    ts_ns: int
    order_kind: str
    role: str
    side: int
    qty_lots: int
    price_ticks: int
    reference_ticks: int
    slippage_ticks: int
    fee_quanta: int
    realised_quanta: int
    position_lots: int
    cash_quanta: int
    rule: str
    reason: str
    ambiguous: bool


class AccountState(NamedTuple):
    """The account after the last event, all integers: quanta, lots, ticks, ns. ``cost_quanta`` is signed."""

    equity_quanta: int
    cash_quanta: int
    position_lots: int
    cost_quanta: int
    realised_quanta: int
    fees_quanta: int
    bars_held: int
    last_ticks: int
    now_ns: int
    bars: int
    fills: int
    ambiguous: int


class WorkingOrder(NamedTuple):
    """An order that waits in the book. ``price_ticks`` is its limit or trigger; 0 for market orders."""

    order_id: int
    kind: str
    role: str
    side: int
    qty_lots: int
    value_quanta: int
    price_ticks: int


def event_of(row: Any) -> Event:
    """One row of `layout.EVENT` as an `Event`."""
    (
        kind,
        order_id,
        ts,
        order_kind,
        role,
        side,
        qty,
        price,
        reference,
        slip,
        fee,
        realised,
        pos,
        cash,
        rule,
        why,
        amb,
    ) = row.item()
    return Event(
        layout.EVENT_KINDS[kind], order_id, ts, layout.ORDER_KINDS[order_kind], layout.ROLES[role], side, qty, price,
        reference, slip, fee, realised, pos, cash, layout.RULES[rule], layout.REASONS[why], bool(amb),
    )  # fmt: skip


class Engine:
    """One simulated account on one instrument. The same bars and orders give the same bytes, always."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._plans = plan.record()
        self._tick_quanta = plan.instrument.tick_quanta
        self._accounts = np.zeros(1, layout.ACCOUNT)
        self._accounts[0]["cash"] = plan.cash_quanta
        self._orders = np.zeros(layout.CAPACITY + 1, layout.ORDER)
        self._scratch = np.zeros(2, layout.ORDER)
        self._events = np.zeros(2 * layout.ROOM, layout.EVENT)
        self._cursor = np.zeros(1, np.int64)

    @property
    def state(self) -> tuple[NDArray[Any], ...]:
        """The arrays that `kernel.run` and `kernel.step` change in place: accounts, orders, plans."""
        return self._accounts, self._orders, self._plans

    def step(self, bar: Bar) -> list[Event]:
        """A closed bar arrives: working orders meet its open and its path; the account is marked at its close."""
        if bar.open_ns < self._accounts[0]["now_ns"]:
            raise PregaoError(f"A bar that opened at {bar.open_ns} ns came after one that closed later.")
        kernel.step(
            self._accounts, self._orders, self._plans, self._events, self._cursor, self._scratch,
            bar.open_ns, bar.close_ns, bar.open, bar.high, bar.low, bar.close,
        )  # fmt: skip
        return self._drain()

    def signal(self, signal: int, fraction_ppm: int = PPM) -> list[Event]:
        """Act on a decision taken at the last close: `layout.ENTER_LONG`, `ENTER_SHORT` or `LEAVE`."""
        kernel.act(self._accounts, self._orders, self._plans, self._events, self._cursor, signal, fraction_ppm)
        return self._drain()

    def submit(
        self,
        kind: int,
        side: int,
        *,
        qty_lots: int = 0,
        value_quanta: int = 0,
        price_ticks: int = 0,
        role: int = layout.PLAIN,
        reduce_only: bool = False,
    ) -> list[Event]:
        """Place a market, limit or stop order (`layout.MARKET`…); rejected ones say why in their event.

        With ``role=layout.ENTRY`` the plan's take profit and stop loss are attached when it fills.
        """
        kernel.submit(
            self._accounts, self._orders, self._plans, self._events, self._cursor,
            kind, role, side, qty_lots, value_quanta, price_ticks, int(reduce_only),
        )  # fmt: skip
        return self._drain()

    def cancel(self, order_id: int) -> list[Event]:
        """Cancel a working order; empty if there is none with this id."""
        kernel.cancel(self._accounts, self._orders, self._events, self._cursor, order_id)
        return self._drain()

    @property
    def account(self) -> AccountState:
        """The account now."""
        cash, fees, realised, lots, cost, held, last, now_ns, bars, _, _, fills, ambiguous = self._accounts[0].item()
        equity = cash + lots * last * self._tick_quanta
        return AccountState(equity, cash, lots, cost, realised, fees, held, last, now_ns, bars, fills, ambiguous)

    @property
    def waiting(self) -> bool:
        """Whether an entry or an exit of a signal waits to fill."""
        roles = self._orders["role"][: int(self._accounts[0]["orders"])].tolist()
        return layout.ENTRY in roles or layout.EXIT in roles

    def open_orders(self) -> list[WorkingOrder]:
        """The working orders, oldest first."""
        return [
            WorkingOrder(
                int(o["id"]), layout.ORDER_KINDS[int(o["kind"])], layout.ROLES[int(o["role"])], int(o["side"]),
                int(o["qty_lots"]), int(o["value"]), int(o["price_ticks"]),
            )
            for o in self._orders[: int(self._accounts[0]["orders"])]
        ]  # fmt: skip

    def to_bytes(self) -> bytes:
        """The whole state; `from_bytes` goes on from it as if nothing had happened."""
        return _MAGIC + self._accounts.tobytes() + self._orders.tobytes()

    @classmethod
    def from_bytes(cls, plan: Plan, raw: bytes) -> Engine:
        """An engine in a saved state; raises `PregaoError` if the bytes are not one of this version."""
        engine = cls(plan)
        size = len(_MAGIC) + engine._accounts.nbytes + engine._orders.nbytes
        if raw[: len(_MAGIC)] != _MAGIC or len(raw) != size:
            raise PregaoError("This is not a saved state of this version of the simulation engine.")
        accounts, orders = raw[len(_MAGIC) :][: engine._accounts.nbytes], raw[-engine._orders.nbytes :]
        engine._accounts = np.frombuffer(accounts, layout.ACCOUNT).copy()
        engine._orders = np.frombuffer(orders, layout.ORDER).copy()
        return engine

    def digest(self) -> str:
        """SHA-256 of the state, hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _drain(self) -> list[Event]:
        count = int(self._cursor[0])
        if count == 0:
            return []
        self._cursor[0] = 0
        return [event_of(row) for row in self._events[:count]]
