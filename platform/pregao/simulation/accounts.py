"""An account and its working orders as figures, read from the state that the compiled functions change."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from pregao.simulation import layout


class AccountState(NamedTuple):
    """An account as one of its instruments sees it, after the last event, all integers: quanta, lots, ticks, ns.

    ``equity_quanta`` is the whole account's, in the reporting currency; ``cash_quanta`` and ``locked_quanta`` are in
    the instrument's quote currency; all else is the instrument's own. ``cost_quanta`` is signed. ``best_quanta`` and
    ``worst_quanta`` say how much better or worse the other exits of ambiguous bars would have ended.
    """

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
    locked_quanta: int
    margin_quanta: int
    funding_quanta: int
    interest_quanta: int
    dividends_quanta: int
    best_quanta: int
    worst_quanta: int


class WorkingOrder(NamedTuple):
    """An order that waits. ``price_ticks`` is its limit or trigger; 0 for market orders."""

    order_id: int
    kind: str
    role: str
    side: int
    qty_lots: int
    value_quanta: int
    price_ticks: int
    limit_ticks: int = 0
    tif: str = "GTC"
    expires_ns: int = 0
    filled_lots: int = 0
    reserved_quanta: int = 0
    book: int = 0


def state_words(book: int, money: int) -> Callable[[memoryview], tuple[int, ...]]:
    """Reads the figures of `AccountState` from the state, but for the equity."""
    parts = {"cash": ("money", money), "locked": ("money", money)}
    parts |= dict.fromkeys(("now_ns", "bars", "fills", "ambiguous"), ("account", 0))
    names = (
        "cash", "position_lots", "cost", "realised", "fees", "bars_held", "last_ticks", "now_ns", "bars", "fills",
        "ambiguous", "locked", "margin", "funding", "interest", "dividends", "best", "worst",
    )  # fmt: skip
    return itemgetter(*(layout.word(*parts.get(name, ("books", book)), name) for name in names))


def order_of(row: Any, price_ticks: int) -> WorkingOrder:
    """A working order from its row, `layout.ORDER`, and its limit or trigger, which a trailing stop's row has not."""
    return WorkingOrder(
        int(row["id"]), layout.ORDER_KINDS[int(row["kind"])], layout.ROLES[int(row["role"])], int(row["side"]),
        int(row["qty_lots"]), int(row["value"]), price_ticks, int(row["limit_ticks"]),
        layout.TIMES_IN_FORCE[int(row["tif"])], int(row["expires_ns"]), int(row["filled_lots"]),
        int(row["reserved"]), int(row["book"]),
    )  # fmt: skip
