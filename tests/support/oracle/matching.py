"""When orders meet prices: the open, and the path within the bar."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from oracle.book import Order
from oracle.rules import BUY, SELL, Candle, down, up

if TYPE_CHECKING:
    from oracle.exchange import Exchange

STOPS = ("stop", "trailing")


def meet_open(exchange: Exchange, book: int, bar: Candle) -> None:
    """Working orders in time priority meet the open. After each fill look again from the oldest."""
    looking = True
    while looking:
        looking = any(
            _meet_price(exchange, order, bar.open, bar.opens, "open")
            for order in list(exchange.account.orders)
            if order.book == book and order.since <= bar.opens and order in exchange.account.orders
        )
    _liquidate_at(exchange, book, bar.open, bar.opens)


def _meet_price(exchange: Exchange, order: Order, price: Fraction, at: int, market_rule: str) -> bool:
    """An order meets an open; say whether it filled, so that all are looked at again."""
    first, order.met = not order.met, True
    if order.kind == "trailing":  # the best price seen moves with the open before the check
        _move_mark(exchange, order, price)
    if order.kind == "stop_limit" and (price - order.trigger) * order.side >= 0:
        order.kind = "limit"  # whose trigger the open has reached: becomes a limit order and meets the open as one
        exchange.tell("triggered", order, at)
    touch = exchange.markets[order.book].terms.touch
    rule = ""
    if order.kind == "market":
        rule = market_rule
    elif order.kind in STOPS and (price - order.trigger) * order.side >= 0:
        rule = "gap"
    elif order.kind == "limit":
        better = (order.limit - price) * order.side
        if better > 0 or (touch and better == 0):
            rule = "gap"
    if rule and order.post_only and first:
        exchange.drop(order, at, "post-only order would cross")
        return True
    # A limit that fills at the first open it meets is a taker, else a maker. Market and stop: takers.
    taker = order.kind != "limit" or first
    filled = bool(rule) and exchange.fill(order, price, rule, at, taker=taker, live_from=(at, at))
    if not filled and order.tif in ("IOC", "FOK"):
        exchange.drop(order, at, "not filled at once")
    return filled


def _move_mark(exchange: Exchange, order: Order, price: Fraction) -> None:
    """A trailing stop follows the best price seen: the highest before it sells, the lowest before it buys."""
    order.mark = max(order.mark, price) if order.side == SELL else min(order.mark, price)
    order.trigger = exchange.trailing_level(order)


def follow_path(exchange: Exchange, book: int, bar: Candle) -> None:
    path = exchange.markets[book].terms.path
    if path in ("pessimistic", "optimistic"):
        _by_range(exchange, book, bar, path)
    elif path == "finer" and bar.finer:
        _by_finer_bars(exchange, book, bar)
    else:
        _by_legs(exchange, book, bar, _corners(bar, "shortest" if path == "finer" else path), "path", bar.closes)


# The range: what order of events was the worst, or the best ---------------------------------------------------------


def _by_range(exchange: Exchange, book: int, bar: Candle, path: str) -> None:
    """Again and again until nothing fills: (a) stops in time priority, (b) limits; optimistic: (b) before (a)."""
    steps = [_stops_in_range, _limits_in_range]
    if path == "optimistic":
        steps.reverse()
    while any(step(exchange, book, bar) for step in steps):
        pass
    # Trailing stops move with the bar's extremes at the end of the path.
    for order in [o for o in exchange.account.orders if o.book == book and o.kind == "trailing"]:
        if order.since < bar.closes and order in exchange.account.orders:
            _move_mark(exchange, order, bar.high if order.side == SELL else bar.low)
            if (bar.close - order.trigger) * order.side >= 0:
                _fill_in_path(exchange, order, order.trigger, bar)


def _live(exchange: Exchange, book: int, bar: Candle) -> list[Order]:
    return [o for o in exchange.account.orders if o.book == book and o.since < bar.closes and not o.resting]


def _stops_in_range(exchange: Exchange, book: int, bar: Candle) -> bool:
    """Any stop whose trigger the bar has reached, in time priority; the liquidation before them."""
    level = liquidation_level(exchange, book)
    if level is not None:
        held = exchange.account.positions[book].quantity
        if (bar.low <= level) if held > 0 else (bar.high >= level):
            _liquidate(exchange, book, level, "path", bar.closes)
            return True
    for order in _live(exchange, book, bar):
        if order.kind not in (*STOPS, "stop_limit"):
            continue
        reached = bar.high >= order.trigger if order.side == BUY else bar.low <= order.trigger
        if reached and _fill_in_path(exchange, order, order.trigger, bar):
            return True
    return False


def _limits_in_range(exchange: Exchange, book: int, bar: Candle) -> bool:
    """Any limit that the bar has traded through, in time priority, at its limit."""
    for order in _live(exchange, book, bar):
        if order.kind == "limit" and _traded(exchange, order, bar) and _fill_in_path(exchange, order, order.limit, bar):
            return True
    return False


def _traded(exchange: Exchange, order: Order, bar: Candle) -> bool:
    touch = exchange.markets[order.book].terms.touch
    through = bar.low < order.limit if order.side == BUY else bar.high > order.limit
    return through or (touch and order.limit == (bar.low if order.side == BUY else bar.high))


def _other_exit(exchange: Exchange, order: Order, bar: Candle) -> Fraction | None:
    """The level of the other exit of the bracket, if it too was within the bar."""
    for other in _live(exchange, order.book, bar):
        if order.group and other.group == order.group and other is not order:
            if other.kind == "limit" and _traded(exchange, other, bar):
                return other.limit
            if other.kind == "stop" and bar.low <= other.trigger <= bar.high:
                return other.trigger
    return None


def _fill_in_path(
    exchange: Exchange, order: Order, price: Fraction, bar: Candle, rule: str = "path", at: int | None = None
) -> bool:
    """A stop at its trigger, a limit at its limit; the exits of an entry are live from then on, by the path's rule."""
    path = exchange.markets[order.book].terms.path
    at = bar.closes if at is None else at
    # The take profit of an entry that fills in the path is live in the same bar, but not on the pessimistic path.
    live_from = (bar.closes if path == "pessimistic" else bar.opens, bar.opens)
    cap = None
    taker = order.kind != "limit"
    if order.kind == "stop_limit":
        liquidity = exchange.liquidity(order.book)
        if liquidity is not None and liquidity <= 0:
            return False
        marketable = (order.limit - order.trigger) * order.side >= 0
        exchange.tell("triggered", order, at)
        if not marketable:  # it rests and cannot fill in this bar
            order.kind, order.resting = "limit", path in ("pessimistic", "optimistic")
            return True
        cap = order.limit  # min(trigger + slippage, limit), as a taker
    other = _other_exit(exchange, order, bar)
    return exchange.fill(order, price, rule, at, taker=taker, live_from=live_from, ambiguous=other, cap=cap)


