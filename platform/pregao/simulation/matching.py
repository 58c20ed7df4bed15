"""How working orders meet a bar: its open, then its range. Every function is compiled and runs in plain Python too.

A bar says where the price opened, how far it went and where it closed, not in which order. The path rule decides:
``pessimistic`` and ``optimistic`` take the worse or the better order for the trader; the others walk the price along
legs from the open over one extreme to the other and to the close, see `walking`.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import NEAREST, PPM, mul_div, mul_ppm
from pregao.simulation.chance import happens
from pregao.simulation.layout import (
    AT_GAP,
    AT_OPEN,
    FOK,
    IN_FINER,
    IN_PATH,
    IOC,
    LIMIT,
    MARKET,
    OPTIMISTIC,
    PESSIMISTIC,
    STOP,
    STOP_LIMIT,
    TRAILING,
    TRIGGERED,
    UNFILLED,
    WOULD_CROSS,
)
from pregao.simulation.ledger import fill
from pregao.simulation.working import announce, drop

Record = Any


@inner
def trigger(order: Record) -> int:
    """Trigger of a stop, stop-limit or trailing stop order, in ticks."""
    if order["kind"] == TRAILING:
        away = order["trail_ticks"]
        if order["trail_ppm"] > 0:
            away = max(mul_ppm(order["mark_ticks"], order["trail_ppm"], NEAREST), 1)
        return int(max(order["mark_ticks"] + order["side"] * away, 1))
    return int(order["price_ticks"])


@inner
def beyond(w: Record, s: Record, order: Record) -> int:
    """Ticks by which the price must trade through a limit to fill it: 1, or 0 where touching is enough."""
    rules = s["rules"][order["book"]]
    if rules["touch_ppm"] == 0:
        return 1
    if rules["touch_ppm"] >= PPM:
        return 0
    return 0 if happens(order["draw"], w["account"]["open_ns"] // 1_000_000_000, rules["touch_ppm"]) else 1


@inner
def takes(w: Record, s: Record, order: Record) -> bool:
    """Whether a limit order that fills now takes liquidity: it finds its price there, and has not rested before.

    An exit that a fill has placed rests from then on, unless the market had passed its limit already.
    """
    found = order["mark_ticks"]
    passed = (order["price_ticks"] - found) * order["side"] >= beyond(w, s, order)
    return bool(order["met"] == 0 and (found == 0 or passed))


@inner
def follow(order: Record, price: int) -> None:
    """Let a trailing stop follow the price to its better side."""
    if order["kind"] == TRAILING:
        mark = order["mark_ticks"]
        order["mark_ticks"] = max(mark, price) if order["side"] < 0 else min(mark, price)


@inner
def to_limit(w: Record, s: Record, log: Record, order: Record, ts_ns: int) -> None:
    """A stop-limit order's trigger has been reached: from now on it is a limit order."""
    order["kind"] = LIMIT
    order["price_ticks"] = order["limit_ticks"]
    order["limit_ticks"] = 0
    order["met"] = 0
    announce(w, s, log, order, TRIGGERED, ts_ns, 0)


@inner
def _stop_before(w: Record, b: int, order: Record) -> bool:
    """Whether the stop loss beside this take profit lies within the bar."""
    if order["group"] == 0:
        return False
    book = w["books"][b]
    for k in range(w["account"]["orders"]):
        other = w["orders"][k]
        if other["group"] == order["group"] and other["kind"] == STOP and other["since_ns"] <= w["account"]["open_ns"]:
            price = other["price_ticks"]
            return bool(book["bar_low"] <= price if other["side"] < 0 else book["bar_high"] >= price)
    return False


@inner
def meet_price(w: Record, s: Record, log: Record, b: int, price: int, ts_ns: int, at_open: bool) -> None:
    """Let the working orders of an instrument, oldest first, meet a price that is suddenly there.

    That is a bar's open, or a finer bar's (``at_open`` false). What the price has jumped over fills at it.
    """
    account, orders, book, rules = w["account"], w["orders"], w["books"][b], s["rules"][b]
    now = account["open_ns"]
    for k in range(account["orders"]):
        if orders[k]["book"] == b and orders[k]["since_ns"] <= now:
            follow(orders[k], price)
    k = 0
    while k < account["orders"]:
        order = orders[k]
        if order["book"] != b or order["since_ns"] > now:
            k += 1
            continue
        side = order["side"]
        if order["kind"] == STOP_LIMIT and (price - order["price_ticks"]) * side >= 0:
            to_limit(w, s, log, order, ts_ns)
        rule, reference, taker_limit = 0, price, 0
        if order["kind"] == MARKET:
            rule = AT_OPEN if at_open else IN_FINER
        elif order["kind"] == LIMIT:
            if (order["price_ticks"] - price) * side >= beyond(w, s, order):
                rule = AT_GAP
                taker_limit = 1 if takes(w, s, order) else 0
                if order["post_only"] == 1 and order["met"] == 0:
                    drop(w, s, log, k, ts_ns, WOULD_CROSS)
                    continue
                if rules["stop_beats_gap"] == 1 and _stop_before(w, b, order):
                    rule = 0
                elif rules["limit_gap_at_limit"] == 1:
                    reference = order["price_ticks"]
                elif rules["stop_gap_at_trigger"] == 1:
                    reference = min(max(order["price_ticks"], book["bar_low"]), book["bar_high"])
        elif (price - trigger(order)) * side >= 0:
            rule = AT_GAP
            level = trigger(order)
            if rules["stop_gap_at_trigger"] == 1 and book["bar_low"] <= level <= book["bar_high"]:
                reference = level
        if rule != 0 and fill(w, s, log, k, reference, rule, ts_ns, taker_limit):
            k = 0
        elif order["tif"] == IOC or order["tif"] == FOK:
            drop(w, s, log, k, ts_ns, UNFILLED)
        else:
            k += 1
    for k in range(account["orders"]):
        if orders[k]["book"] == b and orders[k]["since_ns"] <= now:
            orders[k]["met"] = 1


