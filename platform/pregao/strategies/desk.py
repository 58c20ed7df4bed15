"""The desk: one strategy at one simulated account, bar by bar. Backtests and sessions both run this very object.

Before the first bar, `Desk.warm` takes in the `Desk.history` bars that came before it, so that the features are
complete from the start. A bar then goes through three steps, which a session records one by one:

- `Desk.market`: working orders meet the bar, the features take it in.
- `Desk.decide`: the strategy is asked, unless it is still warming up.
- `Desk.apply`: its intents become orders, which can fill at the next open.

On replay a session gives `apply` the intents that it recorded, so the strategy is never asked twice.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.core.money import PPM
from pregao.features.sets import FeatureStream
from pregao.simulation import layout
from pregao.simulation.engine import Engine, Event
from pregao.simulation.plan import Plan
from pregao.strategies.contract import Account, Context, Enter, Exit, Intent, Model, Note

_NOTHING: NDArray[np.float64] = np.empty(0)


class StrategyError(PregaoError):
    """A strategy broke the contract: it returned something that is no intent."""


class _LastCloses:
    """The last ``size`` closes in ticks, oldest first: a window that slides over a buffer twice its size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._buffer = np.zeros(2 * size, np.int64)
        self._end = 0

    def append(self, close: int) -> None:
        """Take in one close; the oldest leaves when the window is full."""
        if self._end == len(self._buffer):
            self._buffer[: self.size] = self._buffer[self.size :]
            self._end = self.size
        self._buffer[self._end] = close
        self._end += 1

    def ticks(self) -> NDArray[np.int64]:
        """The window, shape ``(m,)`` with ``m <= size``; a view."""
        return self._buffer[max(self._end - self.size, 0) : self._end]


class Desk:
    """One strategy trading one account.

    Args:
        plan: instrument, money, exits and costs.
        strategy: a configured strategy.
        seed: of the only randomness that the strategy may use.
        features: the stream behind ``ctx.features``; None if the strategy wants none.
        model: behind ``ctx.model``; None for strategies without one.
    """

    def __init__(
        self,
        plan: Plan,
        strategy: Any,
        seed: int = 0,
        features: FeatureStream | None = None,
        model: Model | None = None,
    ) -> None:
        self.plan = plan
        self.strategy = strategy
        self.model = model
        self.engine = Engine(plan)
        self._features = features
        self._vector = _NOTHING
        self._warmup = max(int(strategy.warmup()), 1)
        self._closes = _LastCloses(max(self._warmup, 2))
        self._bars = 0
        self._seed = seed
        self._tick = float(plan.instrument.tick_size)
        self._quantum = float(plan.instrument.quantum)
        self._lot = float(plan.instrument.lot_size)

    @property
    def history(self) -> int:
        """Bars before the first that are worth giving to `warm`: what strategy and features need to be complete."""
        return max(self._warmup, self._features.features.warmup if self._features is not None else 0)

    def warm(self, bars: Iterable[Bar]) -> None:
        """Take in bars from before the first one traded: features and closes fill up, the account sees nothing."""
        for bar in bars:
            self._take_in(bar)

    def market(self, bar: Bar) -> list[Event]:
        """A closed bar arrives: orders fill, the account is marked, the features take it in."""
        events = self.engine.step(bar)
        self._take_in(bar)
        return events

    def _take_in(self, bar: Bar) -> None:
        if self._features is not None:
            self._vector = self._features.update(bar)
        self._closes.append(bar.close)
        self._bars += 1

    def decide(self, bar: Bar) -> list[Intent]:
        """Ask the strategy what to do after this bar; empty while it warms up.

        Raises:
            StrategyError: if it returns anything but intents. What the strategy itself raises comes through.
        """
        if self._bars < self._warmup:
            return []
        context = Context(
            self.plan.instrument,
            self.plan.timeframe,
            bar.close_ns,
            self.account(),
            self._closes.ticks().astype(np.float64) * self._tick,
            self._vector.copy(),
            self.model,
            self._seed,
        )
        answer = self.strategy.on_bar(context, bar)
        if answer is None:
            raise StrategyError("The strategy returned None.", "Return an empty tuple to do nothing.")
        intents = list(answer)
        for intent in intents:
            problem = _problem(intent)
            if problem:
                raise StrategyError(f"The strategy returned {intent!r}: {problem}.")
        return intents

    def apply(self, intents: Iterable[Intent]) -> list[Event]:
        """Turn intents into orders for the next open; notes do nothing."""
        events: list[Event] = []
        for intent in intents:
            if isinstance(intent, Enter):
                side = layout.ENTER_LONG if intent.side == "long" else layout.ENTER_SHORT
                events += self.engine.signal(side, round(intent.fraction * PPM))
            elif isinstance(intent, Exit):
                events += self.engine.signal(layout.LEAVE)
        return events

    def on_bar(self, bar: Bar) -> tuple[list[Event], list[Intent]]:
        """All three steps; the events of the bar and of the orders that it led to, and the intents."""
        events = self.market(bar)
        intents = self.decide(bar)
        return events + self.apply(intents), intents

    def account(self) -> Account:
        """The account as the strategy may see it."""
        a = self.engine.account
        lots = a.position_lots
        price = a.cost_quanta * self._quantum / (lots * self._lot) if lots else 0.0
        return Account(
            a.equity_quanta * self._quantum,
            a.cash_quanta * self._quantum,
            lots * self._lot,
            price,
            a.bars_held,
            self.engine.waiting,
        )

    def to_bytes(self) -> bytes:
        """The whole state: account, orders, features, the strategy's own. `restore` goes on from it."""
        state = {
            "engine": b64encode(self.engine.to_bytes()).decode(),
            "features": b64encode(self._features.to_bytes()).decode() if self._features is not None else "",
            "vector": b64encode(self._vector.tobytes()).decode(),
            "closes": self._closes.ticks().tolist(),
            "bars": self._bars,
            "strategy": self.strategy.save(),
        }
        return json.dumps(state, sort_keys=True, separators=(",", ":")).encode()

    def restore(self, raw: bytes) -> None:
        """Take back what `to_bytes` gave; raises `PregaoError` if it is damaged or of another version."""
        try:
            state = json.loads(raw)
            self.engine = Engine.from_bytes(self.plan, b64decode(state["engine"]))
            if self._features is not None:
                self._features.from_bytes(b64decode(state["features"]))
            self._vector = np.frombuffer(b64decode(state["vector"]), np.float64).copy()
            self._closes = _LastCloses(self._closes.size)
            for close in state["closes"]:
                self._closes.append(int(close))
            self._bars = int(state["bars"])
            self.strategy.load(state["strategy"])
        except (ValueError, KeyError, TypeError) as error:
            raise PregaoError(f"A saved state of this session cannot be read: {error}.") from error

    def digest(self) -> str:
        """SHA-256 of the engine's state, hexadecimal."""
        return hashlib.sha256(self.engine.to_bytes()).hexdigest()


def _problem(intent: object) -> str:
    """What is wrong with an intent; empty if nothing."""
    if not isinstance(intent, Enter | Exit | Note):
        return "an intent is Enter, Exit or Note"
    if isinstance(intent, Enter):
        if intent.side not in ("long", "short"):
            return "side is long or short"
        if not (isinstance(intent.fraction, int | float) and 0 < intent.fraction <= 1):
            return "fraction lies in (0, 1]"
    return ""
