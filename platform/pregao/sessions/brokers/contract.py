"""The seam between a session and whoever executes its orders: one small protocol, and what is said through it.

Prices are in ticks and quantities in lots of the instrument, times in ms since 1970 UTC of the broker's own clock.
Every order has an id that we chose, its *client id*: by it the broker can be asked what became of an order whose answer
was lost.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument

Kind = Literal["market", "limit", "bracket"]
TimeInForce = Literal["GTC", "IOC", "FOK"]
Role = Literal["entry", "exit"]
Status = Literal["open", "filled", "cancelled", "rejected", "expired"]


class Request(NamedTuple):
    """An order that is wanted.

    Attributes:
        role: an exit only makes a position smaller; it is sent again if it never arrived, and limits never stop it.
        side: +1 buys, -1 sells.
        kind: a ``bracket`` is a take profit and a stop loss for the same lots: the one that fills ends the other.
        price_ticks: the limit, also of the take profit; 0 for a market order.
        stop_ticks: of a bracket: where the stop loss is triggered; it then takes what the market gives.
    """

    role: Role
    side: int
    kind: Kind
    qty_lots: int
    price_ticks: int = 0
    tif: TimeInForce = "GTC"
    post_only: bool = False
    stop_ticks: int = 0


class Report(NamedTuple):
    """What the broker says of an order. ``broker_id`` is its own name for it; those of a bracket's take profit and stop
    loss have ``/`` between them."""

    client_id: str
    status: Status
    filled_lots: int
    broker_id: str = ""
    reason: str = ""


class Fill(NamedTuple):
    """An execution; ``number`` is the broker's, unique and ascending for an instrument."""

    number: int
    broker_id: str
    ts_ms: int
    side: int
    qty_lots: int
    price_ticks: int
    fee: Decimal
    fee_currency: str
    maker: bool


class Balance(NamedTuple):
    """What an account has of a currency, and how much of it nothing locks."""

    total: Decimal
    free: Decimal


class Filters(NamedTuple):
    """What the broker accepts at all: least and largest quantity and price, least value in the quote currency."""

    least_lots: int
    most_lots: int
    least_ticks: int
    most_ticks: int
    least_value: Decimal


class RefusedError(UsageError):
    """The broker, or something before the wire, said no: the order does not exist. ``reason`` is short and typed."""

    def __init__(self, reason: str, message: str, mend: str = "") -> None:
        super().__init__(message, mend)
        self.reason = reason


class StampError(PregaoError):
    """The broker refused the time on a request, and so did nothing: it may be sent again with another."""


class UnknownOutcomeError(PregaoError):
    """The answer was lost: the order may be there, or come to be there until its stamp is too old, or never."""


class Broker(Protocol):
    """Executes the orders of one instrument in one account.

    Each call does one thing, at most once: nothing here is tried again. Questions raise `PregaoError` if they get no
    answer.
    """

    @property
    def name(self) -> str:
        """Of the broker and the account: orders are remembered under it."""

    @property
    def instrument(self) -> Instrument:
        """What is traded."""

    @property
    def filters(self) -> Filters:
        """What it accepts."""

    @property
    def window_ms(self) -> int:
        """An order whose stamp is older than this, by the broker's clock, cannot come into being any more."""

    def now_ms(self) -> int:
        """The broker's time, as well as it is known here."""

    def sync(self) -> None:
        """Find out the broker's time again."""

    def last_ticks(self) -> int:
        """The last price."""

    def place(self, client_id: str, request: Request, stamp_ms: int) -> Report:
        """Send an order.

        Raises:
            RefusedError: it was refused and does not exist.
            StampError: it was refused for its stamp alone.
            UnknownOutcomeError: whatever else went wrong.
        """

    def cancel(self, client_id: str) -> Report:
        """Cancel an order; one that has ended already is reported as it ended.

        Raises:
            UnknownOutcomeError: it may or may not have been cancelled.
        """

    def order(self, client_id: str) -> Report | None:
        """An order as it stands now; None if the broker has none under this id at this moment."""

    def open_orders(self) -> list[Report]:
        """All that wait, also those that are not ours."""

    def fills(self, after: int) -> list[Fill]:
        """The executions with a number above ``after``, ascending; perhaps not all: ask again until none comes."""

    def balances(self) -> dict[str, Balance]:
        """By currency."""
