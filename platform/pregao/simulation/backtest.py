"""Backtests of an array of signals, wholly compiled, and what came of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars, Floats, Ints
from pregao.core.errors import UsageError
from pregao.simulation.course import Course
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event, event_of
from pregao.simulation.execution import Execution
from pregao.simulation.marks import Marks
from pregao.simulation.plan import Plan
from pregao.simulation.report import metrics
from pregao.simulation.trades import trades_of


class Interval(NamedTuple):
    """Profit or loss over a backtest in the quote currency: by the path rule, and had every ambiguous bar gone the
    trader's worse or better way. Exact where sizes do not depend on earlier results."""

    worst: float
    pnl: float
    best: float


@dataclass(frozen=True, eq=False)
class Result:
    """What a backtest left behind.

    Attributes:
        marks: equity and position at each close.
        events: every order event, `layout.EVENT`.
        engine: the account in its final state.
        digest: SHA-256 over the events and the final state: equal digests, equal histories.
    """

    bars: Bars
    plan: Plan
    marks: Marks
    events: NDArray[Any]
    engine: Execution = field(repr=False)

    @property
    def equity(self) -> Ints:
        """At each close, in quanta, shape ``(n,)``."""
        return self.marks.equity

    @property
    def positions(self) -> Ints:
        """Signed lots held at each close, shape ``(n,)``."""
        return self.marks.positions

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the events and the final state, hexadecimal."""
        found = hashlib.sha256(np.ascontiguousarray(self.events).view(np.uint8).data)  # no copy: there may be millions
        found.update(self.engine.to_bytes())
        return found.hexdigest()

    @cached_property
    def trades(self) -> pd.DataFrame:
        """The round trips, see `trades_of`."""
        return trades_of(self.events, self.plan)

    @cached_property
    def money(self) -> Floats:
        """The equity in the quote currency, shape ``(n,)``."""
        return np.asarray(self.equity * float(self.plan.instrument.quantum), np.float64)

    @property
    def final_equity(self) -> float:
        """Equity at the last close, with what filled at it, in the quote currency."""
        return float(self.plan.instrument.money(self.engine.account.equity_quanta))

    @property
    def interval(self) -> Interval:
        """Profit or loss, and between which bounds it lies because bars do not tell their path."""
        state, money = self.engine.account, self.plan.instrument.money
        pnl = state.equity_quanta - self.plan.cash_quanta
        return Interval(*(float(money(x)) for x in (pnl - state.worst_quanta, pnl, pnl + state.best_quanta)))

    def history(self) -> list[Event]:
        """The events as tuples."""
        return [event_of(row) for row in self.events]

    def metrics(self) -> dict[str, float]:
        """The figures of `report.metrics`."""
        return metrics(self.money, self.bars, self.trades, exposed=self.positions != 0)


def run_signals(bars: Bars, plan: Plan, signals: NDArray[np.int8], finer: Bars | None = None) -> Result:
    """Trade an array of signals over history.

    Args:
        bars: ``n`` bars.
        plan: money, exits and terms.
        signals: shape ``(n,)``: what was decided at each close (`layout.ENTER_LONG`, `ENTER_SHORT`, `LEAVE` or 0). It
            acts at the next open; entries are ignored while a position or an entry is open.
        finer: bars of the same instrument with a shorter timeframe, for the path rule ``finer``.

    Raises:
        UsageError: if the shapes differ or there are no bars.
    """
    if len(bars) == 0:
        raise UsageError("There are no bars to run over.")
    if np.shape(signals) != (len(bars),):
        raise UsageError(f"There are {len(bars)} bars but signals of shape {np.shape(signals)}.")
    engine = Engine(plan)
    course = Course(engine, [bars], [finer])
    course.trade([signals])
    return Result(bars, plan, course.marks, course.events, engine)
