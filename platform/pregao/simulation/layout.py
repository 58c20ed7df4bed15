"""The state of the simulator as one plain record: what each field is, its unit, and the codes used in it.

Prices are in ticks, quantities in lots, money in quanta of its currency, times in ns since 1970 UTC, rates in parts
per million. All of the state is int64 but the few estimates that only slippage reads, so it has one byte form.
"""

from __future__ import annotations

import numpy as np

from pregao.simulation.estimators import ESTIMATE

BOOKS = 32
"""Instruments that one account can trade."""
MONEYS = 8
"""Currencies that one account can hold."""
CAPACITY = 256
"""Working orders that one account can hold."""
ROOM = 2_048
"""More events than one moment can cause; a driver makes room before it."""
LOG_ROWS = 16 * ROOM
TIERS = 256
"""Fee tiers of all instruments of an account."""
LATENCIES = 4_096
"""Samples of latencies of all instruments of an account."""
DAYS = 31
"""Days of traded volume that are kept: today's and the 30 that set the fee tier."""


def _record(*names: str, floats: tuple[str, ...] = ()) -> np.dtype[np.void]:
    return np.dtype([(name, np.int64) for name in names] + [(name, np.float64) for name in floats])


ACCOUNT = _record(
    "now_ns",  # close time of the last bar
    "open_ns",  # open time of the moment that is on, or was last
    "closing_ns",  # its close time
    "bars",  # moments seen
    "last_order_id",
    "orders",  # working orders, in slots [0, orders), in time priority
    "fills",
    "ambiguous",  # bars in which both exits of a bracket were in reach
    "books",  # instruments
    "moneys",  # currencies; the first is the reporting one
    "stale",  # 1: the feed is stale and new orders are refused
)

MONEY = _record(
    "cash",
    "locked",  # by working orders and by positions that need a margin
    "freed",  # by fills of this moment: not to be used before it is over
    "volume_day",  # days since 1970 of the newest entry in its row of `volumes`
    "rate_book",  # instrument whose last price gives its value in the reporting currency; -1: none is needed
    "rate_num",  # quanta of the reporting currency = quanta * ticks * num // den
    "rate_den",
)

BOOK = _record(
    "position_lots",  # signed
    "cost",  # signed notional paid for the open position (never an average price)
    "margin",  # locked for the open position, what a short sale brought in included
    "bars_held",  # bars since the position was opened
    "last_ticks",  # the last close
    "bar_open",  # the bar that is on, or was last
    "bar_high",
    "bar_low",
    "bar_close",
    "realised",  # gross of fees
    "fees",  # paid in total, valued in the quote currency
    "funding",  # paid in total (received: negative)
    "interest",  # paid for borrowing in total
    "dividends",  # received in total (paid: negative)
    "best",  # what the better path would have added in the ambiguous bars
    "worst",  # what the worse path would have taken away in them
    "used_lots",  # of this bar's liquidity
    "orders_made",
    "next_action",  # how many of its actions are past
    "action_ns",  # when it is due
    "borrow_day",  # days since 1970 up to which borrowing is paid
    "closed",  # 1: its exchange is closed now
    "here",  # 1: it has a bar in the moment that is on
    "live",  # 1: that bar may trade
    "row",  # of it on the tape
    "now_ns",  # close time of its last bar
    "wake_high",  # a bar is quiet while low > wake_low, high < wake_high, and its open comes before wake_ns
    "wake_low",
    "wake_ns",
    floats=("bar_volume",),
)

ORDER = _record(
    "id",
    "book",
    "kind",
    "role",
    "side",  # +1 buys, -1 sells
    "qty_lots",  # what is left to fill; 0 if sized by value at the fill
    "value",  # quanta left to spend, if sized by value
    "price_ticks",  # limit or trigger; 0 for market orders
    "limit_ticks",  # of a stop-limit order
    "trail_ticks",  # distance of a trailing stop
    "trail_ppm",
    "mark_ticks",  # best price that a trailing stop has seen; of an exit, where the market was when a fill placed it
    "group",  # id of the entry whose bracket it belongs to; siblings cancel each other
    "reduce_only",
    "post_only",
    "tif",
    "expires_ns",  # 0 never
    "since_ns",  # it can fill from this time on
    "reserved",  # quanta of the quote currency that it locks
    "filled_lots",
    "notional",  # filled so far
    "fee_base",  # fees by rate so far, before minimum and cap
    "fee_paid",  # so far
    "met",  # 1: it has met a price since it came, so it rests
    "draw",  # of the seeded chances
    "take_profit_ppm",  # of the bracket to attach when it fills
    "stop_loss_ppm",
    "take_profit_ticks",
    "stop_loss_ticks",
)

