"""What is asked of the account between moments: orders are accepted or rejected, amended and cancelled.

Every function is compiled and runs unchanged in plain Python. ``w`` is one record of `layout.WORLD`.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import MAX_QUANTA, PPM
from pregao.simulation.chance import mix
from pregao.simulation.costs import DAY_NS
from pregao.simulation.flows import NEVER
from pregao.simulation.layout import (
    ACCEPTED,
    AMENDED,
    AT_CLOSE,
    AT_LAST,
    BAD_KIND,
    BAD_PRICE,
    BAD_QUANTITY,
    BAD_TIF,
    CANCELLED,
    CAPACITY,
    DAY,
    ENTRY,
    EXIT,
    FOK,
    GTD,
    IOC,
    LIMIT,
    LIQUIDATION,
    MARKET,
    MARKET_CLOSED,
    MIN_NOTIONAL,
    NO_FUNDS,
    NO_ORDER,
    NO_SHORT,
    OVERFLOW,
    PLAIN,
    REDUCE_ONLY,
    REJECTED,
    REQUEST,
    REQUESTED,
    STALE_FEED,
    STOP_LIMIT,
    TOO_MANY,
    TRAILING,
    WOULD_CROSS,
    ZERO,
)
from pregao.simulation.ledger import MAX_LOTS, fill, reserve
from pregao.simulation.matching import trigger
from pregao.simulation.working import add, announce, copy_order, free, remove

MAX_TICKS = 2**52
Record = Any


@inner
def wake(w: Record, s: Record, b: int) -> None:
    """Work out which bars of an instrument are quiet from now on. Careful: a bar may wake it and fill nothing."""
    account, orders, book, rules = w["account"], w["orders"], w["books"][b], s["rules"][b]
    high, low, until = NEVER, 0, NEVER
    if rules["spread_method"] > 0 or rules["impact_k"] > 0.0:
        low = NEVER
    for k in range(account["orders"]):
        order = orders[k]
        if order["book"] != b:
            continue
        if order["kind"] == MARKET or order["kind"] == TRAILING or order["met"] == 0:
            low = NEVER
        elif (order["kind"] == LIMIT) == (order["side"] < 0):
            high = min(high, order["price_ticks"])
        else:
            low = max(low, order["price_ticks"])
        if order["expires_ns"] > 0:
            until = min(until, order["expires_ns"] - (account["closing_ns"] - account["open_ns"]))
    until = min(until, book["action_ns"])
    if rules["borrow_ppm"] > 0 and book["position_lots"] < 0:
        until = min(until, (book["borrow_day"] + 1) * DAY_NS)
    book["wake_high"] = high
    book["wake_low"] = low
    book["wake_ns"] = until


@inner
def latency(s: Record, b: int, draw: int) -> int:
    """Time in ns until an order acts, drawn from the instrument's samples."""
    rules = s["rules"][b]
    count = rules["latencies_end"] - rules["latencies"]
    return int(s["latencies"][rules["latencies"] + draw % count]) if count > 0 else 0


@inner
def _at_close(w: Record, s: Record, log: Record, b: int) -> None:
    """Where the rules say so, fill the newest order, a market order, at the close at which it was decided."""
    k = w["account"]["orders"] - 1
    if s["rules"][b]["fill_at_close"] == 1 and w["orders"][k]["kind"] == MARKET:
        fill(w, s, log, k, w["books"][b]["last_ticks"], AT_CLOSE, w["account"]["now_ns"], 0)
        for m in range(w["account"]["moneys"]):
            w["money"][m]["freed"] = 0


@inner
def leave(w: Record, s: Record, log: Record, b: int, reason: int) -> None:
    """Close an open position at the market, at the next open; waiting entries are cancelled. Harmless when flat."""
    account, orders, book = w["account"], w["orders"], w["books"][b]
    now_ns = account["now_ns"]
    k = 0
    waiting = False
    while k < account["orders"]:
        order = orders[k]
        if order["book"] == b and order["role"] == ENTRY:
            announce(w, s, log, order, CANCELLED, now_ns, reason)
            remove(w, s, k)
        else:
            waiting = waiting or (order["book"] == b and order["role"] == EXIT)
            k += 1
    if book["position_lots"] != 0 and not waiting:
        order = add(w, b, now_ns)
        order["kind"] = MARKET
        order["role"] = EXIT
        order["side"] = -1 if book["position_lots"] > 0 else 1
        order["qty_lots"] = abs(book["position_lots"])
        order["reduce_only"] = 1
        book["orders_made"] += 1
        order["draw"] = mix(s["rules"][b]["seed"], book["orders_made"])
        order["since_ns"] = now_ns + latency(s, b, order["draw"])
        announce(w, s, log, order, ACCEPTED, now_ns, reason)
        _at_close(w, s, log, b)
    wake(w, s, b)


