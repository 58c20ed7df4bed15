"""What comes with time: actions of the issuer and the venue, interest, expiry, and the close."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from oracle import matching
from oracle.book import ZERO, Event, Order
from oracle.rules import BUY, DAY_NS, SELL, Candle, Dividend, Funding, Split, down, nearest, up

if TYPE_CHECKING:
    from oracle.exchange import Exchange


def before_the_open(exchange: Exchange, book: int, bar: Candle) -> None:
    """Actions with their time at or before the open, in table order; borrow interest; expiry."""
    position = exchange.account.positions[book]
    actions = exchange.markets[book].terms.actions
    while position.actions_done < len(actions) and actions[position.actions_done].at <= bar.opens:
        action = actions[position.actions_done]
        position.actions_done += 1
        if isinstance(action, Funding):
            _fund(exchange, book, action)
        elif isinstance(action, Split):
            _split(exchange, book, action)
        else:
            _pay_dividend(exchange, book, action)
    _charge_borrowing(exchange, book, bar)
    expire(exchange, book, bar.opens)


def _pay(exchange: Exchange, book: int, kind: str, at: int, amount: Fraction) -> None:
    """Money in or out. What free cash does not cover of a charge comes out of the margin of the position."""
    account, position = exchange.account, exchange.account.positions[book]
    account.cash += amount
    if amount < 0 and account.free < 0:
        position.margin -= min(-amount, -account.free, position.margin)
        matching.guard(exchange, book)
    _tell(exchange, book, kind, at, amount)


def _tell(exchange: Exchange, book: int, kind: str, at: int, amount: Fraction, realised: Fraction = ZERO) -> None:
    held, cash = exchange.account.positions[book], exchange.account.cash
    exchange.events.append(
        Event(
            kind, 0, at, price=held.last, realised=realised, position=held.quantity, cash=cash, amount=amount, book=book
        )
    )


def _fund(exchange: Exchange, book: int, action: Funding) -> None:
    """Longs pay ceil(notional at the last close * rate), shorts receive floor; negative the other way."""
    position, quantum = exchange.account.positions[book], exchange.markets[book].quantum
    if position.quantity == 0:
        return
    amount = down(-position.quantity * position.last * action.rate, quantum)  # what it gets, never in its favour
    position.funding -= amount
    _pay(exchange, book, "funding", action.at, amount)


def _split(exchange: Exchange, book: int, action: Split) -> None:
    """Quantities * new / old in whole lots, the rest paid out in cash at the last close; prices * old / new."""
    market, position = exchange.markets[book], exchange.account.positions[book]
    ratio = Fraction(action.new, action.old)
    working = [o for o in exchange.account.orders if o.book == book and o.role != "liquidation"]
    affected = position.quantity != 0 or working
    amount = realised = ZERO
    if position.quantity != 0:
        side = 1 if position.quantity > 0 else -1
        exact = abs(position.quantity) * ratio
        kept = down(exact, market.lot)
        rest = exact - kept
        value = down(side * rest * position.last / ratio, market.quantum)
        cost = side * nearest(abs(position.cost) * rest / exact, market.quantum)  # unchanged but for the part paid out
        realised = value - cost
        amount = realised if market.terms.margined else value
        position.quantity = side * kept
        position.bars_held = position.bars_held if kept else 0
        position.cost -= cost
        position.margin -= down(position.margin * rest / exact, market.quantum) if kept else position.margin
        position.realised += realised
        exchange.account.cash += amount
    position.last = nearest(position.last / ratio, market.tick)
    if affected:
        _tell(exchange, book, "split", action.at, amount, realised)
    for order in working:
        _split_order(exchange, order, ratio, action.at)
    matching.guard(exchange, book)


def _split_order(exchange: Exchange, order: Order, ratio: Fraction, at: int) -> None:
    """Limit buys are rounded down to a tick, limit sells up, stops to the nearest."""
    market = exchange.markets[order.book]

    def scaled(price: Fraction, rounded: Callable[[Fraction, Fraction], Fraction]) -> Fraction:
        return max(rounded(price / ratio, market.tick), market.tick) if price else ZERO

    of_entry, of_exit = (down, up) if order.side == BUY else (up, down)
    order.limit = scaled(order.limit, of_entry)
    order.trigger, order.trail, order.mark, order.found = (
        scaled(price, nearest) for price in (order.trigger, order.trail, order.mark, order.found)
    )
    order.bracket = replace(
        order.bracket,
        profit_price=scaled(order.bracket.profit_price, of_exit),
        loss_price=scaled(order.bracket.loss_price, nearest),
    )
    if not order.by_value:
        order.quantity = down(order.quantity * ratio, market.lot)
    nothing_held = exchange.account.positions[order.book].quantity == 0
    if (order.quantity == 0 and not order.by_value) or (order.reduce_only and nothing_held):
        exchange.drop(order, at, "a split left less than a lot")
        return
    order.reserve = min(order.reserve, exchange.needed(order))  # rounding must not lock more than there is


def _pay_dividend(exchange: Exchange, book: int, action: Dividend) -> None:
    """Long is paid floor, short pays ceil; limit buys and sell stops are lowered by it, up to a tick."""
    market, position = exchange.markets[book], exchange.account.positions[book]
    if position.quantity != 0:
        amount = down(position.quantity * action.per_unit, market.quantum)
        position.dividends += amount
        _pay(exchange, book, "dividend", action.at, amount)
    fall = up(action.per_unit, market.tick)
    for order in [o for o in exchange.account.orders if o.book == book]:
        if order.kind == "limit" and order.side == BUY:
            order.limit = max(order.limit - fall, market.tick)
        if order.kind in ("stop", "stop_limit") and order.side == SELL:
            order.trigger = max(order.trigger - fall, market.tick)
            order.limit = max(order.limit - fall, market.tick) if order.kind == "stop_limit" else ZERO
        if order.kind == "trailing" and order.side == SELL:
            order.mark = max(order.mark - fall, market.tick)
            order.trigger = exchange.trailing_level(order)


def _charge_borrowing(exchange: Exchange, book: int, bar: Candle) -> None:
    """For each UTC day that began since the last bar while short: ceil(notional * rate / 365)."""
    market, position = exchange.markets[book], exchange.account.positions[book]
    today = math.floor(Fraction(bar.opens, DAY_NS))
    days = 0 if position.borrow_day is None else today - position.borrow_day
    position.borrow_day = today
    if days > 0 and position.quantity < 0 and market.terms.borrow > 0:
        notional = -position.quantity * position.last
        amount = -days * up(notional * market.terms.borrow / 365, market.quantum)
        position.interest -= amount
        _pay(exchange, book, "interest", today * DAY_NS, amount)


def expire(exchange: Exchange, book: int, at: int) -> None:
    """Orders with their end at or before ``at``; the event is at their end."""
    for order in [o for o in exchange.account.orders if o.book == book and 0 < o.expires <= at]:
        exchange.drop(order, order.expires, "expired")


def at_the_close(exchange: Exchange, book: int, bar: Candle) -> None:
    """Mark at the close; expiry; bars held; liquidity is new."""
    position = exchange.account.positions[book]
    position.last = bar.close
    expire(exchange, book, bar.closes)
    position.used = ZERO
    for order in exchange.account.orders:
        order.resting = False
    if position.quantity != 0:
        position.bars_held += 1


def look_at_the_horizon(exchange: Exchange, book: int, bar: Candle) -> None:
    """A position that has been held for long enough is closed at the next open."""
    position, horizon = exchange.account.positions[book], exchange.markets[book].horizon
    if position.quantity != 0 and 0 < horizon <= position.bars_held:
        exchange.leave(book, "horizon reached", bar.closes)
