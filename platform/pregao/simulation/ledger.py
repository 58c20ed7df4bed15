"""What an execution does: size, slippage, fee, position, cost, and the bracket that follows it.

Market and stop orders slip by ``slippage_ppm`` of the price, rounded up to a tick; limits do not. The fee is
``fee_ppm`` of the notional, rounded up to a quantum. Every function is compiled and runs unchanged in plain Python.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import compiled
from pregao.core.money import (
    CEIL,
    MAX_QUANTA,
    NEAREST,
    PPM,
    mul_ppm,
)
from pregao.simulation.layout import (
    ACCEPTED,
    CANCELLED,
    CAPACITY,
    ENTRY,
    FILLED,
    FLAT,
    IN_PATH,
    LIMIT,
    MIN_NOTIONAL,
    NO_FUNDS,
    NO_SHORT,
    OVERFLOW,
    REJECTED,
    SIBLING,
    STOP,
    STOP_LOSS,
    TAKE_PROFIT,
)

MAX_LOTS = 2**31
"""An order is smaller than this, so that a position's cost can be divided among its lots without overflow."""
Record = Any
Array = Any


@compiled
def emit(
    account: Record,
    order: Record,
    events: Array,
    cursor: Array,
    kind: int,
    ts_ns: int,
    reason: int,
) -> Record:
    """Append an event about an order; the caller fills in what a fill has more."""
    event = events[cursor[0]]
    cursor[0] += 1
    event["kind"] = kind
    event["order_id"] = order["id"]
    event["ts_ns"] = ts_ns
    event["order_kind"] = order["kind"]
    event["role"] = order["role"]
    event["side"] = order["side"]
    event["qty_lots"] = order["qty_lots"]
    event["price_ticks"] = order["price_ticks"]
    event["reference_ticks"] = 0
    event["slippage_ticks"] = 0
    event["fee"] = 0
    event["realised"] = 0
    event["position_lots"] = account["position_lots"]
    event["cash"] = account["cash"]
    event["rule"] = 0
    event["reason"] = reason
    event["ambiguous"] = 0
    return event


@compiled
def remove(account: Record, orders: Array, k: int) -> None:
    """Take the order out of slot ``k``; the others close up and stay in order. The slot after the last stays zero."""
    last = account["orders"] - 1
    for j in range(k, last):
        orders[j] = orders[j + 1]
    orders[last] = orders[CAPACITY]
    account["orders"] = last


@compiled
def add(account: Record, orders: Array, since_ns: int) -> Record:
    """Take the next free slot for a working order with the next id; the caller fills in the rest and announces it."""
    order = orders[account["orders"]]
    account["orders"] += 1
    account["last_order_id"] += 1
    order["id"] = account["last_order_id"]
    order["since_ns"] = since_ns
    return order


@compiled
def cancel_matching(
    account: Record, orders: Array, events: Array, cursor: Array, ts_ns: int, group: int, reason: int
) -> None:
    """Cancel the working orders of a bracket, or with group 0 every reduce-only order."""
    k = 0
    while k < account["orders"]:
        order = orders[k]
        if (group > 0 and order["group"] == group) or (group == 0 and order["reduce_only"] == 1):
            emit(account, order, events, cursor, CANCELLED, ts_ns, reason)
            remove(account, orders, k)
        else:
            k += 1


