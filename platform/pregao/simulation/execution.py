"""What a desk needs of whatever executes its orders: the simulated account, or one at an exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from pregao.core.bars import Bar
from pregao.simulation.accounts import AccountState, WorkingOrder
from pregao.simulation.events import Event
from pregao.simulation.plan import Plan


class Execution(Protocol):
    """Orders in, events out, and the account that they lead to; see `pregao.simulation.engine.Engine`."""

    plan: Plan

    @property
    def plans(self) -> Sequence[Plan]:
        """One an instrument."""

    def step(self, bar: Bar) -> list[Event]:
        """A closed bar arrives."""

    def step_all(self, bars: Mapping[int, Bar]) -> list[Event]:
        """The closed bars of one moment arrive, by the instruments' places in the account."""

    def signal(self, signal: int, fraction_ppm: int = ..., book: int = 0) -> list[Event]:
        """Enter or leave."""

    def leave_now(self, price_ticks: int, ts_ns: int, book: int = 0) -> list[Event]:
        """Fill an exit that waits at a price heard between two bars, if that is for it to say."""

    def submit(self, *what: Any, **how: Any) -> list[Event]:
        """Place an order."""

    def amend(self, order_id: int, *, qty_lots: int = 0, price_ticks: int = 0, limit_ticks: int = 0) -> list[Event]:
        """Change an order that waits."""

    def cancel(self, order_id: int) -> list[Event]:
        """Cancel an order that waits."""

    @property
    def account(self) -> AccountState:
        """The account now."""

    def account_of(self, book: int) -> AccountState:
        """The account now, as one of its instruments sees it."""

    def waiting_of(self, book: int) -> bool:
        """Whether an entry or an exit of a signal waits to fill."""

    def quantum(self, book: int | None = None) -> float:
        """Money in one quantum."""

    def open_orders(self) -> list[WorkingOrder]:
        """The orders that wait."""

    def to_bytes(self) -> bytes:
        """The whole state."""

    @classmethod
    def from_bytes(cls, plans: Any, raw: bytes) -> Self:
        """In a saved state; raises `PregaoError` if it is none."""
