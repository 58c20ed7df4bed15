"""The one compiled step: how an arriving bar meets the working orders, and what that does to the account.

Every function here is compiled by numba and runs unchanged in plain Python. The order of things in `step`:

1. **Open.** Working orders meet the bar's open, oldest first. A market order fills there. A stop that the open has
   reached or jumped over fills at the open (``gap``), not at its trigger; so does a limit that it has jumped over,
   to the trader's gain.
2. **Path**, pessimistic. Stops whose trigger lies within the bar fill at the trigger first; then limits that the bar
   has traded *through* by at least a tick fill at their limit. An entry filled inside a bar can be stopped out in
   that bar, but cannot take its profit in it.
3. **Close.** The account is marked; a position older than the horizon gets a market exit for the next open.

What a strategy decides at a close acts at the next open. What a fill does to the account is in `ledger`.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import compiled
from pregao.core.money import (
    FLOOR,
    MAX_QUANTA,
    PPM,
    mul_ppm,
)
from pregao.simulation.layout import (
    ACCEPTED,
    AT_GAP,
    AT_OPEN,
    BAD_PRICE,
    BAD_QUANTITY,
    CANCELLED,
    CAPACITY,
    ENTER_LONG,
    ENTER_SHORT,
    ENTRY,
    EXIT,
    HORIZON,
    IN_PATH,
    LEAVE,
    LIMIT,
    MARKET,
    MIN_NOTIONAL,
    NO_FUNDS,
    NO_SHORT,
    OVERFLOW,
    REDUCE_ONLY,
    REJECTED,
    REQUESTED,
    ROOM,
    STOP,
    TOO_MANY,
)
from pregao.simulation.ledger import MAX_LOTS, add, emit, fill, remove

MAX_TICKS = 2**52
Record = Any
Array = Any


@compiled
def _meet_open(
    account: Record,
    orders: Array,
    plan: Record,
    events: Array,
    cursor: Array,
    scratch: Array,
    open_ns: int,
    close_ns: int,
    price: int,
) -> None:
    """Let the working orders, oldest first, meet the open. After a fill it looks again from the oldest."""
    k = 0
    while k < account["orders"]:
        order = orders[k]
        rule = 0
        if order["since_ns"] <= open_ns:
            if order["kind"] == MARKET:
                rule = AT_OPEN
            elif order["kind"] == STOP:
                if (price - order["price_ticks"]) * order["side"] >= 0:
                    rule = AT_GAP
            elif (order["price_ticks"] - price) * order["side"] > 0:
                rule = AT_GAP
        if rule != 0:
            fill(account, orders, plan, events, cursor, scratch, k, price, rule, open_ns, close_ns, False)
            k = 0
        else:
            k += 1


@compiled
def _sibling_in_reach(account: Record, orders: Array, k: int, open_ns: int, high: int, low: int) -> bool:
    """Whether the take profit beside the stop in slot ``k`` was in reach of the same bar."""
    group = orders[k]["group"]
    if group == 0:
        return False
    for j in range(account["orders"]):
        other = orders[j]
        if other["group"] == group and other["kind"] == LIMIT and other["since_ns"] <= open_ns:
            price = other["price_ticks"]
            return bool((other["side"] < 0 and high > price) or (other["side"] > 0 and low < price))
    return False


@compiled
def _meet_path(
    account: Record,
    orders: Array,
    plan: Record,
    events: Array,
    cursor: Array,
    scratch: Array,
    open_ns: int,
    close_ns: int,
    high: int,
    low: int,
) -> None:
    """Let the working orders meet the bar's range: every stop in reach before any limit, oldest first."""
    looking = True
    while looking:
        looking = False
        for kind in (STOP, LIMIT):
            for k in range(account["orders"]):
                order = orders[k]
                if order["kind"] != kind or order["since_ns"] > open_ns:
                    continue
                price, side = order["price_ticks"], order["side"]
                if kind == STOP:
                    reached = high >= price if side > 0 else low <= price
                else:
                    reached = low < price if side > 0 else high > price
                if reached:
                    ambiguous = kind == STOP and _sibling_in_reach(account, orders, k, open_ns, high, low)
                    fill(
                        account, orders, plan, events, cursor, scratch, k, price, IN_PATH, open_ns, close_ns, ambiguous
                    )
                    looking = True
                    break
            if looking:
                break


