"""What a ticket's answer tells the page, and what Start does."""

from __future__ import annotations

from typing import Any

from pregao.core.errors import PregaoError, UsageError
from pregao.sessions.control import SpecError
from pregao_ui.refusals import refusal
from pregao_ui.services import Services
from pregao_ui.texts import text
from pregao_ui.ticket import Review, Ticket, review, spec_errors
from pregao_ui.ticket.several import listed
from pregao_ui.ticket.venues import venue


def verdict(told: Review, **more: Any) -> dict[str, Any]:
    """A review as the page's script takes it, see `widgets.verdict`."""
    names = ("errors", "hints", "summary", "warnings", "market", "empty", "shape")
    return {name: getattr(told, name) for name in names} | more


def start(ticket: Ticket, services: Services, language: str) -> dict[str, Any]:
    """Start what the ticket says; every error is told beside its field, or above the button."""
    told = Review()
    try:
        told = review(ticket, services, language)
        if told.spec is None:
            return verdict(told)
        launched = services.sessions.start(told.spec)
    except SpecError as error:
        told.errors = _refused(error, ticket, language)
        told.summary = []
        return verdict(told)
    except PregaoError as error:
        return verdict(told, problem=refusal(language, str(error)))
    if launched.launched:
        return verdict(told, session=launched.session)
    why = refusal(language, launched.message) or text(language, "servers_down")
    return verdict(told, session=launched.session, problem=text(language, "not_launched", why=why))


def _refused(error: SpecError, ticket: Ticket, language: str) -> dict[str, str]:
    """What the platform found wrong, at the form's fields."""
    names = {
        "config": "strategy", "model": "strategy", "feed-start": "start", "feed-version": "start",
        "take_profit_price": "take_profit", "stop_loss_price": "stop_loss",
    }  # fmt: skip
    told = spec_errors(error, language)
    found = {names.get(name, name.replace("config-", "settings-")): why for name, why in told.items()}
    place = venue(ticket.venue) if ticket.live else None
    for name in ("instrument", "also"):
        cause = error.causes.get(name)
        if place is None or cause is None:
            continue
        away = not isinstance(cause, UsageError)
        symbol = ticket.instrument if name == "instrument" else listed(language, list(ticket.also))
        key = "err_venue_away" if away else "err_venue_unknown"
        found[name] = text(language, key, venue=place.title, symbol=symbol, why=cause)
        if away and name == "instrument":  # so it is for all of them
            found.pop("also", None)
            break
    return found
