"""What happens to an account between bars: splits, dividends, funding, interest on borrowed shares, expiry."""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import CEIL, FLOOR, NEAREST, PPM, mul_div, mul_ppm, round_div
from pregao.simulation.actions import DIVIDEND, SPLIT
from pregao.simulation.costs import DAY_NS
from pregao.simulation.estimators import split as restate
from pregao.simulation.layout import (
    EXPIRED,
    FUNDED,
    LIMIT,
    LIQUIDATION,
    PAID_DIVIDEND,
    PAID_INTEREST,
    SPLIT_AWAY,
    STOP_LIMIT,
    TRAILING,
    WAS_SPLIT,
    WORK,
    ZERO,
)
from pregao.simulation.ledger import charge, guard, reserve
from pregao.simulation.working import announce, copy_order, drop

Record = Any
NEVER = 2**62
RATE = 100_000_000
"""Funding rates are whole multiples of 1e-8."""


@inner
def _tell(w: Record, s: Record, log: Record, b: int, kind: int, ts_ns: int, amount: int, realised: int) -> None:
    """An event about the position itself: money paid in (negative: out), and what was won by it."""
    order = w["orders"][WORK]
    copy_order(w, WORK, ZERO)
    order["book"] = b
    event = announce(w, s, log, order, kind, ts_ns, 0)
    event["amount"] = amount
    event["price_ticks"] = w["books"][b]["last_ticks"]
    event["realised"] = realised
    order["book"] = 0


@inner
def _rescale(ticks: int, num: int, den: int, mode: int) -> int:
    """A price after a split: at least a tick where there was a price, 0 where there was none."""
    return max(mul_div(ticks, den, num, mode), 1) if ticks > 0 else 0


@inner
def _split(w: Record, s: Record, log: Record, b: int, num: int, den: int, ts_ns: int) -> None:
    """``num`` new shares for ``den`` old ones: position, orders and last prices; the rest of a share is paid out."""
    account, orders, book, rules = w["account"], w["orders"], w["books"][b], s["rules"][b]
    touched = book["position_lots"] != 0
    for k in range(account["orders"]):
        touched = touched or (orders[k]["book"] == b and orders[k]["role"] != LIQUIDATION)
    if not touched:
        book["last_ticks"] = _rescale(book["last_ticks"], num, den, NEAREST)
        restate(w["estimates"][b], num, den)
        return
    lots = abs(book["position_lots"])
    sign = 1 if book["position_lots"] > 0 else -1
    paid, realised = 0, 0
    if lots > 0:
        whole = mul_div(lots, num, den, FLOOR)
        rest = lots * num - whole * den  # of a new share, in 1/den lots; worth rest / num old lots each
        if rest > 0:
            value = mul_div(book["last_ticks"] * rules["tick_quanta"], rest, num, FLOOR if sign > 0 else CEIL)
            cost = mul_div(abs(book["cost"]), rest, lots * num, NEAREST)
            margin = mul_div(book["margin"], rest, lots * num, FLOOR)
            realised = sign * (value - cost)
            book["realised"] += realised
            book["cost"] -= sign * cost
            book["margin"] -= margin
            money = w["money"][rules["money"]]
            money["locked"] -= margin
            paid = realised if rules["margined"] == 1 else sign * value
            money["cash"] += paid
        book["position_lots"] = sign * whole
        if whole == 0:
            money = w["money"][rules["money"]]
            money["locked"] -= book["margin"]
            book["margin"] = 0
            book["bars_held"] = 0
    book["last_ticks"] = _rescale(book["last_ticks"], num, den, NEAREST)
    restate(w["estimates"][b], num, den)
    _tell(w, s, log, b, WAS_SPLIT, ts_ns, paid, realised)
    k = 0
    while k < account["orders"]:
        order = orders[k]
        if order["book"] != b or order["role"] == LIQUIDATION:
            k += 1
            continue
        order["qty_lots"] = mul_div(order["qty_lots"], num, den, FLOOR)
        resting = (FLOOR if order["side"] > 0 else CEIL) if order["kind"] == LIMIT else NEAREST
        order["price_ticks"] = _rescale(order["price_ticks"], num, den, resting)
        order["limit_ticks"] = _rescale(order["limit_ticks"], num, den, FLOOR if order["side"] > 0 else CEIL)
        order["trail_ticks"] = _rescale(order["trail_ticks"], num, den, NEAREST)
        order["mark_ticks"] = _rescale(order["mark_ticks"], num, den, NEAREST)
        order["take_profit_ticks"] = _rescale(
            order["take_profit_ticks"], num, den, CEIL if order["side"] > 0 else FLOOR
        )
        order["stop_loss_ticks"] = _rescale(order["stop_loss_ticks"], num, den, NEAREST)
        if (order["qty_lots"] == 0 and order["value"] == 0) or (
            order["reduce_only"] == 1 and book["position_lots"] == 0
        ):
            drop(w, s, log, k, ts_ns, SPLIT_AWAY)
            continue
        locked = min(reserve(w, s, order, True), order["reserved"])
        w["money"][rules["money"]]["locked"] += locked - order["reserved"]
        order["reserved"] = locked
        k += 1
    guard(w, s, b, 0)


