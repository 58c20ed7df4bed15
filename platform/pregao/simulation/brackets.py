"""The bracket of an entry: its exits placed, grown, shrunk and cancelled, and bars in which both were in reach.

Every function is compiled and runs unchanged in plain Python. ``w`` is one record of `layout.WORLD`.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import FLOOR, NEAREST, PPM, mul_div, mul_ppm
from pregao.simulation.costs import rate_fee, slippage
from pregao.simulation.layout import (
    ACCEPTED,
    AMENDED,
    AT_CLOSE,
    IN_PATH,
    LIMIT,
    LIQUIDATION,
    MARKET,
    PESSIMISTIC,
    SIBLING,
    STOP,
    STOP_LOSS,
    TAKE_PROFIT,
)
from pregao.simulation.working import add, announce, drop

Record = Any


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
def attach_bracket(
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
def resize_siblings(w: Record, s: Record, log: Record, order: Record, lots: int, ts_ns: int) -> None:
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
def cancel_exits(w: Record, s: Record, log: Record, b: int, group: int, ts_ns: int, reason: int) -> None:
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
def rival_of(w: Record, b: int, order: Record, beyond: int) -> int:
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
def note_ambiguity(
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