@compiled
def leave(account: Record, orders: Array, events: Array, cursor: Array, reason: int) -> None:
    """Close the open position at the market, at the next open; waiting entries are cancelled. Harmless when flat."""
    now_ns = account["now_ns"]
    k = 0
    waiting = False
    while k < account["orders"]:
        order = orders[k]
        if order["role"] == ENTRY:
            emit(account, order, events, cursor, CANCELLED, now_ns, reason)
            remove(account, orders, k)
        else:
            waiting = waiting or order["role"] == EXIT
            k += 1
    if account["position_lots"] == 0 or waiting:
        return
    order = add(account, orders, now_ns)
    order["kind"] = MARKET
    order["role"] = EXIT
    order["side"] = -1 if account["position_lots"] > 0 else 1
    order["qty_lots"] = abs(account["position_lots"])
    order["reduce_only"] = 1
    emit(account, order, events, cursor, ACCEPTED, now_ns, reason)


@compiled
def step(
    accounts: Array,
    orders: Array,
    plans: Array,
    events: Array,
    cursor: Array,
    scratch: Array,
    open_ns: int,
    close_ns: int,
    open_ticks: int,
    high: int,
    low: int,
    close: int,
) -> None:
    """One closed bar arrives: open, path, close, as the module's docstring says.

    Args:
        accounts: shape ``(1,)`` of `layout.ACCOUNT`, changed in place.
        orders: shape ``(CAPACITY + 1,)`` of `layout.ORDER`, changed in place; the last slot stays zero.
        plans: shape ``(1,)`` of `layout.PLAN`.
        events: buffer of `layout.EVENT` with at least `ROOM` free rows after ``cursor[0]``.
        cursor: int64, shape ``(1,)``: rows of ``events`` in use.
        scratch: shape ``(2,)`` of `layout.ORDER`, working space.
    """
    account = accounts[0]
    plan = plans[0]
    if account["orders"] > 0:
        _meet_open(account, orders, plan, events, cursor, scratch, open_ns, close_ns, open_ticks)
        if account["orders"] > 0:
            _meet_path(account, orders, plan, events, cursor, scratch, open_ns, close_ns, high, low)
    account["last_ticks"] = close
    account["now_ns"] = close_ns
    account["bars"] += 1
    if account["position_lots"] != 0:
        account["bars_held"] += 1
        if plan["horizon_bars"] > 0 and account["bars_held"] >= plan["horizon_bars"]:
            leave(account, orders, events, cursor, HORIZON)