RULES = _record(
    "money",  # quote currency
    "tick_quanta",  # quanta in one tick of one lot
    "entry",  # spent on each entry, fees not included
    "take_profit_ppm",  # of the entry's fill price; 0 is none
    "stop_loss_ppm",
    "horizon_bars",  # an open position is closed at the open after this many bars; 0 is never
    "min_notional",
    "allow_short",
    "path",
    "touch_ppm",
    "participation_ppm",
    "margined",  # 1: positions need a margin and pay no notional (perpetuals)
    "initial_margin_ppm",
    "maintenance_margin_ppm",
    "liquidation_fee_ppm",
    "borrow_ppm",
    "maker_ppm",
    "taker_ppm",
    "flat_fee",  # quanta an order
    "unit_fee",  # millionths of a quantum a lot
    "least_fee",  # quanta an order
    "cap_ppm",  # most an order pays, of its notional; 0 none
    "sell_ppm",  # tax on sales
    "tiers",  # rows of the table of tiers: from, to
    "tiers_end",
    "fee_money",  # currency in which fees are paid if it suffices; -1: the quote currency
    "fee_discount_ppm",
    "fixed_ppm",  # slippage
    "spread_ppm",
    "spread_method",
    "spread_window",
    "impact_window",
    "latencies",  # rows of the table of latencies: from, to
    "latencies_end",
    "actions",  # rows of the table of actions: from, to
    "actions_end",
    "seed",
    "fill_at_close",
    "children_next_bar",
    "levels_from_signal",
    "size_from_signal",
    "limit_gap_at_limit",
    "stop_gap_at_trigger",
    "stop_beats_gap",
    "profit_after_fees",
    "stop_rounds_up",
    floats=("lot_size", "share_k", "impact_k"),
)

TIER = _record("volume", "maker_ppm", "taker_ppm")

EVENT = np.dtype([
    ("order_id", np.int64),
    ("ts_ns", np.int64),
    ("qty_lots", np.int64),
    ("price_ticks", np.int64),
    ("reference_ticks", np.int64),  # the price before slippage
    ("slippage_ticks", np.int64),  # how much worse than the reference, all told
    ("spread_ticks", np.int64),  # parts of the slippage
    ("impact_ticks", np.int64),
    ("fee", np.int64),
    ("realised", np.int64),
    ("position_lots", np.int64),  # after the event
    ("cash", np.int64),  # after the event, in the quote currency
    ("amount", np.int64),  # paid in (negative: out) by funding, dividend, interest, a split's remainder
    ("book", np.int32),
    ("tier", np.int32),
    ("kind", np.int8),
    ("order_kind", np.int8),
    ("role", np.int8),
    ("side", np.int8),
    ("rule", np.int8),
    ("reason", np.int8),
    ("liquidity", np.int8),
    ("ambiguous", np.int8),
])  # fmt: skip
"""There are many events, and they are written, hashed and read: the narrower, the faster."""


