"""The state of the simulator as plain arrays: what each field is, its unit, and the codes used in it.

Everything is int64, so the state has one byte form on every machine. Prices are in ticks, quantities in lots,
money in quanta of the quote currency, times in ns since 1970 UTC, rates in parts per million.
"""

from __future__ import annotations

import numpy as np

CAPACITY = 64
"""Working orders that one account can hold."""
ROOM = 4 * CAPACITY
"""More events than one step can cause: each order can fill or be cancelled once, and an entry adds two more."""


def _record(*names: str) -> np.dtype[np.void]:
    return np.dtype([(name, np.int64) for name in names])


PLAN = _record(
    "tick_quanta",  # quanta in one tick of one lot
    "cash",  # at the start
    "entry",  # spent on each entry, fees not included
    "take_profit_ppm",  # of the entry's fill price; 0 is none
    "stop_loss_ppm",  # of the entry's fill price; 0 is none
    "horizon_bars",  # an open position is closed at the open after this many bars; 0 is never
    "fee_ppm",  # of the notional, each side, rounded up
    "slippage_ppm",  # of the price, against the trader, market and stop orders only, rounded up
    "min_notional",
    "allow_short",  # 0 or 1
)

ACCOUNT = _record(
    "cash",
    "fees",  # paid in total
    "realised",  # gross of fees
    "position_lots",  # signed
    "cost",  # signed notional paid for the open position (never an average price)
    "bars_held",  # bars since the position was opened
    "last_ticks",  # the last close
    "now_ns",  # close time of the last bar
    "bars",  # bars seen
    "last_order_id",
    "orders",  # working orders, in slots [0, orders), ascending by id
    "fills",
    "ambiguous",  # bars in which both exits of a bracket were in reach
)

ORDER = _record(
    "id",
    "kind",
    "role",
    "side",  # +1 buys, -1 sells
    "qty_lots",  # 0 if sized by value at the fill
    "value",  # quanta to spend, if sized by value
    "price_ticks",  # limit or trigger; 0 for market orders
    "group",  # id of the entry whose bracket it belongs to; siblings cancel each other
    "reduce_only",
    "since_ns",  # it can fill in bars that open at or after this time
    "take_profit_ppm",  # of the bracket to attach when it fills
    "stop_loss_ppm",
)

EVENT = _record(
    "kind",
    "order_id",
    "ts_ns",
    "order_kind",
    "role",
    "side",
    "qty_lots",
    "price_ticks",
    "reference_ticks",  # the price before slippage
    "slippage_ticks",  # how much worse than the reference
    "fee",
    "realised",
    "position_lots",  # after the event
    "cash",  # after the event
    "rule",
    "reason",
    "ambiguous",
)

MARKET, LIMIT, STOP = 1, 2, 3
ORDER_KINDS = {MARKET: "market", LIMIT: "limit", STOP: "stop"}

PLAIN, ENTRY, TAKE_PROFIT, STOP_LOSS, EXIT = 0, 1, 2, 3, 4
ROLES = {PLAIN: "", ENTRY: "entry", TAKE_PROFIT: "take_profit", STOP_LOSS: "stop_loss", EXIT: "exit"}

ACCEPTED, FILLED, CANCELLED, REJECTED = 1, 2, 3, 4
EVENT_KINDS = {ACCEPTED: "accepted", FILLED: "fill", CANCELLED: "cancelled", REJECTED: "rejected"}

AT_OPEN, AT_GAP, IN_PATH = 1, 2, 3
RULES = {0: "", AT_OPEN: "open", AT_GAP: "gap", IN_PATH: "path"}

NO_FUNDS, MIN_NOTIONAL, BAD_QUANTITY, BAD_PRICE, NO_SHORT, REDUCE_ONLY, OVERFLOW, TOO_MANY = 1, 2, 3, 4, 5, 6, 7, 8
SIBLING, FLAT, HORIZON, REQUESTED = 20, 21, 22, 23
REASONS = {
    0: "",
    NO_FUNDS: "no funds",
    MIN_NOTIONAL: "below the minimum notional",
    BAD_QUANTITY: "quantity is not positive",
    BAD_PRICE: "price is not positive",
    NO_SHORT: "the instrument cannot be sold short",
    REDUCE_ONLY: "reduce-only order would open a position",
    OVERFLOW: "amount too large",
    TOO_MANY: "too many working orders",
    SIBLING: "the other exit filled",
    FLAT: "the position is closed",
    HORIZON: "horizon reached",
    REQUESTED: "requested",
}

ENTER_LONG, ENTER_SHORT, LEAVE = 1, -1, 2
"""Signals: what a strategy decided at a bar's close; 0 is nothing."""
