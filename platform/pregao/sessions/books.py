"""One instrument of a session: its strategy at the account, what is heard of its market, what it is traded by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pregao.core.bars import Bar
from pregao.core.instrument import names_of
from pregao.sessions.beside import row_of
from pregao.sessions.corporate import Row, actions_of
from pregao.sessions.hand import Hand
from pregao.sessions.records import Body, canonical
from pregao.sessions.risk import Guard
from pregao.sessions.roundtrips import RoundTrips
from pregao.sessions.spec import SessionSpec
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.strategies.contract import Exit, Model
from pregao.strategies.desk import Desk

_PLAIN = ("memory", "warm_ns", "stale", "held_ns", "gap_ns", "gone", "model_version", "offer")
"""What is saved as it is."""


class Book:
    """An instrument in a session's account.

    Args:
        number: its place there; 0 is the first, and its rows do not say so.
        desk: the strategy at the account.
        guard: which limits its entries have to keep; they are the account's.

    Attributes:
        name: what a person calls it where there are several; empty where it is the only one.
        hand: carries out what its strategy wants.
        trips: its round trips.
        last: the last bar lived through; None at the beginning.
        memory: the strategy's own state, canonical JSON.
        warm_ns: open time of the last bar that it was warmed up on; 0 if that is not its own affair.
        stale: why the market is not heard; empty if it is.
        held_ns: open time of a bar that is not believed; 0 without one.
        gap_ns: end of the last gap that the venue itself has.
        gone: the market has ended: nothing more is heard of it.
        known: splits and dividends that the account knows of, see `corporate`.
        model_version, offer: of the model that is asked, and of the last champion that was offered; `first_version` is
            that of the beginning.
    """

    def __init__(self, spec: SessionSpec, number: int, desk: Desk, guard: Guard) -> None:
        self.number = number
        self.desk = desk
        plans = desk.engine.plans
        self.name = names_of([plan.instrument for plan in plans])[number] if len(plans) > 1 else ""
        self.hand = Hand(spec, desk, guard, number)
        self.trips = RoundTrips(desk.plan.instrument.tick_quanta)
        self.last: Bar | None = None
        self.memory = canonical(desk.strategy.save())
        self.warm_ns = self.held_ns = self.gap_ns = 0
        self.stale = ""
        self.gone = False
        self.known: list[Row] = []
        self.model_version = str(desk.model.version) if desk.model is not None else ""
        self.offer = self.first_version = self.model_version

    def marked(self, body: Body) -> Body:
        """A row's body that says which instrument it is of."""
        return body | {"b": self.number} if self.number else body

    def warm(self, bars: Sequence[Bar], beside: Sequence[Mapping[str, Bar]]) -> Body:
        """Take in bars from before the first; the body of the row that keeps them."""
        self.desk.warm(bars, beside)
        self.warm_ns = bars[-1].open_ns
        rows = [[bar.open_ns, bar.close_ns, *bar[2:6], repr(bar.volume)] for bar in bars]
        told: Body = {"bars": rows}
        return self.marked(told | ({"beside": [row_of(others) for others in beside]} if beside else {}))

    def take(self, version: str, model: Model | None) -> None:
        """Ask another version of the model from now on; the model itself is None on replay, where it is not asked."""
        self.model_version = version
        if model is not None:
            self.desk.take(model)

    def learn(self, rows: list[Row]) -> None:
        """Tell the account of actions; also after its state was restored."""
        if rows and isinstance(self.desk.engine, Engine):
            self.desk.engine.learn(actions_of(rows), self.number)

    def passed(self, told: Body, now_ns: int) -> list[Event]:
        """A bar has come after the account had gone on without it: the features take it in, an exit that rested within
        its reach fills now, at the price that a venue would have filled it at, and an entry that waited for its open is
        cancelled: what it was decided on is over.

        Args:
            told: the row's body, see `following.passed`.
        """
        bar = Bar._make([told["t"], told["to"], *told["bar"][:4], float(told["bar"][4])])
        self.desk.warm([bar])
        self.last = bar
        engine = self.desk.engine
        events = [event for order_id in self.hand.entries() for event in engine.cancel(order_id)]
        price = self.hand.reached(bar)
        if price is not None:
            events += self.hand.apply(Exit("reached in a bar that came late"))
            events += engine.leave_now(price, now_ns, self.number)
        return events

    @property
    def unheard(self) -> bool:
        """Whether nothing can be decided, since the market is not heard or not believed."""
        return bool(self.stale or self.held_ns or self.gone)

    def state(self) -> dict[str, Any]:
        """As JSON, for a snapshot; the account is not part of it."""
        last = self.last
        found = {name: getattr(self, name) for name in _PLAIN} | {
            "last": None if last is None else [*last[:-1], repr(last.volume)],
            "trips": self.trips.state(),
            "desk": self.desk.state(),
        }
        return found | ({"known": self.known} if self.known else {})

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave, once the account has been restored."""
        self.desk.restore_state(state["desk"])
        self.known = state.get("known", [])
        self.learn(self.known)
        self.trips.restore(state["trips"])
        last = state["last"]
        self.last = None if last is None else Bar._make([*last[:-1], float(last[-1])])
        for name in _PLAIN:
            setattr(self, name, state[name])
