"""Journal rows of what happened at the account: a bar with the account after it, an event of an order."""

from __future__ import annotations

from collections.abc import Sequence

from pregao.core.bars import Bar
from pregao.sessions.books import Book
from pregao.sessions.records import Body, Entry
from pregao.simulation.accounts import AccountState, WorkingOrder
from pregao.simulation.events import Event


def bar_body(bar: Bar, book: Book, account: AccountState) -> Body:
    """A closed bar and what is held of its instrument after it."""
    return book.marked({
        "t": bar.open_ns, "o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "v": repr(bar.volume),
        "pos": account.position_lots, "cost": account.cost_quanta, "held": account.bars_held,
        **levels_of(book.desk.engine.open_orders(), book.number),
    })  # fmt: skip


def levels_of(orders: Sequence[WorkingOrder], book: int) -> Body:
    """Where the exits of an instrument rest, in ticks; None where none does."""
    levels = {order.role: order.price_ticks for order in orders if order.book == book}
    return {"tp": levels.get("take_profit"), "sl": levels.get("stop_loss")}


def account_body(accounts: Sequence[AccountState], cash_at_start: int, peak_quanta: int) -> Body:
    """The account after a moment, as each of its instruments sees it: the first bar of the moment has it."""
    first = accounts[0]
    return {
        "eq": first.equity_quanta, "pnl": first.equity_quanta - cash_at_start, "peak": peak_quanta,
        "cash": first.cash_quanta, "fees": sum(account.fees_quanta for account in accounts),
    }  # fmt: skip


def event_row(event: Event, bar_ns: int) -> Entry:
    """A fill, or whatever else became of an order or a position.

    Args:
        bar_ns: open time of the bar that it belongs to.
    """
    e = event
    body: Body = {"t": bar_ns, "id": e.order_id, "order": e.order_kind, "role": e.role, "side": e.side,
                  "qty": e.qty_lots, "price": e.price_ticks} | ({"b": e.book} if e.book else {})  # fmt: skip
    if e.kind == "fill":
        body |= {
            "ref": e.reference_ticks, "slip": e.slippage_ticks, "fee": e.fee_quanta, "pnl": e.realised_quanta,
            "pos": e.position_lots, "cash": e.cash_quanta, "rule": e.rule, "amb": e.ambiguous,
            "spread": e.spread_ticks, "impact": e.impact_ticks, "liq": e.liquidity, "tier": e.tier,
        }  # fmt: skip
        if e.amount_quanta:
            body["amount"] = e.amount_quanta
        return Entry(e.ts_ns, "fill", body)
    body |= {"state": e.kind, "reason": e.reason}
    if e.amount_quanta:
        body |= {
            "amount": e.amount_quanta, "pnl": e.realised_quanta, "pos": e.position_lots, "cash": e.cash_quanta,
        }  # fmt: skip
    return Entry(e.ts_ns, "order", body)