def _world() -> np.dtype[np.void]:
    """The parts of the world one after the other, and over them all the same bytes as words, to copy records by."""
    parts = {
        "account": (ACCOUNT, ()),
        "money": (MONEY, (MONEYS,)),
        "books": (BOOK, (BOOKS,)),
        "orders": (ORDER, (CAPACITY + 3,)),  # after the working ones: one that stays zero, and two for work
        "volumes": (np.dtype(np.int64), (MONEYS, DAYS)),
        "estimates": (ESTIMATE, (BOOKS,)),
    }
    formats = [np.dtype((kind, shape)) for kind, shape in parts.values()]
    ends = np.cumsum([kind.itemsize for kind in formats]).tolist()
    return np.dtype(
        {
            "names": [*parts, "words"],
            "formats": [*formats, np.dtype((np.int64, (ends[-1] // 8,)))],
            "offsets": [0, *ends[:-1], 0],
            "itemsize": ends[-1],
        }
    )


WORLD = _world()


def word(part: str, index: int, field: str) -> int:
    """Which word of the world a field is, of the record with this index in a part of it."""
    whole = WORLD.fields
    assert whole is not None
    kind, start = whole[part][:2]
    record = kind.base
    assert record.fields is not None
    return int(start + index * record.itemsize + record.fields[field][1]) // 8


ORDERS_AT = WORLD.fields["orders"][1] // 8 if WORLD.fields else 0
"""Word at which the orders begin, each `ORDER_WORDS` long."""
ORDER_WORDS = ORDER.itemsize // 8
SETTING = np.dtype([("rules", RULES, (BOOKS,)), ("tiers", TIER, (TIERS,)), ("latencies", np.int64, (LATENCIES,))])
LOG = np.dtype([("count", np.int64), ("events", EVENT, (LOG_ROWS,))])
"""Events, of which ``count`` rows are in use; whoever drives the step empties it in time."""

ZERO = CAPACITY
WORK = CAPACITY + 1
REQUEST = CAPACITY + 2

MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING = 1, 2, 3, 4, 5
ORDER_KINDS = {0: "", MARKET: "market", LIMIT: "limit", STOP: "stop", STOP_LIMIT: "stop_limit", TRAILING: "trailing"}

PLAIN, ENTRY, TAKE_PROFIT, STOP_LOSS, EXIT, LIQUIDATION = 0, 1, 2, 3, 4, 5
ROLES = {
    PLAIN: "",
    ENTRY: "entry",
    TAKE_PROFIT: "take_profit",
    STOP_LOSS: "stop_loss",
    EXIT: "exit",
    LIQUIDATION: "liquidation",
}

GTC, IOC, FOK, DAY, GTD = 0, 1, 2, 3, 4
TIMES_IN_FORCE = {GTC: "GTC", IOC: "IOC", FOK: "FOK", DAY: "DAY", GTD: "GTD"}

ACCEPTED, FILLED, CANCELLED, REJECTED, AMENDED, TRIGGERED = range(1, 7)
FUNDED, PAID_DIVIDEND, WAS_SPLIT, PAID_INTEREST, CONVERTED = range(7, 12)
EVENT_KINDS = {
    ACCEPTED: "accepted",
    FILLED: "fill",
    CANCELLED: "cancelled",
    REJECTED: "rejected",
    AMENDED: "amended",
    TRIGGERED: "triggered",
    FUNDED: "funding",
    PAID_DIVIDEND: "dividend",
    WAS_SPLIT: "split",
    PAID_INTEREST: "interest",
    CONVERTED: "converted",
}

AT_OPEN, AT_GAP, IN_PATH, IN_FINER, AT_CLOSE, AT_VENUE, AT_LAST = 1, 2, 3, 4, 5, 6, 7
RULE_NAMES = {
    0: "",
    AT_OPEN: "open",
    AT_GAP: "gap",
    IN_PATH: "path",
    IN_FINER: "finer",
    AT_CLOSE: "close",
    AT_VENUE: "venue",  # not simulated: an exchange said so
    AT_LAST: "last",  # the last price that was heard of a live market
}

MAKER, TAKER = 1, 2
LIQUIDITY = {0: "", MAKER: "maker", TAKER: "taker"}

NO_FUNDS, MIN_NOTIONAL, BAD_QUANTITY, BAD_PRICE, NO_SHORT, REDUCE_ONLY, OVERFLOW, TOO_MANY = 1, 2, 3, 4, 5, 6, 7, 8
WOULD_CROSS, MARKET_CLOSED, STALE_FEED, BAD_TIF, OFF_TICK, OFF_LOT, NO_ORDER, BAD_KIND, NO_BOOK = range(9, 18)
SIBLING, FLAT, HORIZON, REQUESTED, EXPIRED, UNFILLED, SPENT, SPLIT_AWAY, VENUE_SAID = range(20, 29)
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
    WOULD_CROSS: "post-only order would cross",
    MARKET_CLOSED: "the market is closed",
    STALE_FEED: "the feed is stale",
    BAD_TIF: "time in force does not suit the order",
    OFF_TICK: "price is not a multiple of the tick size",
    OFF_LOT: "quantity is not a multiple of the lot size",
    NO_ORDER: "there is no such working order",
    BAD_KIND: "no such kind of order",
    NO_BOOK: "the account does not trade this instrument",
    SIBLING: "the other exit filled",
    FLAT: "the position is closed",
    HORIZON: "horizon reached",
    REQUESTED: "requested",
    EXPIRED: "expired",
    UNFILLED: "not filled at once",
    SPENT: "what is left is less than a lot",
    SPLIT_AWAY: "a split left less than a lot",
    VENUE_SAID: "the exchange ended or refused it",
}

PESSIMISTIC, OPTIMISTIC, SHORTEST, NEAREST, OHLC, FINER = 0, 1, 2, 3, 4, 5
PATHS = {
    "pessimistic": PESSIMISTIC,
    "optimistic": OPTIMISTIC,
    "shortest": SHORTEST,
    "nearest": NEAREST,
    "ohlc": OHLC,
    "finer": FINER,
}

ENTER_LONG, ENTER_SHORT, LEAVE = 1, -1, 2
"""Signals: what a strategy decided at a bar's close; 0 is nothing."""
