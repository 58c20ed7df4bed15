"""The desk: one strategy at one simulated account, bar by bar, as a session runs it.

Before the first bar, `Desk.warm` takes in the `Desk.history` bars that came before it, so that the features are
complete from the start. A bar then goes through three steps, which a session records one by one:

- `Desk.market`: working orders meet the bar, the features take it in.
- `Desk.decide`: the strategy is asked, unless it is still warming up or waits for something (`contract.Wait`).
- `Desk.apply`: its intents become orders, which can fill at the next open.

On replay a session gives `apply` the intents that it recorded, so the strategy is never asked twice.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.core.money import PPM
from pregao.features.sets import FeatureStream
from pregao.simulation import layout
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.execution import Execution
from pregao.simulation.plan import Plan
from pregao.strategies.answers import NOTHING, intents_of
from pregao.strategies.contract import Account, Context, Enter, Exit, Intent, Model, Wait
from pregao.strategies.window import Window

_NO_FEATURES: NDArray[np.float64] = np.empty(0)


class Desk:
    """One strategy trading one instrument of an account.

    Args:
        plan: instrument, money, exits and costs.
        strategy: a configured strategy.
        seed: of the only randomness that the strategy may use.
        features: the stream behind ``ctx.features``; None if the strategy wants none.
        model: behind ``ctx.model``; None for strategies without one.
        engine: the account, if it is shared with other desks, or elsewhere; by default one of its own.
        book: the instrument's place in it.
    """

    def __init__(
        self,
        plan: Plan,
        strategy: Any,
        seed: int = 0,
        features: FeatureStream | None = None,
        model: Model | None = None,
        engine: Execution | None = None,
        book: int = 0,
    ) -> None:
        self.plan = plan
        self.strategy = strategy
        self.model = model
        self.engine: Execution = engine or Engine(plan)
        self._book = book
        self._features = features
        self._vector = _NO_FEATURES
        self._has_signals = callable(getattr(strategy, "signals", None))
        self._warmup = max(int(strategy.warmup()), 1)
        self._window = Window(max(self._warmup, 2))
        self._context = Context(plan.instrument, plan.timeframe, self, model, seed)
        self._tick = float(plan.instrument.tick_size)
        self._bars = 0
        self._wait: Wait | None = None
        self._since = 0  # bars when the wait began
        self._stirred = False  # an event came since
        self._refused = False  # an order of this bar was rejected
        self._missed = 0

    @property
    def history(self) -> int:
        """Bars before the first that are worth giving to `warm`: what strategy and features need to be complete."""
        return max(self._warmup, self._features.features.warmup if self._features is not None else 0)

    def warm(self, bars: Iterable[Bar], others: Sequence[Mapping[str, Bar]] = ()) -> None:
        """Take in bars from before the first one traded: features and closes fill up, the account sees nothing.

        Args:
            others: of each bar what to `observe` before it; empty if the features look at no other instrument.
        """
        for row, bar in enumerate(bars):
            if others:
                self.observe(others[row])
            self._take_in(bar)

    def observe(self, others: Mapping[str, Bar]) -> None:
        """Closed bars of other instruments arrive, by what they are to the features, before the next own one."""
        if self._features is not None:
            for name, bar in others.items():
                self._features.observe(name, bar)

    def take(self, model: Model) -> None:
        """Ask another model from the next decision on; it must take the same features."""
        self.model = self._context.model = model

    def market(self, bar: Bar) -> list[Event]:
        """A closed bar arrives: orders fill, the account is marked, the features take it in."""
        events = self.engine.step(bar)
        self.saw(bar, events)
        return events

    def saw(self, bar: Bar, events: Sequence[Event]) -> None:
        """A closed bar has arrived at a shared account, with these events of its instrument."""
        self._stirred = self._stirred or len(events) > 0
        self._refused = False
        self._take_in(bar)

    def told(self, events: Sequence[Event]) -> None:
        """Something happened at the account between two bars."""
        self._stirred = self._stirred or len(events) > 0
        if any(event.kind == "rejected" for event in events):
            self._wait = None

    def _take_in(self, bar: Bar) -> None:
        if self._features is not None:
            self._vector = self._features.update(bar)
        self._window.append(bar)
        self._bars += 1

    def decide(self, bar: Bar) -> tuple[Intent, ...]:
        """Ask the strategy what to do after this bar; empty while it warms up or waits.

        Raises:
            StrategyError: if it returns anything but intents. What the strategy itself raises comes through.
        """
        if not self.due(bar):
            return NOTHING
        return intents_of(self.strategy.on_bar(self._context, bar), self._has_signals)

    def due(self, bar: Bar) -> bool:
        """Whether the strategy is to be asked after this bar; what it waited for is then over.

        A replay calls it where `decide` was called, and takes the recorded answer: so the desk comes to the same state.
        """
        if self._bars < self._warmup or (self._wait is not None and not self._over(self._wait, bar)):
            return False
        self._wait = None
        self._context.now_ns = bar.close_ns
        self._context.missed, self._missed = self._missed, 0
        return True

    def pass_over(self) -> None:
        """The strategy will not be asked about the bar that has just arrived; it is told so the next time."""
        self._missed += 1

    def _over(self, wait: Wait, bar: Bar) -> bool:
        return (
            (wait.event and self._stirred)
            or 0 < wait.bars <= self._bars - self._since
            or 0 < wait.until_ns <= bar.close_ns
            or (wait.signal and self.signal() != 0)
        )

    def apply(self, intents: Iterable[Intent]) -> list[Event]:
        """Turn intents into orders for the next open; notes do nothing."""
        events: list[Event] = []
        for intent in intents:
            if isinstance(intent, Enter):
                side = layout.ENTER_LONG if intent.side == "long" else layout.ENTER_SHORT
                events += self.engine.signal(side, fraction_ppm(intent), self._book)
            elif isinstance(intent, Exit):
                events += self.engine.signal(layout.LEAVE, book=self._book)
            elif isinstance(intent, Wait):
                self._wait, self._since, self._stirred = intent, self._bars, False
        self._refused = self._refused or any(event.kind == "rejected" for event in events)
        if self._refused:
            self._wait = None
        return events

    def on_bar(self, bar: Bar) -> tuple[list[Event], tuple[Intent, ...]]:
        """All three steps; the events of the bar and of the orders that it led to, and the intents."""
        events = self.market(bar)
        intents = self.decide(bar)
        return events + self.apply(intents), intents

    # What the strategy sees

    def account(self) -> Account:
        """The account as the strategy may see it."""
        return account_of(self.engine, self._book)

    def closes(self) -> NDArray[np.float64]:
        """The last closes as prices, oldest first; a new array."""
        return self._window.closes(self._tick)

    def features(self) -> NDArray[np.float64]:
        """The features at the last bar; a new array."""
        return self._vector.copy()

    def signal(self) -> int:
        """What the strategy's signals say of the last bar; 0 if it has none."""
        if not self._has_signals:
            return 0
        return int(self.strategy.signals(self._window.bars(self.plan.instrument, self.plan.timeframe))[-1])

    # The state

    def state(self) -> dict[str, Any]:
        """Its own state as JSON: features, what it waits for, the strategy's own; the account is not part of it."""
        return {
            "features": b64encode(self._features.to_bytes()).decode() if self._features is not None else "",
            "vector": b64encode(self._vector.tobytes()).decode(),
            "window": self._window.state(),
            "bars": self._bars,
            "wait": None if self._wait is None else [*astuple(self._wait), self._since, self._stirred],
            "refused": self._refused,
            "missed": self._missed,
            "strategy": self.strategy.save(),
        }

    def to_bytes(self) -> bytes:
        """The whole state: account, orders, and its own. `restore` goes on from it."""
        state = self.state() | {"engine": b64encode(self.engine.to_bytes()).decode()}
        return json.dumps(state, sort_keys=True, separators=(",", ":")).encode()

    def restore(self, raw: bytes) -> None:
        """Take back what `to_bytes` gave; raises `PregaoError` if it is damaged or of another version."""
        try:
            state = json.loads(raw)
            self.engine = self.engine.from_bytes(self.plan, b64decode(state["engine"]))
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(error) from error
        self.restore_state(state)

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; raises `PregaoError` likewise."""
        try:
            if self._features is not None:
                self._features.from_bytes(b64decode(state["features"]))
            self._vector = np.frombuffer(b64decode(state["vector"]), np.float64).copy()
            self._window.restore(state["window"])
            self._bars = int(state["bars"])
            self._wait = None
            if state["wait"] is not None:
                *wait, self._since, self._stirred = state["wait"]
                self._wait = Wait(*wait)
            self._refused = bool(state["refused"])
            self._missed = int(state["missed"])
            self.strategy.load(state["strategy"])
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(error) from error

    def digest(self) -> str:
        """SHA-256 of the engine's state, hexadecimal."""
        return hashlib.sha256(self.engine.to_bytes()).hexdigest()


def _unreadable(error: Exception) -> PregaoError:
    return PregaoError(f"A saved state of this session cannot be read: {error}.")


def account_of(engine: Execution, book: int) -> Account:
    """The account as the strategy of one of its instruments may see it."""
    state = engine.account_of(book)
    home, own = engine.quantum(), engine.quantum(book)
    lot = float(engine.plans[book].instrument.lot_size)
    lots = state.position_lots
    return Account(
        state.equity_quanta * home,
        state.cash_quanta * own,
        lots * lot,
        state.cost_quanta * own / (lots * lot) if lots else 0.0,
        state.bars_held,
        engine.waiting_of(book),
    )


def fraction_ppm(intent: Enter) -> int:
    """The part of the entry value that an intent uses, in ppm."""
    return max(round(intent.fraction * PPM), 1)
