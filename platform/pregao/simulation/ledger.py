"""What an execution does: size, slippage, fee, position, cost and margin. What follows an entry is in `brackets`.

Every function is compiled and runs unchanged in plain Python. ``w`` is one record of `layout.WORLD`.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import CEIL, FLOOR, MAX_QUANTA, PPM, mul_div, mul_ppm, round_div
from pregao.simulation.brackets import attach_bracket, cancel_exits, note_ambiguity, resize_siblings, rival_of
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
    OVERFLOW,
    REJECTED,
    SIBLING,
    SPENT,
    STOP,
    TAKER,
    TRAILING,
    TRIGGERED,
    UNFILLED,
    WORK,
)
from pregao.simulation.working import add, announce, copy_order, drop, free, remove

MAX_LOTS = 2**31
"""An order is smaller than this, so that a position's cost can be divided among its lots without overflow."""
Record = Any


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
        rival = rival_of(w, b, order, 0 if rules["touch_ppm"] == PPM else 1)
        if rival >= 0:
            note_ambiguity(w, s, b, order, w["orders"][rival], lots, price, rate)
            event["ambiguous"] = 1

    work = w["orders"][WORK]
    copy_order(w, WORK, k)
    if done:
        remove(w, s, k)
    if work["group"] > 0:
        if done:
            cancel_exits(w, s, log, b, work["group"], ts_ns, SIBLING)
        else:
            resize_siblings(w, s, log, work, lots, ts_ns)
    if book["position_lots"] == 0:
        book["bars_held"] = 0
        cancel_exits(w, s, log, b, 0, ts_ns, FLAT)
    elif role == ENTRY and opened > 0:
        attach_bracket(w, s, log, work, opened, price, reference, rule, ts_ns)
    guard(w, s, b, reference)
    if not done and (work["tif"] == IOC or work["tif"] == FOK):
        for j in range(w["account"]["orders"]):
            if w["orders"][j]["id"] == work["id"]:
                drop(w, s, log, j, ts_ns, UNFILLED)
                break
    return True
