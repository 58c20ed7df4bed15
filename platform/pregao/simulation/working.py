"""The working orders in their slots, the money that they lock, and the events about them.

Every function is compiled and runs unchanged in plain Python. ``w`` is one record of `layout.WORLD`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pregao.core.compiled import inner
from pregao.simulation.layout import CANCELLED, ORDER_WORDS, ORDERS_AT, ZERO

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
