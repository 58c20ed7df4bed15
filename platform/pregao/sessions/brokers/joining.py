"""From what a session's spec says of its broker to lines to the exchange, everything checked that can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.sessions.spec import ExchangeBroker, Live, SessionSpec

if TYPE_CHECKING:
    from pregao.sessions.brokers.exchange import Exchange


def symbols_of(spec: SessionSpec) -> tuple[str, ...]:
    """The markets that the orders of a session go to, as its feed spells them."""
    assert isinstance(spec.feed, Live)
    return spec.feed.symbol, *spec.feed.also


def lines(spec: SessionSpec, instruments: Sequence[Instrument]) -> Callable[[int], Exchange]:
    """What opens the line to the market of an instrument, by its place in the session; they share one way to the
    exchange, as `Exchange.at` says.

    Args:
        instruments: what the session trades; their grids of prices and quantities must be the exchange's.

    Returns:
        It raises `UsageError` without credentials or permission, or if a market there is another one, and `PregaoError`
        if the exchange does not answer.
    """
    opened: list[Exchange] = []

    def line(number: int) -> Exchange:
        symbol = symbols_of(spec)[number]
        broker = opened[0].at(symbol) if opened else _exchange(spec, symbol)
        opened.append(broker)
        _same_grids(instruments[number], broker)
        return broker

    return line


def _exchange(spec: SessionSpec, symbol: str) -> Exchange:
    from pregao.market.sources import read_options
    from pregao.market.sources.ccxt import CcxtOptions
    from pregao.sessions.brokers.exchange import Exchange

    wanted = spec.broker
    assert isinstance(wanted, ExchangeBroker)
    options = read_options(CcxtOptions, {"exchange": wanted.exchange, **wanted.options})
    assert isinstance(options, CcxtOptions)
    return Exchange(options, symbol, wanted.sandbox, wanted.confirmation)


def _same_grids(instrument: Instrument, broker: Exchange) -> None:
    theirs = broker.instrument
    for what in ("tick_size", "lot_size"):
        ours, their = getattr(instrument, what), getattr(theirs, what)
        if ours != their:
            raise UsageError(
                f"The {what.replace('_', ' ')} of {instrument.symbol} is {ours} where the session hears it and {their} "
                f"at {broker.name.partition('/')[0]}: what is decided here cannot be ordered there.",
                "Follow the market of the same exchange.",
            )
