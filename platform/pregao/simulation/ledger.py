"""What an execution does: size, slippage, fee, position, cost, margin, and the bracket that follows it.

Every function is compiled and runs unchanged in plain Python. ``w`` is one record of `layout.WORLD`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pregao.core.compiled import inner
from pregao.core.money import CEIL, FLOOR, MAX_QUANTA, NEAREST, PPM, mul_div, mul_ppm, round_div
from pregao.simulation.costs import (
    DAY_NS,
    affordable,
    fee_rate,
    fee_tier,
    liquidity,
    margin_ppm,
    needed,
    order_fee,
    rate_fee,
    sale_tax,
    slippage,
)
from pregao.simulation.layout import (
    ACCEPTED,
    AMENDED,
    AT_CLOSE,
    CANCELLED,
    DAYS,
    ENTRY,
    FILLED,
    FLAT,
    FOK,
    IN_FINER,
    IN_PATH,
    IOC,
    LIMIT,
    LIQUIDATION,
    MAKER,
    MARKET,
    MIN_NOTIONAL,
    NO_FUNDS,
    NO_SHORT,
    ORDER_WORDS,
    ORDERS_AT,
    OVERFLOW,
    PESSIMISTIC,
    REJECTED,
    SIBLING,
    SPENT,
    STOP,
    STOP_LOSS,
    TAKE_PROFIT,
    TAKER,
    TRAILING,
    TRIGGERED,
    UNFILLED,
    WORK,
    ZERO,
)

MAX_LOTS = 2**31
"""An order is smaller than this, so that a position's cost can be divided among its lots without overflow."""
_WORDS = np.uint64(ORDER_WORDS)
Record = Any


@inner
def copy_order(w: Record, to: int, source: int) -> None:
    """Copy an order from one slot to another, by words: assigning records makes machine code of a byte at a time."""
    words = w["words"]
    # Unsigned, so that no index is looked at whether it counts from the end: ten times faster.
    a, b = np.uint64(ORDERS_AT + to * ORDER_WORDS), np.uint64(ORDERS_AT + source * ORDER_WORDS)
    for i in range(_WORDS):
        words[a + i] = words[b + i]


@inner
def emit(w: Record, log: Record, order: Record, kind: int, ts_ns: int, reason: int) -> Record:
    """Append an event about an order; the caller fills in what a fill or a payment has more."""
    event = log["events"][log["count"]]
    log["count"] += 1
    b = order["book"]
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
    event["position_lots"] = w["books"][b]["position_lots"]
    event["cash"] = 0
    event["rule"] = 0
    event["reason"] = reason
    event["ambiguous"] = 0
    event["spread_ticks"] = 0
    event["impact_ticks"] = 0
    event["liquidity"] = 0
    event["tier"] = 0
    event["amount"] = 0
    event["book"] = b
    return event


@inner
def announce(w: Record, s: Record, log: Record, order: Record, kind: int, ts_ns: int, reason: int) -> Record:
    """`emit` with the cash after the event."""
    event = emit(w, log, order, kind, ts_ns, reason)
    event["cash"] = w["money"][s["rules"][order["book"]]["money"]]["cash"]
    return event


@inner
def free(w: Record, m: int) -> int:
    """Quanta of a currency that nothing locks and that were not freed in this very moment."""
    money = w["money"][m]
    return int(money["cash"] - money["locked"] - money["freed"])


@inner
def remove(w: Record, s: Record, k: int) -> None:
    """Take the order out of slot ``k`` and unlock its funds; the others close up and stay in order."""
    account, orders = w["account"], w["orders"]
    order = orders[k]
    w["money"][s["rules"][order["book"]]["money"]]["locked"] -= order["reserved"]
    last = account["orders"] - 1
    for j in range(k, last):
        copy_order(w, j, j + 1)
    copy_order(w, last, ZERO)
    account["orders"] = last


@inner
def drop(w: Record, s: Record, log: Record, k: int, ts_ns: int, reason: int) -> None:
    """Cancel the order in slot ``k`` while a moment is on: what it had locked is free when the moment is over."""
    order = w["orders"][k]
    announce(w, s, log, order, CANCELLED, ts_ns, reason)
    w["money"][s["rules"][order["book"]]["money"]]["freed"] += order["reserved"]
    remove(w, s, k)


