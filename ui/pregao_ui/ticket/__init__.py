"""The order ticket, without the page: what a form's values come to, in errors by field, in figures and a sentence."""

from pregao_ui.ticket.errors import field_errors, spec_errors
from pregao_ui.ticket.form import BEGINNING, DATE, LIVE, PERCENT, PRICE, REPLAY, UNSEEN, Review, Ticket
from pregao_ui.ticket.reviewing import review
from pregao_ui.ticket.telling import exits_of

__all__ = [
    "BEGINNING",
    "DATE",
    "LIVE",
    "PERCENT",
    "PRICE",
    "REPLAY",
    "UNSEEN",
    "Review",
    "Ticket",
    "exits_of",
    "field_errors",
    "review",
    "spec_errors",
]