@inner
def leave_now(w: Record, s: Record, log: Record, b: int, ticks: int, ts_ns: int) -> None:
    """Fill the exit that waits for the next open at a price between two bars. Harmless if none waits."""
    orders = w["orders"]
    for k in range(w["account"]["orders"]):
        if orders[k]["book"] == b and orders[k]["role"] == EXIT and orders[k]["kind"] == MARKET:
            fill(w, s, log, k, ticks, AT_LAST, ts_ns, 0)
            break
    for m in range(w["account"]["moneys"]):
        w["money"][m]["freed"] = 0
    wake(w, s, b)


@inner
def _crosses(rules: Record, book: Record, order: Record) -> bool:
    ahead = (order["price_ticks"] - book["last_ticks"]) * order["side"]
    return bool(ahead > 0 or (ahead == 0 and rules["touch_ppm"] >= PPM))


@inner
def _is_known(request: Record) -> bool:
    """Whether an order's kind, side and role can be asked for; what is not becomes none, as its event tells."""
    known = MARKET <= request["kind"] <= TRAILING and abs(request["side"]) == 1
    known = known and (request["role"] == PLAIN or request["role"] == ENTRY)
    if request["kind"] < MARKET or request["kind"] > TRAILING:
        request["kind"] = 0
    if abs(request["side"]) > 1:
        request["side"] = 0
    if request["role"] < PLAIN or request["role"] > LIQUIDATION:
        request["role"] = PLAIN
    return bool(known)


@inner
def _room(w: Record) -> bool:
    """Whether one more order fits, with the brackets and liquidations that all waiting orders may bring."""
    count = w["account"]["books"] + 1
    for k in range(w["account"]["orders"]):
        count += 3 if w["orders"][k]["role"] == ENTRY else 1
    return bool(count + 3 <= CAPACITY)


