"""From what a session's spec says of its broker to a line to the exchange, everything checked that can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.sessions.spec import ExchangeBroker, Live, SessionSpec

if TYPE_CHECKING:
    from pregao.sessions.brokers.exchange import Exchange


def symbol_of(spec: SessionSpec) -> str:
    """The market that the orders of a session go to, as its feed spells it."""
    assert isinstance(spec.feed, Live)
    return spec.feed.symbol


def join(spec: SessionSpec, instrument: Instrument) -> Exchange:
    """A line to the exchange that a session's orders go to.

    Args:
        instrument: what the session trades; its grids of prices and quantities must be the exchange's.

    Raises:
        UsageError: without credentials or permission, or if the market there is another one.
        PregaoError: if the exchange does not answer.
    """
    from pregao.market.sources import read_options
    from pregao.market.sources.ccxt import CcxtOptions
    from pregao.sessions.brokers.exchange import Exchange

    wanted = spec.broker
    assert isinstance(wanted, ExchangeBroker)
    options = read_options(CcxtOptions, {"exchange": wanted.exchange, **wanted.options})
    assert isinstance(options, CcxtOptions)
    broker = Exchange(options, symbol_of(spec), wanted.sandbox, wanted.confirmation)
    theirs = broker.instrument
    for what in ("tick_size", "lot_size"):
        ours, their = getattr(instrument, what), getattr(theirs, what)
        if ours != their:
            raise UsageError(
                f"The {what.replace('_', ' ')} of {instrument.symbol} is {ours} where the session hears it and {their} "
                f"at {broker.name.partition('/')[0]}: what is decided here cannot be ordered there.",
                "Follow the market of the same exchange.",
            )
    return broker
