"""What no order may break, looked at last before the wire, whatever a strategy or a person asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from pregao.core.instrument import Instrument
from pregao.sessions.brokers.contract import Filters, RefusedError, Request


class Limits(NamedTuple):
    """Limits of one account on one instrument, values in its quote currency. Exits are free of all but the last.

    Attributes:
        order_value: most that one order may spend.
        position_value: most that the position may be worth if everything that waits fills: what the account's other
            instruments leave of what all of them may be worth together.
        waiting: most orders that may wait at a time.
        orders_a_minute: most orders sent in any 60 seconds, so that a strategy gone mad stays cheap.
    """

    order_value: Decimal
    position_value: Decimal
    waiting: int = 20
    orders_a_minute: int = 30


class Exposure(NamedTuple):
    """What an account has and what may still come: lots held, lots of waiting buys and sells, orders that wait, and
    orders sent in the last minute. An order of which nobody knows whether it arrived counts as waiting."""

    held_lots: int
    buying_lots: int
    selling_lots: int
    waiting: int
    last_minute: int


def check(
    request: Request, limits: Limits, filters: Filters, seen: Exposure, instrument: Instrument, last: int
) -> None:
    """Whether an order may be sent.

    Args:
        last: the last price in ticks, which a market order is valued at.

    Raises:
        RefusedError: naming the limit or the broker's filter that it would break.
    """
    _check_form(request, filters, instrument, last)
    if seen.last_minute >= limits.orders_a_minute:
        raise RefusedError(
            "too many orders", f"{seen.last_minute} orders were sent within a minute; the limit is as many."
        )
    if request.role == "exit":
        if request.side > 0 or request.qty_lots > seen.held_lots - seen.selling_lots:
            raise RefusedError(
                "would open",
                f"An exit of {request.qty_lots} lots is more than the {seen.held_lots - seen.selling_lots} that are "
                "held and not being sold already.",
            )
        return
    if request.side < 0:
        raise RefusedError("no short", f"{instrument.symbol} is held on spot: it cannot be sold before it is bought.")
    if seen.waiting >= limits.waiting:
        raise RefusedError("too many orders", f"{seen.waiting} orders wait already; the limit is {limits.waiting}.")
    price = max(request.price_ticks, last)
    value = _value(instrument, request.qty_lots, price)
    if value > limits.order_value:
        raise RefusedError(
            "order too large",
            f"The order is worth {value:,.2f} {instrument.quote}; the limit is {limits.order_value:,.2f}.",
        )
    reach = _value(instrument, seen.held_lots + seen.buying_lots + request.qty_lots, price)
    if reach > limits.position_value:
        raise RefusedError(
            "position too large",
            f"The position could come to {reach:,.2f} {instrument.quote}; the limit is {limits.position_value:,.2f}.",
        )


def _check_form(request: Request, filters: Filters, instrument: Instrument, last: int) -> None:
    """What the broker would refuse anyway, in plain words."""
    if request.side not in (1, -1) or request.qty_lots <= 0:
        raise RefusedError("bad quantity", f"An order of {request.qty_lots} lots, side {request.side}, is none.")
    if (request.kind == "market") != (request.price_ticks == 0) or request.price_ticks < 0:
        raise RefusedError("bad price", f"A {request.kind} order at {request.price_ticks} ticks is none.")
    if request.kind == "bracket":
        _check_bracket(request, last)
    elif request.stop_ticks:
        raise RefusedError("bad price", f"A {request.kind} order has no stop.")
    if request.kind == "market" and (request.post_only or request.tif != "GTC"):
        raise RefusedError("bad time in force", "A market order takes what is there: it cannot rest.")
    if request.post_only and request.tif != "GTC":
        raise RefusedError("bad time in force", f"A post-only order rests: it cannot be {request.tif}.")
    if not filters.least_lots <= request.qty_lots <= filters.most_lots:
        raise RefusedError(
            "bad quantity",
            f"{request.qty_lots * instrument.lot_size:f} {instrument.base} is outside what is accepted, "
            f"{filters.least_lots * instrument.lot_size:f} to {filters.most_lots * instrument.lot_size:f}.",
        )
    for ticks in (request.price_ticks, request.stop_ticks):
        if ticks and not filters.least_ticks <= ticks <= filters.most_ticks:
            raise RefusedError(
                "bad price",
                f"{ticks * instrument.tick_size:f} is outside what is accepted, "
                f"{filters.least_ticks * instrument.tick_size:f} to {filters.most_ticks * instrument.tick_size:f}.",
            )
    value = _value(instrument, request.qty_lots, request.stop_ticks or request.price_ticks or last)
    if value < filters.least_value:
        raise RefusedError(
            "below the minimum notional",
            f"The order is worth {value:.2f} {instrument.quote}; the least that is accepted is {filters.least_value}.",
        )


def _check_bracket(request: Request, last: int) -> None:
    """A take profit lies beyond the market and a stop loss behind it, or one of them would act at once."""
    if request.role != "exit" or request.post_only or request.tif != "GTC":
        raise RefusedError("bad bracket", "A bracket is an exit that rests.")
    if (request.price_ticks - last) * request.side >= 0 or (last - request.stop_ticks) * request.side >= 0:
        raise RefusedError(
            "would act at once",
            f"The market is at {last} ticks, and the bracket's exits at {request.price_ticks} and "
            f"{request.stop_ticks}: one of them is reached already.",
        )


def _value(instrument: Instrument, lots: int, ticks: int) -> Decimal:
    return lots * instrument.lot_size * ticks * instrument.tick_size
