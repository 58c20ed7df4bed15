"""When orders meet prices: the open, and the path within the bar."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from oracle.book import Order
from oracle.rules import BUY, SELL, Candle

if TYPE_CHECKING:
    from oracle.exchange import Exchange

STOPS = ("stop", "trailing")
PPM = 10**6


def present(exchange: Exchange, book: int, by: int) -> list[Order]:
    """The orders of an instrument that have arrived by a time, in time priority."""
    return [o for o in exchange.account.orders if o.book == book and o.since <= by]


def again_and_again(exchange: Exchange, book: int, by: int, meet: Callable[[Order], bool]) -> None:
    """Show a price to the orders in time priority; after each fill look again from the oldest."""
    looking = True
    while looking:
        looking = any(meet(order) for order in present(exchange, book, by) if order in exchange.account.orders)


# A price that is suddenly there: the open, or what an order finds when it arrives ------------------------------------


def meet_open(exchange: Exchange, book: int, bar: Candle) -> None:
    """Working orders in time priority meet the open."""
    _jump(exchange, book, bar.open, bar.opens, "open")


def _jump(exchange: Exchange, book: int, price: Fraction, at: int, market_rule: str) -> None:
    for order in present(exchange, book, at):  # trailing stops: the best price seen moves before the check
        _move_mark(exchange, order, price)
    again_and_again(
        exchange, book, at, lambda order: _meet_price(exchange, order, price, at, (market_rule, "gap"), (at, at))
    )
    for order in present(exchange, book, at):
        order.met = True


def _meet_price(
    exchange: Exchange, order: Order, price: Fraction, at: int, rules: tuple[str, str], live_from: tuple[int, int]
) -> bool:
    """Fill the order if the price has reached it or jumped over it; say whether all have to be looked at again.

    ``rules`` are the names of the rule by which a market order and any other fills.
    """
    # A stop-limit whose trigger the price has reached becomes a limit order and meets the price as one.
    if order.kind == "stop_limit" and (price - order.trigger) * order.side >= 0:
        _become_limit(exchange, order, at)
    rule = ""
    if order.kind == "market":
        rule = rules[0]
    elif order.kind in STOPS and (price - order.trigger) * order.side >= 0:
        rule = rules[1]
    elif order.kind == "limit":
        better = (order.limit - price) * order.side
        if better > 0 or (better == 0 and exchange.markets[order.book].terms.touch):
            rule = rules[1]
    if rule and order.post_only and not order.met:
        exchange.drop(order, at, "post-only order would cross")
        return True
    taker = order.kind != "limit" or _takes(exchange, order)
    filled = bool(rule) and exchange.fill(order, price, rule, at, taker=taker, live_from=live_from)
    if not filled and order.tif in ("IOC", "FOK"):  # what cannot be filled at the first open met is cancelled
        exchange.drop(order, at, "not filled at once")
    return filled


def _takes(exchange: Exchange, order: Order) -> bool:
    """A limit that fills at the first price it meets is a taker, otherwise a maker.

    An exit that a fill has placed rests from then on, unless the market was beyond its limit then.
    """
    beyond = 0 if exchange.markets[order.book].terms.touch else exchange.markets[order.book].tick
    return not order.met and (not order.found or (order.limit - order.found) * order.side >= beyond)


def _become_limit(exchange: Exchange, order: Order, at: int) -> None:
    order.kind, order.met = "limit", False
    exchange.tell("triggered", order, at)


def _move_mark(exchange: Exchange, order: Order, price: Fraction) -> None:
    """A trailing stop follows the best price seen: the highest before it sells, the lowest before it buys."""
    if order.kind == "trailing":
        order.mark = max(order.mark, price) if order.side == SELL else min(order.mark, price)
        order.trigger = exchange.trailing_level(order)


def follow_path(exchange: Exchange, book: int, bar: Candle) -> None:
    path = exchange.markets[book].terms.path
    if path in ("pessimistic", "optimistic"):
        _by_range(exchange, book, bar, path)
    elif path == "finer" and bar.finer:
        for number, finer in enumerate(bar.finer):  # legs of each finer bar, joined by jumps
            if number > 0:
                _jump(exchange, book, finer.open, finer.opens, "finer")
            _Walk(exchange, book, finer, "shortest", "finer").go()
    else:
        _Walk(exchange, book, bar, "shortest" if path == "finer" else path, "path").go()


# The range: what order of events was the worst, or the best ---------------------------------------------------------


def _by_range(exchange: Exchange, book: int, bar: Candle, path: str) -> None:
    """Again and again until nothing fills: (a) stops in time priority, (b) limits; optimistic: (b) before (a)."""
    _let_the_late_arrive(exchange, book, bar, path)
    steps = [_stops_in_range, _limits_in_range]
    if path == "optimistic":
        steps.reverse()
    while any(step(exchange, book, bar) for step in steps):
        pass
    # Trailing stops move with the bar's extremes at the end of the path.
    for order in present(exchange, book, bar.closes - 1):
        if order.kind == "trailing" and order in exchange.account.orders:
            _move_mark(exchange, order, bar.high if order.side == SELL else bar.low)
            if (bar.close - order.trigger) * order.side >= 0 and bar.low <= order.trigger <= bar.high:
                _fill_in_path(exchange, order, order.trigger, bar, "path")


def _let_the_late_arrive(exchange: Exchange, book: int, bar: Candle, path: str) -> None:
    """What arrives while the bar is on meets the price of that time, on the worse of the two ways over the extremes.

    On the optimistic path it is the better one.
    """
    late = {o.id for o in present(exchange, book, bar.closes - 1) if o.since > bar.opens}

    def arrive(order: Order) -> bool:
        if order.id not in late:
            return False
        late.discard(order.id)
        part = math.floor(Fraction((order.since - bar.opens) * PPM, bar.closes - bar.opens))
        ways = [_price_after(exchange, book, bar, high_first, part) for high_first in (True, False)]
        price = max(ways) if (order.side == BUY) == (path == "pessimistic") else min(ways)
        _move_mark(exchange, order, price)
        at = bar.closes
        done = _meet_price(exchange, order, price, at, ("path", "path"), _live_from(exchange, order, bar))
        order.met = True
        return done

    again_and_again(exchange, book, bar.closes - 1, arrive)


def _price_after(exchange: Exchange, book: int, bar: Candle, high_first: bool, part: int) -> Fraction:
    """The price after so many millionths of the way from the open over both extremes to the close, in whole ticks."""
    corners = _corners(bar, high_first)
    tick = exchange.markets[book].tick
    left = math.floor(_length(corners) / tick * part / PPM) * tick
    for here, there in itertools.pairwise(corners):
        if left <= abs(there - here):
            return here + (left if there > here else -left)
        left -= abs(there - here)
    return corners[-1]


def _stops_in_range(exchange: Exchange, book: int, bar: Candle) -> bool:
    """Any stop whose trigger the bar has reached, in time priority."""
    for order in present(exchange, book, bar.closes - 1):
        if order.kind not in (*STOPS, "stop_limit"):
            continue
        reached = bar.high >= order.trigger if order.side == BUY else bar.low <= order.trigger
        passed = order.found and not order.met and (order.found - order.trigger) * order.side >= 0
        # What was placed at a level that the price had passed already meets the price of that time.
        price = order.found if passed else order.trigger
        if reached and _fill_in_path(exchange, order, price, bar, "path"):
            return True
    return False


def _limits_in_range(exchange: Exchange, book: int, bar: Candle) -> bool:
    """Any limit that the bar has traded through, in time priority, at its limit.

    A late one has met the price of its arrival, and nobody knows whether the extremes came after it.
    """
    for order in present(exchange, book, bar.opens):
        traded = order.kind == "limit" and not order.resting and _traded(exchange, order, bar)
        beyond = 0 if exchange.markets[book].terms.touch else exchange.markets[book].tick
        passed = bool(order.found) and not order.met and (order.limit - order.found) * order.side >= beyond
        if traded and _fill_in_path(exchange, order, order.found if passed else order.limit, bar, "path", passed):
            return True
    return False


def _traded(exchange: Exchange, order: Order, bar: Candle) -> bool:
    touch = exchange.markets[order.book].terms.touch
    through = bar.low < order.limit if order.side == BUY else bar.high > order.limit
    return through or (touch and order.limit == (bar.low if order.side == BUY else bar.high))


def _rival(exchange: Exchange, order: Order, bar: Candle) -> Order | None:
    """The other exit of the bracket, if its level too was within the bar and both were live before."""
    if order.since > bar.opens:
        return None
    for other in present(exchange, order.book, bar.opens):
        if order.group and other.group == order.group and other is not order:
            if other.kind == "limit" and _traded(exchange, other, bar):
                return other
            if other.kind == "stop" and (bar.high >= other.trigger if other.side == BUY else bar.low <= other.trigger):
                return other
    return None


def _live_from(exchange: Exchange, order: Order, bar: Candle) -> tuple[int, int]:
    """From when the exits of an entry that fills in the path are live: the stop in the same bar.

    The take profit is too, but not on the pessimistic path.
    """
    pessimistic = exchange.markets[order.book].terms.path == "pessimistic"
    return (bar.closes if pessimistic else bar.opens, bar.opens)


def _fill_in_path(
    exchange: Exchange, order: Order, price: Fraction, bar: Candle, rule: str, taker: bool = False
) -> bool:
    """A stop at its trigger, a limit at its limit."""
    at = bar.closes
    slips = False
    if order.kind == "stop_limit":
        _become_limit(exchange, order, at)
        order.met = True
        if (order.limit - price) * order.side < 0:  # it rests and cannot fill in this bar
            order.resting = True
            return True
        slips = True  # at min(trigger + slippage, limit), as a taker
    taker = taker or slips or order.kind != "limit"
    rival = _rival(exchange, order, bar)
    return exchange.fill(
        order, price, rule, at, taker=taker, live_from=_live_from(exchange, order, bar), rival=rival, slips=slips
    )


# Legs: the price moves along straight lines -----------------------------------------------------------------------


def _corners(bar: Candle, high_first: bool) -> list[Fraction]:
    return [bar.open, *((bar.high, bar.low) if high_first else (bar.low, bar.high)), bar.close]


def _length(corners: list[Fraction]) -> Fraction:
    return sum((abs(b - a) for a, b in itertools.pairwise(corners)), Fraction(0))


class _Walk:
    """The price walks from corner to corner, a tick at a time, and each order fills when it comes to its point.

    Ties go by time priority. Orders placed by a fill are live from that point on. An order that is on its way joins
    when its part of the walk is done, and meets the price that it finds.
    """

    def __init__(self, exchange: Exchange, book: int, bar: Candle, path: str, rule: str) -> None:
        high_first = {
            "ohlc": True,
            "nearest": bar.high - bar.open <= bar.open - bar.low,
            "shortest": bar.close < bar.open,
        }[path]
        self.exchange, self.book, self.bar, self.rule = exchange, book, bar, rule
        self.corners = _corners(bar, high_first)
        self.tick = exchange.markets[book].tick
        self.steps = 0
        self.whole = _length(self.corners) / self.tick

    def joins(self, order: Order) -> int:
        """After how many ticks of the walk an order is there."""
        if order.since <= self.bar.opens:
            return 0
        part = math.floor(Fraction((order.since - self.bar.opens) * PPM, self.bar.closes - self.bar.opens))
        return math.ceil(self.whole * part / PPM)

    def go(self) -> None:
        here = self.corners[0]
        self.stop_at(here)
        for corner in self.corners[1:]:
            step = self.tick if corner > here else -self.tick
            while here != corner:
                here += step
                self.steps += 1
                self.stop_at(here)

    def there(self) -> list[Order]:
        orders = present(self.exchange, self.book, self.bar.closes - 1)
        return [order for order in orders if self.joins(order) <= self.steps]

    def stop_at(self, here: Fraction) -> None:
        """Let the orders that are there meet a price of the walk, again and again from the oldest."""
        for order in self.there():
            _move_mark(self.exchange, order, here)
        while any(self.meet(order, here) for order in self.there() if order in self.exchange.account.orders):
            pass

    def meet(self, order: Order, here: Fraction) -> bool:
        exchange, bar = self.exchange, self.bar
        if order.since > bar.opens and not order.met and order.kind != "stop_limit":  # it has just arrived
            _move_mark(exchange, order, here)
            done = _meet_price(
                exchange, order, here, bar.closes, (self.rule, self.rule), _live_from(exchange, order, bar)
            )
            order.met = True
            return done
        if order.kind == "limit":
            beyond = 0 if exchange.markets[order.book].terms.touch else self.tick
            found = not order.met and order.group > 0  # an exit that was placed just now meets the price it finds
            takes = _takes(exchange, order)
            order.met = order.met or found
            if (order.limit - here) * order.side >= beyond:
                return _fill_in_path(exchange, order, here if found else order.limit, bar, self.rule, takes)
        elif order.kind != "market" and (here - order.trigger) * order.side >= 0:
            return _fill_in_path(exchange, order, here, bar, self.rule)
        return False


# Liquidation: isolated --------------------------------------------------------------------------------------------


def guard(exchange: Exchange, book: int, here: Fraction = Fraction(0)) -> None:
    """Keep the order that liquidates a position, at the first tick where its equity is at most its maintenance margin.

    Long: margin + quantity * price - cost <= maintenance * quantity * price; a short likewise. It is a stop among the
    other stops, in time priority from when the position first needed it. ``here``: the market, if a fill did it.
    """
    market, position, account = exchange.markets[book], exchange.account.positions[book], exchange.account
    kept, held = market.terms.maintenance_margin, position.quantity
    order = next((o for o in account.orders if o.book == book and o.role == "liquidation"), None)
    level = Fraction(0)
    if kept and held:
        # What is locked for a short in cash holds what its sale brought in, its cost, already.
        own = position.margin if market.terms.margined or held > 0 else position.margin + position.cost
        if held < 0:
            level = math.ceil((own - position.cost) / (-held * (1 + kept)) / market.tick) * market.tick
        elif market.terms.margined:
            level = math.floor((position.cost - own) / (held * (1 - kept)) / market.tick) * market.tick
    if level <= 0:
        if order is not None:
            account.orders.remove(order)
        return
    if order is None:
        order = Order(0, book, "stop", SELL, role="liquidation", reduce_only=True)
        order.since = exchange.bars[book].opens if book in exchange.bars else account.now
        exchange.place(order)
    order.side, order.quantity, order.trigger = (SELL if held > 0 else BUY), abs(held), level
    order.found, order.met = here, False


def bankruptcy(exchange: Exchange, book: int) -> Fraction:
    """The price at which the margin is gone: a liquidation loses no more."""
    market, position = exchange.markets[book], exchange.account.positions[book]
    own = position.margin if market.terms.margined or position.quantity > 0 else position.margin + position.cost
    price = (position.cost - own) / position.quantity
    rounded = math.ceil(price / market.tick) if position.quantity > 0 else math.floor(price / market.tick)
    return max(rounded * market.tick, market.tick)
