"""Further markets of a ticket: what the same account trades beside the first."""

from __future__ import annotations

from dataclasses import replace

from pregao.sessions.spec import MOST
from pregao_ui.services import Services
from pregao_ui.texts import text
from pregao_ui.ticket.form import PRICE, Review, Ticket
from pregao_ui.ticket.market import Market, live_market, stored_market


def further(ticket: Ticket, first: Market, services: Services, language: str, told: Review) -> tuple[Market, ...]:
    """The markets beside the first; empty if there are none, or one of them cannot be, which ``told`` says."""
    given = ticket.also if isinstance(ticket.also, list | tuple) else ()
    names = [name for each in given if (name := str(each).strip())]
    if not names:
        return ()
    found: list[Market] = []
    problem = ""
    if ticket.exits == PRICE:
        problem = text(language, "err_also_price")
    elif len(names) >= MOST:
        problem = text(language, "err_also_most", limit=MOST - 1)
    for name in names:
        problem = problem or _add(name, found, ticket, first, services, language)
    if problem:
        told.errors["also"] = problem
        return ()
    told.hints["also"] = text(language, "hint_also")
    return tuple(found)


def _add(name: str, found: list[Market], ticket: Ticket, first: Market, services: Services, language: str) -> str:
    """Add one market to those found; what is wrong with it, or nothing."""
    own = Review()
    market = (live_market if ticket.live else stored_market)(
        replace(ticket, instrument=name, timeframe=first.timeframe.name), services, language, own
    )
    if market is None:
        if "timeframe" in own.errors:
            instrument = services.store.instrument(name)
            return text(language, "err_also_timeframe", symbol=instrument.symbol, timeframe=first.timeframe)
        return own.errors["instrument"] if ticket.live else text(language, "err_also_gone", symbol=name)
    if market.key.casefold() in [each.key.casefold() for each in (first, *found)]:  # as it was typed, live
        return text(language, "err_also_twice", symbol=market.symbol)
    if market.quote and first.quote and market.quote.casefold() != first.quote.casefold():
        return text(
            language, "err_also_currency", symbol=market.symbol, currency=market.quote, first=first.symbol,
            quote=first.quote,
        )  # fmt: skip
    found.append(market)
    return ""


def listed(language: str, names: list[str]) -> str:
    """Names in a sentence: ``A``, ``A and B``, ``A, B and C``."""
    return text(language, "and").join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
