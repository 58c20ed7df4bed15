"""How working orders meet the path of a bar: the price walks along legs, and what it meets first fills first.

A leg goes from the open to one extreme, to the other, to the close; with finer bars, in each of those. Every function
is compiled and runs in plain Python too.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import CEIL, mul_ppm
from pregao.simulation.layout import (
    FOK,
    IN_FINER,
    IN_PATH,
    IOC,
    LIMIT,
    MARKET,
    OHLC,
    OPTIMISTIC,
    PESSIMISTIC,
    STOP_LIMIT,
    UNFILLED,
    WOULD_CROSS,
)
from pregao.simulation.layout import (
    NEAREST as NEAREST_FIRST,
)
from pregao.simulation.ledger import fill
from pregao.simulation.matching import arc_ppm, beyond, follow, meet_price, meet_range, takes, to_limit, trigger
from pregao.simulation.working import drop

FAR = 2**60
Record = Any


@inner
def meet_path(w: Record, s: Record, log: Record, b: int, fine: Any, fine_bars: Any, row: int) -> None:
    """Let the working orders of an instrument meet the rest of its bar by its path rule."""
    book, path = w["books"][b], s["rules"][b]["path"]
    opened, high, low, close = book["bar_open"], book["bar_high"], book["bar_low"], book["bar_close"]
    ts_ns = w["account"]["closing_ns"]
    if path == PESSIMISTIC or path == OPTIMISTIC:
        meet_range(w, s, log, b)
    elif path == OHLC:
        _legs(w, s, log, b, opened, high, low, close, True, IN_PATH, ts_ns)
    elif path == NEAREST_FIRST:
        _legs(w, s, log, b, opened, high, low, close, high - opened <= opened - low, IN_PATH, ts_ns)
    elif len(fine) == 0 or fine[row, 0] == fine[row, 1]:
        _legs(w, s, log, b, opened, high, low, close, close < opened, IN_PATH, ts_ns)
    else:
        account = w["account"]
        opens, closes = account["open_ns"], account["closing_ns"]
        for r in range(fine[row, 0], fine[row, 1]):
            bar = fine_bars[r]
            account["open_ns"], account["closing_ns"] = bar[4], bar[5]
            book["bar_open"], book["bar_high"], book["bar_low"], book["bar_close"] = bar[0], bar[1], bar[2], bar[3]
            if r > fine[row, 0]:
                meet_price(w, s, log, b, bar[0], bar[4], False)
            _legs(w, s, log, b, bar[0], bar[1], bar[2], bar[3], bar[3] < bar[0], IN_FINER, bar[5])
        account["open_ns"], account["closing_ns"] = opens, closes
        book["bar_open"], book["bar_high"], book["bar_low"], book["bar_close"] = opened, high, low, close


@inner
def _legs(
    w: Record, s: Record, log: Record, b: int, opened: int, high: int, low: int, close: int, high_first: bool,
    rule: int, ts_ns: int,
) -> None:  # fmt: skip
    first, second = (high, low) if high_first else (low, high)
    way = abs(first - opened) + abs(second - first) + abs(close - second)
    _walk(w, s, log, b, opened, first, 0, way, rule, ts_ns)
    _walk(w, s, log, b, first, second, abs(first - opened), way, rule, ts_ns)
    _walk(w, s, log, b, second, close, abs(first - opened) + abs(second - first), way, rule, ts_ns)


@inner
def _walk(
    w: Record, s: Record, log: Record, b: int, start: int, end: int, gone: int, way: int, rule: int, ts_ns: int
) -> None:
    """Move the price along one leg and fill what it meets, in the order in which it meets it.

    Args:
        gone: ticks of the bar's way before this leg, of ``way`` in all: late orders join when their time has come.
    """
    account, orders = w["account"], w["orders"]
    here = start
    stuck = 0  # an order that found no liquidity
    while True:
        goal = end
        for k in range(account["orders"]):
            order = orders[k]
            if order["book"] == b:
                joins = _joins(account, order, way) - gone
                if abs(here - start) < joins <= abs(end - start):
                    stop = start + (joins if end > start else -joins)
                    if abs(stop - here) < abs(goal - here):
                        goal = stop
        nearest, chosen, too_late = -1, -1, False
        for k in range(account["orders"]):
            order = orders[k]
            if order["book"] != b or _joins(account, order, way) - gone > abs(here - start):
                continue
            follow(order, here)
            if stuck == 1 and _waits(order):
                continue
            distance = _reach(w, s, order, here, goal)
            late = distance != 0 and (order["tif"] == IOC or order["tif"] == FOK)
            if order["kind"] == LIMIT and distance != 0:
                order["met"] = 1
            if late:
                distance = 0
            if distance >= 0 and (chosen < 0 or distance < nearest):
                nearest, chosen, too_late = distance, k, late
        if chosen < 0 or nearest == abs(goal - here) > 0:  # whoever joins there comes before those who are younger
            for k in range(account["orders"]):
                order = orders[k]
                if order["book"] == b and _joins(account, order, way) - gone <= abs(here - start):
                    follow(order, goal)
            if chosen < 0 and goal == end:
                return
            here = goal
            continue
        if too_late:
            drop(w, s, log, chosen, ts_ns, UNFILLED)
            continue
        order = orders[chosen]
        at = here + (nearest if goal > here else -nearest)
        here = at
        taker_limit = 0
        if order["kind"] == LIMIT:
            level = order["price_ticks"]
            if nearest == 0 and takes(w, s, order):
                taker_limit = 1
                if order["post_only"] == 1:
                    drop(w, s, log, chosen, ts_ns, WOULD_CROSS)
                    continue
            # It fills at its limit, or at the price that is already better when it arrives.
            at = level if nearest > 0 or (at - level) * order["side"] >= 0 or order["met"] == 1 else at
        elif order["kind"] == STOP_LIMIT:
            limit = order["limit_ticks"]
            to_limit(w, s, log, order, ts_ns)
            order["met"] = 1
            if (limit - at) * order["side"] < 0:
                continue
            taker_limit = 2
        if not fill(w, s, log, chosen, at, rule, ts_ns, taker_limit):
            stuck = 1
            order["met"] = 1
            if order["tif"] == IOC or order["tif"] == FOK:
                drop(w, s, log, chosen, ts_ns, UNFILLED)


@inner
def _reach(w: Record, s: Record, order: Record, here: int, there: int) -> int:
    """Ticks the price has to go from ``here`` towards ``there`` until the order fills; -1 if it does not get there."""
    side, up = order["side"], there >= here
    if order["kind"] == MARKET:
        return 0
    if order["kind"] == LIMIT:
        level = order["price_ticks"] - side * beyond(w, s, order)
        if (level - here) * side >= 0:
            return 0
        if (side > 0) == up:
            return -1
    else:
        level = trigger(order)
        if (here - level) * side >= 0:
            return 0
        if (side > 0) != up:
            return -1
    away = abs(level - here)
    return int(away) if away <= abs(there - here) else -1


@inner
def _waits(order: Record) -> bool:
    """Whether an order has nothing to do where there is no liquidity left: one that has just come may have."""
    rests = order["kind"] == LIMIT or order["kind"] == MARKET
    return bool(rests and order["met"] == 1 and order["tif"] != IOC and order["tif"] != FOK)


@inner
def _joins(account: Record, order: Record, way: int) -> int:
    """After how many ticks of the bar's way an order is there: 0 from the open on, more for one that comes late."""
    if order["since_ns"] <= account["open_ns"]:
        return 0
    if order["since_ns"] >= account["closing_ns"]:
        return FAR
    return mul_ppm(way, arc_ppm(account, order["since_ns"]), CEIL)