@inner
def _point(book: Record, high_first: bool, arc_ppm: int) -> int:
    """The price after a part of the way from the open over both extremes to the close."""
    first, second = (book["bar_high"], book["bar_low"]) if high_first else (book["bar_low"], book["bar_high"])
    a, b, c = abs(first - book["bar_open"]), abs(second - first), abs(book["bar_close"] - second)
    gone = mul_ppm(a + b + c, arc_ppm, 0)
    if gone <= a:
        return int(book["bar_open"] + (gone if high_first else -gone))
    if gone <= a + b:
        return int(first + ((a - gone) if high_first else (gone - a)))
    gone -= a + b
    return int(second + (gone if high_first else -gone))


@inner
def arc_ppm(account: Record, since_ns: int) -> int:
    """Which part of the moment, in ppm, is over when an order that comes late arrives."""
    return mul_div(since_ns - account["open_ns"], PPM, max(account["closing_ns"] - account["open_ns"], 1), 0)


@inner
def _meet_late(w: Record, s: Record, log: Record, b: int) -> None:
    """Orders that arrive while the bar is on, where no path is walked: those that fill at the price they find.

    The price at that time is the worse (`OPTIMISTIC`: the better) of the two ways over the extremes.
    """
    account, orders, book, rules = w["account"], w["orders"], w["books"][b], s["rules"][b]
    k = 0
    while k < account["orders"]:
        order = orders[k]
        since = order["since_ns"]
        late = order["book"] == b and account["open_ns"] < since < account["closing_ns"]
        if late and order["met"] == 0:
            arc = arc_ppm(account, since)
            one, other = _point(book, True, arc), _point(book, False, arc)
            worse = (order["side"] > 0) == (rules["path"] != OPTIMISTIC)
            price = max(one, other) if worse else min(one, other)
            taker = takes(w, s, order)
            order["met"] = 1
            follow(order, price)
            if order["kind"] == STOP_LIMIT and (price - order["price_ticks"]) * order["side"] >= 0:
                to_limit(w, s, log, order, account["closing_ns"])
                order["met"] = 1
            reached = order["kind"] == MARKET
            if order["kind"] == LIMIT:
                reached = (order["price_ticks"] - price) * order["side"] >= beyond(w, s, order)
            elif order["kind"] == STOP or order["kind"] == TRAILING:
                reached = (price - trigger(order)) * order["side"] >= 0
            if reached and order["post_only"] == 1:
                drop(w, s, log, k, account["closing_ns"], WOULD_CROSS)
                continue
            if reached and fill(w, s, log, k, price, IN_PATH, account["closing_ns"], 1 if taker else 0):
                k = 0
                continue
            if order["tif"] == IOC or order["tif"] == FOK:
                drop(w, s, log, k, account["closing_ns"], UNFILLED)
                continue
        k += 1


@inner
def meet_range(w: Record, s: Record, log: Record, b: int) -> None:
    """Let the orders meet the bar's range: every stop in reach before any limit, or the other way if optimistic."""
    account, orders, book, rules = w["account"], w["orders"], w["books"][b], s["rules"][b]
    high, low, ts_ns = book["bar_high"], book["bar_low"], account["closing_ns"]
    _meet_late(w, s, log, b)
    stops_first = rules["path"] == PESSIMISTIC
    looking = True
    while looking:
        looking = False
        for turn in range(2):
            stops = (turn == 0) == stops_first
            for k in range(account["orders"]):
                order = orders[k]
                if order["book"] != b or order["kind"] == MARKET or (order["kind"] != LIMIT) != stops:
                    continue
                if order["since_ns"] > account["open_ns"] and (order["kind"] == LIMIT or order["since_ns"] >= ts_ns):
                    continue
                side = order["side"]
                # What was placed in this bar at a level that the price had passed already meets the price of that time.
                found = order["mark_ticks"] if order["met"] == 0 and order["kind"] != TRAILING else 0
                taker_limit = 0
                if stops:
                    price = trigger(order)
                    if not (high >= price if side > 0 else low <= price):
                        continue
                    if found > 0 and (found - price) * side >= 0:
                        price = found
                    if order["kind"] == STOP_LIMIT:
                        limit = order["limit_ticks"]
                        to_limit(w, s, log, order, ts_ns)
                        if (limit - price) * side >= 0 and fill(w, s, log, k, price, IN_PATH, ts_ns, 2):
                            looking = True
                            break
                        order["since_ns"] = ts_ns
                        order["met"] = 1
                        continue
                else:
                    price = order["price_ticks"]
                    through = beyond(w, s, order)
                    if not (low <= price - through if side > 0 else high >= price + through):
                        continue
                    if found > 0 and takes(w, s, order):
                        price, taker_limit = found, 1
                if fill(w, s, log, k, price, IN_PATH, ts_ns, taker_limit):
                    looking = True
                    break
            if looking:
                break
    # Trailing stops follow the bar's better extreme last; the close may then lie beyond them.
    k = 0
    while k < account["orders"]:
        order = orders[k]
        if order["book"] == b and order["kind"] == TRAILING and order["since_ns"] < ts_ns:
            follow(order, high if order["side"] < 0 else low)
            level = trigger(order)
            beyond_it = (book["bar_close"] - level) * order["side"] >= 0 and low <= level <= high
            if beyond_it and fill(w, s, log, k, level, IN_PATH, ts_ns, 0):
                k = 0
                continue
        k += 1