@compiled
def _affordable_lots(cash: int, price_ticks: int, plan: Record) -> int:
    """The most lots that cash buys at this price with the fee."""
    unit = price_ticks * plan["tick_quanta"]
    rate = PPM + plan["fee_ppm"]
    lots = ((cash // rate) * PPM + (cash % rate) * PPM // rate) // unit
    while lots > 0 and lots * unit + mul_ppm(lots * unit, plan["fee_ppm"], CEIL) > cash:
        lots -= 1  # the fee is rounded up to a quantum: one lot at most
    return max(int(lots), 0)


@compiled
def _attach_bracket(
    account: Record,
    orders: Array,
    events: Array,
    cursor: Array,
    entry: Record,
    filled: Record,
    ts_ns: int,
    open_ns: int,
    in_path: bool,
) -> None:
    """Place the take profit and the stop loss of an entry that has just filled, sized to what has filled.

    ``filled`` holds the id, side, quantity and price of the fill.
    """
    side, lots, price = filled["side"], filled["qty_lots"], filled["price_ticks"]
    if entry["take_profit_ppm"] > 0:
        profit = add(account, orders, ts_ns if in_path else open_ns)
        profit["kind"] = LIMIT
        profit["role"] = TAKE_PROFIT
        profit["side"] = -side
        profit["qty_lots"] = lots
        profit["price_ticks"] = max(price + side * max(mul_ppm(price, entry["take_profit_ppm"], NEAREST), 1), 1)
        profit["group"] = filled["id"]
        profit["reduce_only"] = 1
        emit(account, profit, events, cursor, ACCEPTED, ts_ns, 0)
    if entry["stop_loss_ppm"] > 0:
        stop = add(account, orders, open_ns)
        stop["kind"] = STOP
        stop["role"] = STOP_LOSS
        stop["side"] = -side
        stop["qty_lots"] = lots
        stop["price_ticks"] = max(price - side * max(mul_ppm(price, entry["stop_loss_ppm"], NEAREST), 1), 1)
        stop["group"] = filled["id"]
        stop["reduce_only"] = 1
        emit(account, stop, events, cursor, ACCEPTED, ts_ns, 0)


@compiled
def fill(
    account: Record,
    orders: Array,
    plan: Record,
    events: Array,
    cursor: Array,
    scratch: Array,
    k: int,
    reference: int,
    rule: int,
    open_ns: int,
    close_ns: int,
    ambiguous: bool,
) -> None:
    """Execute the order in slot ``k`` at a reference price: slippage, size, fee, position, bracket, siblings.

    ``scratch`` has two order slots: the first keeps the order while its slot is taken out.
    """
    scratch[0] = orders[k]
    order = scratch[0]
    remove(account, orders, k)
    ts_ns = close_ns if rule == IN_PATH else open_ns
    side = order["side"]
    position = account["position_lots"]

    slippage = 0
    if order["kind"] != LIMIT:
        slippage = mul_ppm(reference, plan["slippage_ppm"], CEIL)
    price = max(reference + side * slippage, 1)
    unit = price * plan["tick_quanta"]

    lots = order["qty_lots"]
    if order["value"] > 0:
        lots = order["value"] // unit
        if side > 0:
            lots = min(lots, _affordable_lots(account["cash"], price, plan))
        order["qty_lots"] = lots
    closes = position * side < 0
    if order["reduce_only"] == 1:
        lots = min(lots, abs(position)) if closes else 0
        if lots == 0:
            emit(account, order, events, cursor, CANCELLED, ts_ns, FLAT)
            return
    opened = lots
    if closes:
        opened = max(lots - abs(position), 0)

    reason = 0
    if lots <= 0:
        reason = MIN_NOTIONAL if order["value"] < unit else NO_FUNDS
    elif lots >= MAX_LOTS or unit > MAX_QUANTA // lots:
        reason = OVERFLOW
    elif order["reduce_only"] == 0 and lots * unit < plan["min_notional"]:
        reason = MIN_NOTIONAL
    elif opened > 0 and side < 0 and plan["allow_short"] == 0:
        reason = NO_SHORT
    elif opened > 0:
        needed = opened * unit + mul_ppm(lots * unit, plan["fee_ppm"], CEIL)
        if needed > account["cash"]:
            reason = NO_FUNDS
    if reason != 0:
        emit(account, order, events, cursor, REJECTED, ts_ns, reason)
        return

    notional = lots * unit
    fee = mul_ppm(notional, plan["fee_ppm"], CEIL)
    realised = 0
    closed = lots - opened
    if closed > 0:
        size = abs(position)
        per_lot = account["cost"] // size
        cost = per_lot * closed + (account["cost"] - per_lot * size) * closed // size
        realised = -side * closed * unit - cost
        account["cost"] -= cost
        account["realised"] += realised
    account["cost"] += side * opened * unit
    account["cash"] -= side * notional + fee
    account["fees"] += fee
    account["position_lots"] = position + side * lots
    account["fills"] += 1
    if opened > 0 and (position == 0 or closed > 0):
        account["bars_held"] = 0

    event = emit(account, order, events, cursor, FILLED, ts_ns, 0)
    event["qty_lots"] = lots
    event["price_ticks"] = price
    event["reference_ticks"] = reference
    event["slippage_ticks"] = abs(price - reference)
    event["fee"] = fee
    event["realised"] = realised
    event["rule"] = rule
    event["ambiguous"] = 1 if ambiguous else 0
    if ambiguous:
        account["ambiguous"] += 1

    if order["group"] > 0:
        cancel_matching(account, orders, events, cursor, ts_ns, order["group"], SIBLING)
    if account["position_lots"] == 0:
        account["bars_held"] = 0
        cancel_matching(account, orders, events, cursor, ts_ns, 0, FLAT)
    elif order["role"] == ENTRY and opened > 0 and account["orders"] <= CAPACITY - 2:
        filled = scratch[1]
        filled["id"] = order["id"]
        filled["side"] = side
        filled["qty_lots"] = opened
        filled["price_ticks"] = price
        _attach_bracket(account, orders, events, cursor, order, filled, ts_ns, open_ns, rule == IN_PATH)
