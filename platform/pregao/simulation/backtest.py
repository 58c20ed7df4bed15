"""Backtests of an array of signals, wholly compiled, and what came of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.simulation import kernel, layout
from pregao.simulation.engine import Engine, Event, event_of
from pregao.simulation.plan import Plan
from pregao.simulation.report import metrics
from pregao.simulation.trades import trades_of


@dataclass(frozen=True, eq=False)
class Result:
    """What a backtest left behind.

    Attributes:
        equity: at each close, in quanta, shape ``(n,)``.
        positions: signed lots held at each close, shape ``(n,)``.
        events: every order event, `layout.EVENT`.
        engine: the engine in its final state.
        digest: SHA-256 over the events and the final state: equal digests, equal histories.
    """

    bars: Bars
    plan: Plan
    equity: NDArray[np.int64]
    positions: NDArray[np.int64]
    events: NDArray[Any]
    engine: Engine = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the events and the final state, hexadecimal."""
        return hashlib.sha256(self.events.tobytes() + self.engine.to_bytes()).hexdigest()

    @cached_property
    def trades(self) -> pd.DataFrame:
        """The round trips, see `trades_of`."""
        return trades_of(self.events, self.plan)

    @property
    def final_equity(self) -> float:
        """Equity at the last close, in the quote currency."""
        return float(self.plan.instrument.money(int(self.equity[-1])))

    def history(self) -> list[Event]:
        """The events as tuples."""
        return [event_of(row) for row in self.events]

    def metrics(self) -> dict[str, float]:
        """The figures of `report.metrics`."""
        return metrics(
            self.equity.astype(np.float64) * float(self.plan.instrument.quantum),
            self.bars,
            self.trades,
            exposed=self.positions != 0,
        )


def run_signals(bars: Bars, plan: Plan, signals: NDArray[np.int8]) -> Result:
    """Trade an array of signals over history.

    Args:
        bars: ``n`` bars.
        plan: money, exits and costs.
        signals: shape ``(n,)``: what was decided at each close (`layout.ENTER_LONG`, `ENTER_SHORT`, `LEAVE` or 0). It
            acts at the next open; entries are ignored while a position or an entry is open.

    Raises:
        UsageError: if the shapes differ or there are no bars.
    """
    if len(bars) == 0:
        raise UsageError("There are no bars to run over.")
    if np.shape(signals) != (len(bars),):
        raise UsageError(f"There are {len(bars)} bars but signals of shape {np.shape(signals)}.")
    engine = Engine(plan)
    accounts, orders, plans = engine.state
    equity = np.empty(len(bars), np.int64)
    positions = np.empty(len(bars), np.int64)
    events = np.zeros(max(1024, 2 * layout.ROOM), layout.EVENT)
    cursor = np.zeros(1, np.int64)
    scratch = np.zeros(2, layout.ORDER)
    opens, highs, lows, closes = (np.ascontiguousarray(c) for c in (bars.open, bars.high, bars.low, bars.close))
    open_ns, signals = np.ascontiguousarray(bars.open_ns), np.ascontiguousarray(signals, np.int8)
    done = 0
    while True:
        done = kernel.run(
            accounts, orders, plans, events, cursor, scratch,
            open_ns, bars.timeframe.ns, opens, highs, lows, closes, signals, done, equity, positions,
        )  # fmt: skip
        if done == len(bars):
            return Result(bars, plan, equity, positions, events[: cursor[0]].copy(), engine)
        events = np.concatenate([events, np.zeros(len(events), layout.EVENT)])