@inner
def _dividend(w: Record, s: Record, log: Record, b: int, whole: int, micro: int, ts_ns: int) -> None:
    """Cash to the long, from the short; resting buy limits and sell stops are lowered by it (FINRA rule 5330)."""
    account, orders, book, rules = w["account"], w["orders"], w["books"][b], s["rules"][b]
    lots = abs(book["position_lots"])
    if lots > 0:
        mode = FLOOR if book["position_lots"] > 0 else CEIL
        amount = lots * whole + mul_ppm(micro, lots, mode)
        if book["position_lots"] < 0:
            amount = -amount
        book["dividends"] += amount
        charge(w, s, b, -amount)
        _tell(w, s, log, b, PAID_DIVIDEND, ts_ns, amount, 0)
    ticks = round_div(whole + (1 if micro > 0 else 0), rules["tick_quanta"], CEIL)
    for k in range(account["orders"]):
        order = orders[k]
        if order["book"] != b or order["role"] == LIQUIDATION:
            continue
        if order["kind"] == LIMIT and order["side"] > 0:
            order["price_ticks"] = max(order["price_ticks"] - ticks, 1)
        elif order["kind"] != LIMIT and order["side"] < 0:
            if order["price_ticks"] > 0:
                order["price_ticks"] = max(order["price_ticks"] - ticks, 1)
            if order["kind"] == STOP_LIMIT:
                order["limit_ticks"] = max(order["limit_ticks"] - ticks, 1)
            if order["kind"] == TRAILING:
                order["mark_ticks"] = max(order["mark_ticks"] - ticks, 1)


@inner
def _funding(w: Record, s: Record, log: Record, b: int, rate: int, ts_ns: int) -> None:
    """Longs pay the shorts ``rate`` (1e-8) of the position's value at the last close; negative the other way."""
    book = w["books"][b]
    if book["position_lots"] == 0:
        return
    value = book["position_lots"] * book["last_ticks"] * s["rules"][b]["tick_quanta"]
    due = value // RATE * rate + round_div(value % RATE * rate, RATE, CEIL)
    book["funding"] += due
    charge(w, s, b, due)
    _tell(w, s, log, b, FUNDED, ts_ns, -due, 0)


@inner
def _interest(w: Record, s: Record, log: Record, b: int) -> None:
    """Interest on borrowed shares for each UTC day that has begun since it was last paid."""
    book, rules = w["books"][b], s["rules"][b]
    if rules["borrow_ppm"] == 0 or book["position_lots"] >= 0:
        return
    today = w["account"]["open_ns"] // DAY_NS
    days = today - book["borrow_day"]
    if days <= 0:
        return
    value = -book["position_lots"] * book["last_ticks"] * rules["tick_quanta"]
    due = mul_div(value, rules["borrow_ppm"] * days, 365 * PPM, CEIL)
    book["borrow_day"] = today
    book["interest"] += due
    charge(w, s, b, due)
    _tell(w, s, log, b, PAID_INTEREST, today * DAY_NS, -due, 0)


@inner
def expire(w: Record, s: Record, log: Record, b: int, until_ns: int) -> None:
    """Cancel the orders of an instrument whose time is over."""
    account, orders = w["account"], w["orders"]
    k = 0
    while k < account["orders"]:
        order = orders[k]
        if order["book"] == b and 0 < order["expires_ns"] <= until_ns:
            drop(w, s, log, k, order["expires_ns"], EXPIRED)
        else:
            k += 1


@inner
def await_action(w: Record, b: int, actions: Any, first: int, end: int) -> None:
    """Note when the next action of an instrument, whose rows are ``first`` to ``end``, is due."""
    book = w["books"][b]
    at = first + book["next_action"]
    book["action_ns"] = actions[at]["ts_ns"] if at < end else NEVER


@inner
def before_open(w: Record, s: Record, log: Record, b: int, actions: Any) -> None:
    """Everything that is due before an instrument's next open."""
    book, first, end = w["books"][b], s["rules"][b]["actions"], s["rules"][b]["actions_end"]
    now = w["account"]["open_ns"]
    await_action(w, b, actions, first, end)
    while book["action_ns"] <= now:
        action = actions[first + book["next_action"]]
        book["next_action"] += 1
        if action["kind"] == SPLIT:
            _split(w, s, log, b, action["a"], action["b"], action["ts_ns"])
        elif action["kind"] == DIVIDEND:
            _dividend(w, s, log, b, action["a"], action["b"], action["ts_ns"])
        else:
            _funding(w, s, log, b, action["a"], action["ts_ns"])
        await_action(w, b, actions, first, end)
    _interest(w, s, log, b)
    expire(w, s, log, b, now)