# Legs: the price moves along straight lines -----------------------------------------------------------------------


def _corners(bar: Candle, path: str) -> list[Fraction]:
    if path == "ohlc":
        high_first = True
    elif path == "nearest":
        high_first = bar.high - bar.open <= bar.open - bar.low
    else:  # shortest
        high_first = bar.close < bar.open
    return [bar.open, *((bar.high, bar.low) if high_first else (bar.low, bar.high)), bar.close]


def _by_legs(exchange: Exchange, book: int, bar: Candle, corners: list[Fraction], rule: str, at: int) -> None:
    """The order whose trigger comes first fills at its price; ties by time priority."""
    here = corners[0]
    for there in corners[1:]:
        while True:
            _trail(exchange, book, bar, here)
            ahead = [
                (abs(point - here), order)
                for order in _live(exchange, book, bar)
                if (point := _point(exchange, order, here, there)) is not None
            ]
            if not ahead:
                break
            distance, order = min(ahead, key=lambda found: found[0])
            here += distance if there > here else -distance
            _trail(exchange, book, bar, here)
            price = order.limit if order.kind == "limit" else order.trigger
            if not _fill_in_path(exchange, order, price, bar, rule, at):
                break
        here = there
        _trail(exchange, book, bar, here)


def _trail(exchange: Exchange, book: int, bar: Candle, price: Fraction) -> None:
    for order in _live(exchange, book, bar):
        if order.kind == "trailing":
            _move_mark(exchange, order, price)