@inner
def _problem(w: Record, s: Record, order: Record) -> int:
    """Why an order cannot be accepted; 0 if it can. Its funds are looked at apart, in `_funds`."""
    account, b = w["account"], order["book"]
    book, rules, side = w["books"][b], s["rules"][b], order["side"]
    kind, lots, value, price, limit = (
        order["kind"], order["qty_lots"], order["value"], order["price_ticks"], order["limit_ticks"],
    )  # fmt: skip
    if account["stale"] == 1:
        return STALE_FEED
    if (lots <= 0) == (value <= 0) or lots < 0 or value < 0:
        return BAD_QUANTITY
    trails = (order["trail_ticks"] > 0) != (0 < order["trail_ppm"] < PPM)
    if order["trail_ticks"] < 0 or order["trail_ppm"] < 0 or trails != (kind == TRAILING):
        return BAD_PRICE
    if (price <= 0) != (kind == MARKET or kind == TRAILING) or price < 0 or (limit <= 0) == (kind == STOP_LIMIT):
        return BAD_PRICE
    if order["take_profit_ticks"] < 0 or order["stop_loss_ticks"] < 0 or limit < 0:
        return BAD_PRICE
    if not (0 <= order["take_profit_ppm"] <= 100 * PPM and 0 <= order["stop_loss_ppm"] < PPM):
        return BAD_PRICE
    highest = max(max(price, limit), max(order["take_profit_ticks"], order["stop_loss_ticks"]))
    highest = max(highest, max(book["last_ticks"], 1) + min(order["trail_ticks"], MAX_TICKS))
    if highest >= MAX_TICKS or lots >= MAX_LOTS or value >= MAX_QUANTA:
        return OVERFLOW
    unit = (max(price, limit) if price > 0 else max(book["last_ticks"], 1)) * rules["tick_quanta"]
    if unit >= MAX_QUANTA or (lots > 0 and unit > MAX_QUANTA // lots):
        return OVERFLOW
    tif = order["tif"]
    dated = tif == DAY or tif == GTD
    if tif < 0 or tif > GTD or dated != (order["expires_ns"] > 0):
        return BAD_TIF
    if dated and order["expires_ns"] <= account["now_ns"]:
        return BAD_TIF
    if (tif == IOC or tif == FOK) and ((kind != MARKET and kind != LIMIT) or order["post_only"] == 1):
        return BAD_TIF
    if (tif == IOC or tif == FOK) and book["closed"] == 1:
        return MARKET_CLOSED
    if order["post_only"] == 1 and kind != LIMIT:
        return BAD_KIND
    if order["post_only"] == 1 and book["last_ticks"] > 0 and _crosses(rules, book, order):
        return WOULD_CROSS
    if not _room(w):
        return TOO_MANY
    if order["reduce_only"] == 1:
        return REDUCE_ONLY if book["position_lots"] * side >= 0 else 0
    if side < 0 and book["position_lots"] <= 0 and rules["allow_short"] == 0:
        return NO_SHORT
    notional = value if value > 0 else lots * unit
    if notional < rules["min_notional"] or (value > 0 and value < unit):
        return MIN_NOTIONAL
    return 0


@inner
def _funds(w: Record, s: Record, order: Record) -> int:
    """Quanta to lock for an order; -1 if free cash does not cover it. One by value may be cut down for its fees."""
    rules = s["rules"][order["book"]]
    have = free(w, rules["money"])
    need = reserve(w, s, order, True)
    if need <= max(have, 0):  # closing needs nothing, also when losses have eaten up the cash
        return need
    if order["value"] > 0 and reserve(w, s, order, False) <= have:
        return have
    return -1


@inner
def submit(w: Record, s: Record, log: Record) -> int:
    """Accept or reject the order in slot ``REQUEST`` after the last bar's close; it can fill from the next open on.

    The caller fills the slot in; ids, times and reservations are set here. Returns the order's id, or 0 if it was
    rejected; the reason is in the event.
    """
    account, request = w["account"], w["orders"][REQUEST]
    b, now_ns = request["book"], account["now_ns"]
    book, rules = w["books"][b], s["rules"][b]
    reason = _problem(w, s, request) if _is_known(request) else BAD_KIND
    locked = 0
    if reason == 0:
        locked = _funds(w, s, request)
        reason = NO_FUNDS if locked < 0 else 0
    if reason != 0:
        request["id"] = 0
        announce(w, s, log, request, REJECTED, now_ns, reason)
        return 0
    order = add(w, b, now_ns)
    number = order["id"]
    copy_order(w, account["orders"] - 1, REQUEST)
    order["id"] = number
    book["orders_made"] += 1
    order["draw"] = mix(rules["seed"], book["orders_made"])
    order["since_ns"] = now_ns + latency(s, b, order["draw"])
    order["mark_ticks"] = book["last_ticks"] if order["kind"] == TRAILING else 0
    order["reserved"] = locked
    w["money"][rules["money"]]["locked"] += locked
    event = announce(w, s, log, order, ACCEPTED, now_ns, 0)
    if order["kind"] == TRAILING:
        event["price_ticks"] = trigger(order)
    _at_close(w, s, log, b)
    wake(w, s, b)
    return int(number)


@inner
def refuse(w: Record, s: Record, log: Record, reason: int) -> None:
    """Reject the order in slot ``REQUEST`` for a reason found by the caller."""
    request = w["orders"][REQUEST]
    _is_known(request)
    announce(w, s, log, request, REJECTED, w["account"]["now_ns"], reason)


@inner
def find(w: Record, order_id: int) -> int:
    """Slot of a working order that a person or strategy placed or may change; -1 if there is none."""
    for k in range(w["account"]["orders"]):
        if w["orders"][k]["id"] == order_id and w["orders"][k]["role"] != LIQUIDATION:
            return k
    return -1


@inner
def cancel(w: Record, s: Record, log: Record, order_id: int) -> bool:
    """Cancel a working order by its id; False if there is none."""
    k = find(w, order_id)
    if k < 0:
        return False
    b = w["orders"][k]["book"]
    announce(w, s, log, w["orders"][k], CANCELLED, w["account"]["now_ns"], REQUESTED)
    remove(w, s, k)
    wake(w, s, b)
    return True


@inner
def amend(w: Record, s: Record, log: Record, order_id: int, qty_lots: int, price_ticks: int, limit_ticks: int) -> bool:
    """Change a working order's quantity, price or limit (0: unchanged). It keeps its id and loses its priority.

    What cannot be accepted is rejected with an event, and the order stays as it was.
    """
    account, orders = w["account"], w["orders"]
    request = orders[REQUEST]
    k = find(w, order_id)
    if k < 0:
        copy_order(w, REQUEST, ZERO)
        request["id"] = order_id
        announce(w, s, log, request, REJECTED, account["now_ns"], NO_ORDER)
        return False
    copy_order(w, REQUEST, k)
    b = request["book"]
    rules = s["rules"][b]
    money = w["money"][rules["money"]]
    if qty_lots != 0:
        request["qty_lots"] = qty_lots
        request["value"] = 0
    elif request["value"] > 0:
        request["qty_lots"] = 0
    if price_ticks != 0:
        request["price_ticks"] = price_ticks
    if limit_ticks != 0:
        request["limit_ticks"] = limit_ticks
    money["locked"] -= request["reserved"]
    reason = _problem(w, s, request)
    locked = request["reserved"]
    if reason == 0:
        locked = _funds(w, s, request)
        reason = NO_FUNDS if locked < 0 else 0
    money["locked"] += request["reserved"]
    if reason != 0:
        announce(w, s, log, request, REJECTED, account["now_ns"], reason)
        return False
    remove(w, s, k)
    account["orders"] += 1
    last = account["orders"] - 1
    copy_order(w, last, REQUEST)
    order = orders[last]
    order["since_ns"] = account["now_ns"] + latency(s, b, order["draw"])
    order["met"] = 0
    if order["kind"] != TRAILING:
        order["mark_ticks"] = 0
    order["reserved"] = locked
    money["locked"] += locked
    announce(w, s, log, order, AMENDED, account["now_ns"], REQUESTED)
    wake(w, s, b)
    return True