@inner
def add(w: Record, b: int, since_ns: int) -> Record:
    """Take the next free slot for a working order with the next id; the caller fills in the rest and announces it."""
    account = w["account"]
    order = w["orders"][account["orders"]]
    account["orders"] += 1
    account["last_order_id"] += 1
    order["id"] = account["last_order_id"]
    order["book"] = b
    order["since_ns"] = since_ns
    return order


@inner
def _cancel_exits(w: Record, s: Record, log: Record, b: int, group: int, ts_ns: int, reason: int) -> None:
    """Cancel a bracket and what is left of its entry, or with group 0 every reduce-only order of an instrument."""
    account, orders = w["account"], w["orders"]
    k = 0
    while k < account["orders"]:
        order = orders[k]
        mine = order["book"] == b and order["role"] != LIQUIDATION
        if group > 0:
            mine = mine and (order["group"] == group or order["id"] == group)
        else:
            mine = mine and order["reduce_only"] == 1
        if mine:
            drop(w, s, log, k, ts_ns, reason)
        else:
            k += 1


@inner
def _resize_siblings(w: Record, s: Record, log: Record, order: Record, lots: int, ts_ns: int) -> None:
    """After a part of a bracket's exit has filled: its sibling shrinks by as much, what is left of the entry goes."""
    account, orders = w["account"], w["orders"]
    k = 0
    while k < account["orders"]:
        other = orders[k]
        if other["id"] == order["group"]:
            drop(w, s, log, k, ts_ns, SIBLING)
            continue
        if other["group"] == order["group"] and other["id"] != order["id"]:
            if other["qty_lots"] <= lots:
                drop(w, s, log, k, ts_ns, SIBLING)
                continue
            other["qty_lots"] -= lots
            announce(w, s, log, other, AMENDED, ts_ns, SIBLING)
        k += 1


@inner
def levels(rules: Record, side: int, price: int, take_profit_ppm: int, stop_loss_ppm: int) -> tuple[int, int]:
    """Prices of a bracket's take profit and stop loss around its entry's: to the nearest tick, one away at least."""
    distance = max(mul_ppm(price, take_profit_ppm, NEAREST), 1)
    if rules["profit_after_fees"] == 1:
        # So that what is left after both fees is the profit asked for.
        paid = mul_ppm(price * 1_000, PPM + side * rules["taker_ppm"], NEAREST)
        goal = mul_ppm(paid, PPM + side * take_profit_ppm, NEAREST)
        distance = max(side * (mul_div(goal, PPM, 1_000 * (PPM - side * rules["maker_ppm"]), NEAREST) - price), 1)
    profit = max(price + side * distance, 1)
    away = max(mul_ppm(price, stop_loss_ppm, FLOOR if rules["stop_rounds_up"] == 1 and side > 0 else NEAREST), 1)
    return int(profit), int(max(price - side * away, 1))


@inner
def _attach_bracket(
    w: Record, s: Record, log: Record, entry: Record, lots: int, price: int, here: int, rule: int, ts_ns: int
) -> None:
    """Place the exits of an entry that has just filled, or let them grow by what has filled now.

    ``price`` sets their levels; ``here`` is where the market is, short of the slippage.
    """
    account, orders, b, side = w["account"], w["orders"], entry["book"], entry["side"]
    grown = False
    for k in range(account["orders"]):
        other = orders[k]
        if other["group"] == entry["id"]:
            other["qty_lots"] += lots
            announce(w, s, log, other, AMENDED, ts_ns, 0)
            grown = True
    if grown:
        return
    rules = s["rules"][b]
    profit_ticks, stop_ticks = levels(rules, side, price, entry["take_profit_ppm"], entry["stop_loss_ppm"])
    if entry["take_profit_ticks"] > 0:
        profit_ticks = entry["take_profit_ticks"]
    if entry["stop_loss_ticks"] > 0:
        stop_ticks = entry["stop_loss_ticks"]
    since = account["open_ns"]
    if rules["children_next_bar"] == 1 or rule == AT_CLOSE:
        since = account["closing_ns"]
    if entry["take_profit_ppm"] > 0 or entry["take_profit_ticks"] > 0:
        late = rule == IN_PATH and rules["path"] == PESSIMISTIC
        profit = add(w, b, account["closing_ns"] if late else since)
        profit["kind"] = LIMIT
        profit["role"] = TAKE_PROFIT
        profit["side"] = -side
        profit["qty_lots"] = lots
        profit["price_ticks"] = profit_ticks
        profit["group"] = entry["id"]
        profit["reduce_only"] = 1
        profit["draw"] = entry["draw"] + 1
        profit["mark_ticks"] = here
        announce(w, s, log, profit, ACCEPTED, ts_ns, 0)
    if entry["stop_loss_ppm"] > 0 or entry["stop_loss_ticks"] > 0:
        stop = add(w, b, since)
        stop["kind"] = STOP
        stop["role"] = STOP_LOSS
        stop["side"] = -side
        stop["qty_lots"] = lots
        stop["price_ticks"] = stop_ticks
        stop["group"] = entry["id"]
        stop["reduce_only"] = 1
        stop["mark_ticks"] = here
        announce(w, s, log, stop, ACCEPTED, ts_ns, 0)


