"""A form's values as they come, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pregao.sessions.spec import SessionSpec

LIVE, REPLAY = "live", "replay"
PERCENT, PRICE = "percent", "price"
UNSEEN, BEGINNING, DATE = "unseen", "beginning", "date"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A form's values as they come from the page: nothing about them is sure.

    Attributes:
        feed: `REPLAY` of stored bars, or `LIVE`.
        venue: of a live market, a key of `venues.VENUES`.
        instrument: a key of the store, or of a live market its symbol.
        also: further ones that the same account trades.
        exits: whether take profit and stop loss are given in `PERCENT` of the entry price, or as a `PRICE`.
        risk: a profile of `pregao.sessions.risk`.
        start: where a replay begins: `UNSEEN` by the model, at the `BEGINNING`, or at the `DATE` of ``date``.
        speed: of a replay, bars a second.
        meta: whether a meta-model may veto entries.
        shadow: whether the model's challenger trades in shadow.
        settings: of the strategy.
    """

    feed: Any = REPLAY
    asset_class: Any = None
    venue: Any = None
    instrument: Any = None
    also: Any = ()
    timeframe: Any = None
    strategy: Any = None
    mode: Any = "auto"
    cash: Any = None
    entry_value: Any = None
    exits: Any = PERCENT
    take_profit: Any = None
    stop_loss: Any = None
    trailing: Any = False
    horizon: Any = None
    risk: Any = "none"
    start: Any = BEGINNING
    date: Any = ""
    speed: Any = 2.0
    fee: Any = None
    slippage: Any = None
    meta: Any = False
    shadow: Any = True
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Whether a market is followed as it is traded."""
        return bool(self.feed == LIVE)


@dataclass(slots=True)
class Review:
    """What a ticket comes to.

    Attributes:
        errors: by field; a strategy's own setting is ``settings-<name>``.
        hints: by field, what a value means: in money, in time, in bars.
        summary: sentences, figures marked ``**so**``, the first the one to read before Start; empty while there are
            errors.
        warnings: what a person should know and may do nevertheless.
        spec: the session to start; None while there are errors.
        market: the instrument and timeframe of the ticket, for the preview; None if they are not known.
        empty: a replay is wanted, and there is no market data at all.
        shape: which fields the form has: ``feed``, ``exits`` and ``start`` as in the ticket; ``search`` is the source
            that is searched by words as an instrument of the class ``asset`` is typed, empty if none is.
    """

    errors: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    spec: SessionSpec | None = None
    market: dict[str, Any] | None = None
    empty: bool = False
    shape: dict[str, str] = field(default_factory=dict)