def _point(exchange: Exchange, order: Order, here: Fraction, there: Fraction) -> Fraction | None:
    """Where on the leg the order comes to its turn: a limit one tick beyond its limit unless touching is enough."""
    market = exchange.markets[order.book]
    if order.kind == "market":
        return None
    if order.kind == "limit":
        point = order.limit - (0 if market.terms.touch else order.side * market.tick)
        if (point - here) * order.side >= 0:
            return here
        return point if (point - there) * order.side >= 0 else None
    if (here - order.trigger) * order.side >= 0:
        return here
    return order.trigger if (there - order.trigger) * order.side >= 0 else None


def _by_finer_bars(exchange: Exchange, book: int, bar: Candle) -> None:
    """Legs of each finer bar, by the shortest rule, joined by jumps."""
    for number, finer in enumerate(bar.finer):
        if number > 0:  # a jump fills what it jumped over at the finer bar's open
            looking = True
            while looking:
                looking = any(
                    _meet_price(exchange, order, finer.open, finer.opens, "open")
                    for order in _live(exchange, book, bar)
                    if order.since <= finer.opens and order in exchange.account.orders
                )
        _by_legs(exchange, book, bar, _corners(finer, "shortest"), "finer", finer.closes)


# Liquidation: isolated --------------------------------------------------------------------------------------------


def liquidation_level(exchange: Exchange, book: int) -> Fraction | None:
    """The first tick at which the equity of the position is at most its maintenance margin.

    Long: margin + quantity * price - cost <= maintenance * quantity * price.
    """
    market, position = exchange.markets[book], exchange.account.positions[book]
    kept, held = market.terms.maintenance_margin, position.quantity
    if not kept or held == 0:
        return None
    own = position.margin if market.terms.margined else position.margin + position.cost
    if held > 0:
        return max(down((position.cost - own) / (held * (1 - kept)), market.tick), market.tick)
    return up((own - position.cost) / (-held * (1 + kept)), market.tick)


def _bankruptcy(exchange: Exchange, book: int) -> Fraction:
    """The price at which the margin is gone."""
    market, position = exchange.markets[book], exchange.account.positions[book]
    own = position.margin if market.terms.margined else position.margin + position.cost
    price = (position.cost - own) / position.quantity
    rounded = math.ceil(price / market.tick) if position.quantity > 0 else math.floor(price / market.tick)
    return max(rounded * market.tick, market.tick)


def _liquidate_at(exchange: Exchange, book: int, price: Fraction, at: int) -> None:
    level = liquidation_level(exchange, book)
    if level is None:
        return
    held = exchange.account.positions[book].quantity
    if (price - level) * (1 if held > 0 else -1) <= 0:
        _liquidate(exchange, book, price, "gap", at)


def _liquidate(exchange: Exchange, book: int, price: Fraction, rule: str, at: int) -> None:
    """Close all of the position at that price or at a gap's open, never worse than bankruptcy."""
    held = exchange.account.positions[book].quantity
    bankrupt = _bankruptcy(exchange, book)
    price = max(price, bankrupt) if held > 0 else min(price, bankrupt)
    side = SELL if held > 0 else BUY
    order = Order(0, book, "stop", side, abs(held), trigger=price, role="liquidation", reduce_only=True)
    exchange.place(order)
    exchange.fill(order, price, rule, at, taker=True, live_from=(at, at))
