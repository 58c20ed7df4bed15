"""Which market a ticket means: one of the store, or one to be followed live."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from pregao.core.errors import NotFoundError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import NAMES, Timeframe
from pregao.sessions.spec import Live
from pregao.strategies.contract import Model
from pregao_ui.numbers import day, number, parse_day
from pregao_ui.schemas.market import InstrumentOut
from pregao_ui.services import Services, Span
from pregao_ui.texts import text
from pregao_ui.ticket.form import BEGINNING, DATE, UNSEEN, Review, Ticket
from pregao_ui.ticket.venues import Venue, spelled, venue, venues

DAY_NS = 86_400 * 10**9


class Market(NamedTuple):
    """What will be traded, as far as it is known.

    Attributes:
        key: of the instrument.
        symbol, quote: to show; the quote is empty if only the venue knows it.
        instrument: its rules; None of a live market that was never ingested: the venue is asked at the start.
        feed, venue: of a live market, with the venue's name.
        price: where it stands as the session begins; None if only the venue knows.
    """

    key: str
    symbol: str
    quote: str
    instrument: Instrument | None
    timeframe: Timeframe
    feed: Live | None = None
    venue: str = ""
    price: Decimal | None = None


def stored_market(ticket: Ticket, services: Services, language: str, told: Review) -> Market | None:
    """A market of the store; what is wrong with it is told in ``told``."""
    if not ticket.instrument:
        told.errors["instrument"] = _none(ticket, services, language)
        return None
    try:
        instrument = services.store.instrument(str(ticket.instrument))
    except NotFoundError:
        told.errors["instrument"] = text(language, "err_gone")
        return None
    timeframe = next((t for t in services.store.timeframes(instrument) if t.name == ticket.timeframe), None)
    if timeframe is None:
        told.errors["timeframe"] = text(language, "err_gone" if ticket.timeframe else "err_required")
        return None
    told.market = {"instrument": InstrumentOut.of(instrument).model_dump(), "timeframe": timeframe.name}
    return Market(instrument.key, instrument.symbol, instrument.quote, instrument, timeframe)


def live_market(ticket: Ticket, services: Services, language: str, told: Review) -> Market | None:
    """A market to follow; its venue is not asked before the start."""
    place = venue(ticket.venue)
    if place is None or place not in venues(ticket.asset_class):
        told.errors["venue"] = text(language, "err_venue")
        return None
    symbol = str(ticket.instrument or "").strip()
    if not symbol:
        told.errors["instrument"] = text(language, "err_no_symbol", example=next(iter(place.symbols.values()))[0])
        return None
    if len(symbol) > 60 or not symbol.isprintable():
        told.errors["instrument"] = text(language, "err_long", limit=60)
        return None
    if ticket.timeframe not in place.timeframes or ticket.timeframe not in NAMES:
        told.errors["timeframe"] = text(language, "err_timeframe", known=", ".join(place.timeframes))
        return None
    timeframe = Timeframe.parse(str(ticket.timeframe))
    spelling = _listed(place, symbol, services, language, told)
    if spelling is None:
        return None
    symbol = spelling
    key, feed = place.instrument(symbol), place.feed(symbol)
    try:
        instrument = services.store.instrument(key)
    except NotFoundError:
        quote = symbol.partition("/")[2].partition(":")[0]
        return Market(key, symbol, quote, None, timeframe, feed, place.title)
    price = None
    if timeframe in services.store.timeframes(instrument):
        told.market = {"instrument": InstrumentOut.of(instrument).model_dump(), "timeframe": timeframe.name}
        last = services.market.bars(key, timeframe.name, None, 1)
        price = Decimal(str(last[-1].c)) if last else None
    return Market(key, instrument.symbol, instrument.quote, instrument, timeframe, feed, place.title, price)


def _listed(place: Venue, symbol: str, services: Services, language: str, told: Review) -> str | None:
    """The symbol as its venue spells it; as it was typed where that is not known; None if there is no such market."""
    if not place.listed:
        one = services.listings.market(place.source, place.options, symbol)
        about = " · ".join(part for part in (one.name, one.exchange) if part) if one else ""
        told.hints["instrument"] = about or text(language, "hint_search", venue=place.title)
        return one.symbol if one else symbol
    listing = services.listings.known(place.source, place.options)
    if listing is None or listing.error is not None:
        told.hints["instrument"] = text(language, "hint_asking" if listing is None else "hint_away", venue=place.title)
        return symbol
    found, near = spelled(symbol, listing.symbols)
    if found is None:
        words = {"venue": place.title, "symbol": symbol, "near": ", ".join(near)}
        told.errors["instrument"] = text(language, "err_not_listed_near" if near else "err_not_listed", **words)
        return None
    told.hints["instrument"] = text(language, "hint_listed", count=number(language, len(listing.symbols), 0))
    return found


def played(
    ticket: Ticket,
    services: Services,
    markets: Sequence[Market],
    champions: Sequence[Model],
    language: str,
    told: Review,
) -> Span | None:
    """What a replay will play, of all markets over one span; None if that cannot be, and ``told`` says why."""
    instruments = [market.instrument for market in markets if market.instrument is not None]
    timeframe = markets[0].timeframe
    have = [services.store.coverage(instrument, timeframe) for instrument in instruments]
    first_ns, last_ns = min(each.first_ns for each in have), min(each.last_ns for each in have)
    start_ns: int | None = None
    if ticket.start not in (UNSEEN, BEGINNING, DATE):
        told.errors["start"] = text(language, "err_gone")
        return None
    if ticket.start == UNSEEN and champions:
        start_ns = max(int(champion.meta["train_end_ns"]) for champion in champions)
        if start_ns > last_ns:
            told.errors["start"] = text(language, "err_short_unseen")
            return None
    elif ticket.start == DATE:
        start_ns = parse_day(str(ticket.date or ""))
        if start_ns is None:
            told.errors["date"] = text(language, "err_date", example=day(language, first_ns))
            return None
        if not first_ns - DAY_NS < start_ns <= last_ns:
            first, last = day(language, first_ns), day(language, last_ns)
            told.errors["date"] = text(language, "err_date_range", first=first, last=last)
            return None
    return services.market.span(instruments, timeframe, start_ns)


def begins_at(ticket: Ticket, services: Services, model: Model | None) -> tuple[Decimal, Decimal] | None:
    """The price where a session of this ticket begins, and the step of the prices' grid; None if that is not known."""
    told = Review()
    market = (live_market if ticket.live else stored_market)(ticket, services, "en", told)
    if market is None or market.instrument is None:
        return None
    price = market.price
    if not ticket.live:
        span = played(ticket, services, (market,), (model,) if model else (), "en", told)
        price = None if span is None else market.instrument.price(span.opens[0])
    return None if price is None else (price, market.instrument.tick_size)


def _none(ticket: Ticket, services: Services, language: str) -> str:
    every = services.store.instruments()
    if any(ticket.asset_class in (None, instrument.asset_class) for instrument in every):
        return text(language, "err_no_instrument")
    if not every:
        return text(language, "no_data_title")
    return text(language, "no_data_class", asset=text(language, str(ticket.asset_class)).lower())