@inner
def share(total: int, part: int, whole: int) -> int:
    """``total * part // whole`` without overflow for ``part <= whole < 2**31``."""
    each = total // whole
    return int(each * part + (total - each * whole) * part // whole)


@inner
def bankruptcy(book: Record, rules: Record) -> int:
    """Price in ticks at which the margin of the open position is used up, in the trader's favour by up to a tick."""
    unit = abs(book["position_lots"]) * rules["tick_quanta"]
    if book["position_lots"] > 0:
        return int(max(round_div(book["cost"] - book["margin"], unit, CEIL), 0))
    owed = book["margin"] if rules["margined"] == 0 else book["margin"] - book["cost"]
    return int(owed // unit)


@inner
def guard(w: Record, s: Record, b: int, here: int) -> None:
    """Place, move or take away the order that liquidates a position whose margin is nearly used up.

    ``here`` is the price at which a fill has made this necessary, 0 between bars.
    Long: ``margin + lots * p - cost <= maintenance * lots * p``; short: ``margin + |cost| - lots * p`` likewise.
    """
    account, orders, book, rules = w["account"], w["orders"], w["books"][b], s["rules"][b]
    if rules["maintenance_margin_ppm"] == 0:
        return
    found = -1
    for k in range(account["orders"]):
        if orders[k]["role"] == LIQUIDATION and orders[k]["book"] == b:
            found = k
    lots = book["position_lots"]
    unit = abs(lots) * rules["tick_quanta"]
    trigger = 0
    if lots > 0 and rules["margined"] == 1:
        at_stake = book["cost"] - book["margin"]
        if at_stake > 0:
            trigger = mul_div(at_stake, PPM, PPM - rules["maintenance_margin_ppm"], FLOOR) // unit
    elif lots < 0:
        backing = book["margin"] - (book["cost"] if rules["margined"] == 1 else 0)
        trigger = round_div(mul_div(backing, PPM, PPM + rules["maintenance_margin_ppm"], CEIL), unit, CEIL)
    if trigger <= 0:
        if found >= 0:
            remove(w, s, found)
        return
    if found < 0:
        order = add(w, b, account["open_ns"])
        order["kind"] = STOP
        order["role"] = LIQUIDATION
        order["reduce_only"] = 1
    else:
        order = orders[found]
    order["mark_ticks"] = here
    order["met"] = 0
    order["side"] = -1 if lots > 0 else 1
    order["qty_lots"] = abs(lots)
    order["price_ticks"] = trigger


@inner
def charge(w: Record, s: Record, b: int, amount: int) -> None:
    """Take ``amount`` (negative: give) from the cash; what free cash does not cover comes out of the margin."""
    m = s["rules"][b]["money"]
    money, book = w["money"][m], w["books"][b]
    money["cash"] -= amount
    missing = money["locked"] - money["cash"]
    if amount > 0 and missing > 0:
        taken = min(min(missing, amount), book["margin"])
        book["margin"] -= taken
        money["locked"] -= taken
        guard(w, s, b, 0)


@inner
def reserve(w: Record, s: Record, order: Record, with_fees: bool) -> int:
    """Quanta that a working order locks: what it may need to open what it can still open, as a rule with the fees."""
    b = order["book"]
    rules, book = s["rules"][b], w["books"][b]
    if order["reduce_only"] == 1:
        return 0
    price = order["price_ticks"]
    if order["limit_ticks"] > 0:
        price = max(price, order["limit_ticks"])
    if price <= 0:
        price = max(book["last_ticks"], 1)
    unit = price * rules["tick_quanta"]
    side, position = order["side"], book["position_lots"]
    closing = abs(position) if position * side < 0 else 0
    rate = max(rules["maker_ppm"], rules["taker_ppm"])
    if order["value"] > 0:
        notional = max(order["value"] - min(closing, MAX_QUANTA // unit) * unit, 0)
        lots = notional // unit
    else:
        lots = max(order["qty_lots"] - closing, 0)
        notional = lots * unit
    stake = mul_ppm(notional, margin_ppm(rules, side), CEIL)
    if notional == 0 or not with_fees:
        return int(stake)
    fee = order_fee(rules, rate_fee(rules, rate, lots, notional), notional)
    return int(stake + max(fee + sale_tax(rules, side, notional), 0))


@inner
def _pay_elsewhere(w: Record, s: Record, b: int, fee: int) -> int:
    """Pay a fee in the schedule's own currency if it suffices; what was paid, valued in the quote currency, else -1."""
    rules = s["rules"][b]
    m = rules["fee_money"]
    if m < 0 or fee <= 0:
        return -1
    money = w["money"][m]
    ticks = w["books"][money["rate_book"]]["last_ticks"]
    if ticks <= 0:
        return -1
    discounted = mul_ppm(fee, PPM - rules["fee_discount_ppm"], CEIL)
    amount = mul_div(discounted, money["rate_den"], ticks * money["rate_num"], CEIL)
    if amount > free(w, m):
        return -1
    money["cash"] -= amount
    return int(discounted)


@inner
def _rival(w: Record, b: int, order: Record, beyond: int) -> int:
    """Slot of the bracket's other exit if the bar's range reaches it too, and both were there before; else -1."""
    if order["group"] == 0 or order["since_ns"] > w["account"]["open_ns"]:
        return -1
    book = w["books"][b]
    for k in range(w["account"]["orders"]):
        other = w["orders"][k]
        if other["group"] == order["group"] and other["id"] != order["id"] and other["kind"] != MARKET:
            if other["since_ns"] > w["account"]["open_ns"]:
                return -1
            price = other["price_ticks"]
            if other["kind"] == LIMIT:
                reached = book["bar_high"] >= price + beyond if other["side"] < 0 else book["bar_low"] <= price - beyond
            else:
                reached = book["bar_low"] <= price if other["side"] < 0 else book["bar_high"] >= price
            return k if reached else -1
    return -1


@inner
def _set_off(order: Record) -> bool:
    """Make a stop that has been reached the market order that it stands for; whether it was one."""
    if order["role"] == LIQUIDATION or (order["kind"] != STOP and order["kind"] != TRAILING):
        return False
    order["kind"] = MARKET
    order["price_ticks"] = 0
    order["trail_ticks"] = 0
    order["trail_ppm"] = 0
    order["mark_ticks"] = 0
    order["met"] = 1
    return True


@inner
def _reject(w: Record, s: Record, log: Record, k: int, ts_ns: int, reason: int) -> None:
    order = w["orders"][k]
    kind = CANCELLED if reason in (FLAT, UNFILLED, SPENT) else REJECTED
    announce(w, s, log, order, kind, ts_ns, reason)
    w["money"][s["rules"][order["book"]]["money"]]["freed"] += order["reserved"]
    remove(w, s, k)


@inner
def fill(w: Record, s: Record, log: Record, k: int, reference: int, rule: int, ts_ns: int, taker_limit: int) -> bool:
    """Execute the order in slot ``k`` at a reference price, as far as liquidity and funds go.

    Args:
        taker_limit: 1 if it is a limit order that takes liquidity, 2 if it slips too (a stop-limit just triggered).

    Returns:
        Whether anything happened to it: a fill, a rejection or a cancellation. False if there is no liquidity left;
        what a stop has set off then works as a market order, as does the rest of one that fills in part.
    """
    order = w["orders"][k]
    b, side, role = order["book"], order["side"], order["role"]
    rules, book = s["rules"][b], w["books"][b]
    m = rules["money"]
    money = w["money"][m]
    most = liquidity(book, rules, role)
    if most <= 0:
        if _set_off(order):
            announce(w, s, log, order, TRIGGERED, ts_ns, 0)
        return False
    position = book["position_lots"]
    closes = position * side < 0
    size = abs(position)
    tick_quanta = rules["tick_quanta"]
    wanted = order["qty_lots"]
    if order["value"] > 0:
        wanted = order["value"] // (reference * tick_quanta)
    if order["reduce_only"] == 1:
        if not closes:
            _reject(w, s, log, k, ts_ns, FLAT)
            return True
        wanted = min(wanted, size)

    slip, spread, pressure = 0, 0, 0
    if order["kind"] != LIMIT or taker_limit == 2:
        slip, spread, pressure = slippage(w, s, b, reference, min(wanted, most))
        if taker_limit == 2:
            slip = min(slip, max((order["price_ticks"] - reference) * side, 0))
            spread, pressure = min(spread, slip), min(pressure, slip)
    price = max(reference + side * slip, 1)
    if role == LIQUIDATION and book["margin"] > 0:
        bound = bankruptcy(book, rules)
        price = max(price, bound) if side < 0 else max(min(price, bound), 1)
    unit = price * tick_quanta
    if order["value"] > 0:
        wanted = order["value"] // unit
        if order["reduce_only"] == 1:
            wanted = min(wanted, size)
    taker = order["kind"] != LIMIT or taker_limit > 0
    day_ns = min(ts_ns, w["account"]["closing_ns"] - 1)  # what fills in a bar that ends at midnight belongs to its day
    tier = fee_tier(w, s, b, day_ns)
    rate = fee_rate(w, s, b, TAKER if taker else MAKER, tier)

    lots = min(wanted, most)
    closed = min(lots, size) if closes else 0
    available = free(w, m) + order["reserved"]
    if order["value"] > 0 and lots > closed and lots < MAX_LOTS and unit <= MAX_QUANTA // lots:
        lots = closed + affordable(rules, order, rate, available, unit, lots - closed)
    opened = lots - closed
    worth = min(wanted, MAX_QUANTA // unit) * unit
    reason = 0
    if lots <= 0:
        reason = (SPENT if order["filled_lots"] > 0 else MIN_NOTIONAL) if 0 < order["value"] < unit else NO_FUNDS
    elif lots >= MAX_LOTS or unit > MAX_QUANTA // lots or abs(book["cost"]) > MAX_QUANTA - lots * unit:
        reason = OVERFLOW
    elif order["tif"] == FOK and lots < wanted:
        reason = UNFILLED
    elif order["reduce_only"] == 0 and order["filled_lots"] == 0 and worth < rules["min_notional"]:
        reason = MIN_NOTIONAL
    elif opened > 0 and side < 0 and rules["allow_short"] == 0:
        reason = NO_SHORT
    elif opened > 0 and needed(rules, order, rate, opened, unit) > available:
        reason = NO_FUNDS
    if reason != 0:
        _reject(w, s, log, k, ts_ns, reason)
        return True

    before = money["cash"] - money["locked"]
    notional = lots * unit
    realised, released = 0, 0
    if closed > 0:
        cost = share(book["cost"], closed, size)
        realised = -side * closed * unit - cost
        released = share(book["margin"], closed, size)
        book["cost"] -= cost
        book["realised"] += realised
    order["fee_base"] += rate_fee(rules, rate, lots, notional)
    order["notional"] += notional
    due = order_fee(rules, order["fee_base"], order["notional"])
    fee = due - order["fee_paid"]
    order["fee_paid"] = due
    if role == LIQUIDATION:
        fee += mul_ppm(notional, rules["liquidation_fee_ppm"], CEIL)
        fee = min(fee, max(released + realised, 0))
    added = mul_ppm(opened * unit, margin_ppm(rules, side), CEIL) if rules["margined"] == 1 or side < 0 else 0
    if rules["margined"] == 0 and side < 0:
        added += opened * unit  # what a short sale brings in stays as security
    book["margin"] += added - released
    book["cost"] += side * opened * unit
    book["position_lots"] = position + side * lots
    book["used_lots"] += lots
    money["cash"] += realised if rules["margined"] == 1 else -side * notional
    elsewhere = _pay_elsewhere(w, s, b, fee)
    tax = sale_tax(rules, side, notional)
    money["cash"] -= tax if elsewhere >= 0 else fee + tax
    fee = tax + (elsewhere if elsewhere >= 0 else fee)
    book["fees"] += fee
    w["account"]["fills"] += 1
    w["volumes"][m, day_ns // DAY_NS % DAYS] += notional if rules["tiers_end"] > rules["tiers"] else 0
    if opened > 0 and (position == 0 or closed > 0):
        book["bars_held"] = 0
        book["borrow_day"] = w["account"]["open_ns"] // DAY_NS

    order["filled_lots"] += lots
    if order["value"] > 0:
        order["value"] -= notional
        done = order["value"] < unit or lots < min(wanted, most)
    else:
        order["qty_lots"] -= lots
        done = order["qty_lots"] == 0 or (order["reduce_only"] == 1 and lots == size)
    money["locked"] += added - released - order["reserved"]
    reserved = 0
    if not done:
        reserved = max(min(min(reserve(w, s, order, True), order["reserved"]), money["cash"] - money["locked"]), 0)
        order["met"] = 1
    money["locked"] += reserved
    order["reserved"] = reserved
    money["freed"] += max(money["cash"] - money["locked"] - before, 0)

    event = announce(w, s, log, order, FILLED, ts_ns, 0)
    event["qty_lots"] = lots
    event["price_ticks"] = price
    event["reference_ticks"] = reference
    event["slippage_ticks"] = abs(price - reference)
    event["spread_ticks"] = spread
    event["impact_ticks"] = pressure
    event["liquidity"] = TAKER if taker else MAKER
    event["tier"] = tier
    event["fee"] = fee
    event["realised"] = realised
    event["rule"] = rule
    if not done:
        _set_off(order)
    if rule == IN_PATH or rule == IN_FINER:
        rival = _rival(w, b, order, 0 if rules["touch_ppm"] == PPM else 1)
        if rival >= 0:
            _note_ambiguity(w, s, b, order, w["orders"][rival], lots, price, rate)
            event["ambiguous"] = 1

    work = w["orders"][WORK]
    copy_order(w, WORK, k)
    if done:
        remove(w, s, k)
    if work["group"] > 0:
        if done:
            _cancel_exits(w, s, log, b, work["group"], ts_ns, SIBLING)
        else:
            _resize_siblings(w, s, log, work, lots, ts_ns)
    if book["position_lots"] == 0:
        book["bars_held"] = 0
        _cancel_exits(w, s, log, b, 0, ts_ns, FLAT)
    elif role == ENTRY and opened > 0:
        _attach_bracket(w, s, log, work, opened, price, reference, rule, ts_ns)
    guard(w, s, b, reference)
    if not done and (work["tif"] == IOC or work["tif"] == FOK):
        for j in range(w["account"]["orders"]):
            if w["orders"][j]["id"] == work["id"]:
                drop(w, s, log, j, ts_ns, UNFILLED)
                break
    return True


@inner
def _note_ambiguity(
    w: Record, s: Record, b: int, taken: Record, other: Record, lots: int, price: int, rate: int
) -> None:
    """Count a bar that reached both exits, and by how much the other one would have ended better or worse."""
    rules, book, side = s["rules"][b], w["books"][b], taken["side"]
    level = other["price_ticks"]
    other_rate = rules["maker_ppm"]
    if other["kind"] != LIMIT:
        slip, _, _ = slippage(w, s, b, level, lots)
        level = max(level + side * slip, 1)
        other_rate = rules["taker_ppm"]
    value = lots * price * rules["tick_quanta"]
    other_value = lots * level * rules["tick_quanta"]
    gain = -side * (other_value - value) - rate_fee(rules, other_rate, lots, other_value)
    gain += rate_fee(rules, rate, lots, value)
    if gain > 0:
        book["best"] += gain
    else:
        book["worst"] -= gain
    w["account"]["ambiguous"] += 1