@compiled
def submit(
    accounts: Array,
    orders: Array,
    plans: Array,
    events: Array,
    cursor: Array,
    kind: int,
    role: int,
    side: int,
    qty_lots: int,
    value: int,
    price_ticks: int,
    reduce_only: int,
) -> int:
    """Accept or reject an order after the last bar's close; it can fill from the next open on.

    Either ``qty_lots`` or ``value`` (quanta to spend at the fill) is positive. An order with role ``ENTRY`` carries
    the plan's bracket. Returns the order's id, or 0 if it was rejected; the reason is in the event.
    """
    account = accounts[0]
    plan = plans[0]
    now_ns = account["now_ns"]
    price = price_ticks if kind != MARKET else max(account["last_ticks"], 1)
    unit = price * plan["tick_quanta"]
    reason = 0
    if (qty_lots <= 0) == (value <= 0) or qty_lots < 0 or value < 0:
        reason = BAD_QUANTITY
    elif kind != MARKET and price_ticks <= 0:
        reason = BAD_PRICE
    elif (
        price >= MAX_TICKS
        or qty_lots >= MAX_LOTS
        or value >= MAX_QUANTA
        or (qty_lots and unit > MAX_QUANTA // qty_lots)
    ):
        reason = OVERFLOW
    elif account["orders"] > CAPACITY - 3:  # room for its bracket as well
        reason = TOO_MANY
    elif reduce_only == 1 and account["position_lots"] * side >= 0:
        reason = REDUCE_ONLY
    elif side < 0 and reduce_only == 0 and account["position_lots"] <= 0 and plan["allow_short"] == 0:
        reason = NO_SHORT
    elif reduce_only == 0:
        notional = value if value > 0 else qty_lots * unit
        if notional < plan["min_notional"] or (value > 0 and value < unit):
            reason = MIN_NOTIONAL
        elif account["position_lots"] * side >= 0 and notional > account["cash"]:
            reason = NO_FUNDS
    if reason != 0:
        event = emit(account, orders[CAPACITY], events, cursor, REJECTED, now_ns, reason)
        event["order_kind"] = kind
        event["role"] = role
        event["side"] = side
        event["qty_lots"] = qty_lots
        event["price_ticks"] = price_ticks
        return 0
    order = add(account, orders, now_ns)
    order["kind"] = kind
    order["role"] = role
    order["side"] = side
    order["qty_lots"] = qty_lots
    order["value"] = value
    order["price_ticks"] = price_ticks
    order["reduce_only"] = reduce_only
    if role == ENTRY:
        order["take_profit_ppm"] = plan["take_profit_ppm"]
        order["stop_loss_ppm"] = plan["stop_loss_ppm"]
    emit(account, order, events, cursor, ACCEPTED, now_ns, 0)
    return int(order["id"])


@compiled
def cancel(accounts: Array, orders: Array, events: Array, cursor: Array, order_id: int) -> bool:
    """Cancel a working order by its id; False if there is none."""
    account = accounts[0]
    for k in range(account["orders"]):
        if orders[k]["id"] == order_id:
            emit(account, orders[k], events, cursor, CANCELLED, account["now_ns"], REQUESTED)
            remove(account, orders, k)
            return True
    return False


@compiled
def act(
    accounts: Array, orders: Array, plans: Array, events: Array, cursor: Array, signal: int, fraction_ppm: int
) -> None:
    """Turn a strategy's signal into orders: an entry with the plan's bracket, or an exit.

    An entry is ignored while a position or another entry is there: one operation at a time.
    """
    account = accounts[0]
    if signal == LEAVE:
        leave(account, orders, events, cursor, REQUESTED)
    elif signal in (ENTER_LONG, ENTER_SHORT):
        if account["position_lots"] != 0:
            return
        for k in range(account["orders"]):
            if orders[k]["role"] == ENTRY:
                return
        value = mul_ppm(plans[0]["entry"], fraction_ppm, FLOOR)
        submit(accounts, orders, plans, events, cursor, MARKET, ENTRY, signal, 0, value, 0, 0)


@compiled
def equity(accounts: Array, plans: Array) -> int:
    """Cash and the position at the last close, in quanta."""
    account = accounts[0]
    return int(account["cash"] + account["position_lots"] * account["last_ticks"] * plans[0]["tick_quanta"])


@compiled
def run(
    accounts: Array,
    orders: Array,
    plans: Array,
    events: Array,
    cursor: Array,
    scratch: Array,
    open_ns: Array,
    span_ns: int,
    opens: Array,
    highs: Array,
    lows: Array,
    closes: Array,
    signals: Array,
    start: int,
    equities: Array,
    positions: Array,
) -> int:
    """The driver over history: `step` and `act` for bar after bar from ``start``.

    Returns the index of the first bar not yet processed: ``len(closes)`` when done, or earlier when ``events`` has no
    room for another step and the caller must make some.
    """
    for i in range(start, len(closes)):
        if len(events) - cursor[0] < ROOM:
            return i
        step(
            accounts, orders, plans, events, cursor, scratch,
            open_ns[i], open_ns[i] + span_ns, opens[i], highs[i], lows[i], closes[i],
        )  # fmt: skip
        equities[i] = equity(accounts, plans)
        positions[i] = accounts[0]["position_lots"]
        if signals[i] != 0:
            act(accounts, orders, plans, events, cursor, signals[i], PPM)
    return len(closes)
