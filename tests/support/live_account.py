"""Several instruments in one account driven moment by moment, as a live session would: beside the compiled driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np

from pregao.core.bars import Bar, Bars
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event, rows_of
from pregao.simulation.hours import live_rows
from pregao.simulation.moments import Moments
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import PortfolioResult

Trader = Callable[[Bar, Sequence[Event]], Iterable[Event]]
"""Trades one instrument: called with each of its bars after the close of the moment, and with the events of it, it
gives orders to the engine and returns the events that they caused."""


def run_moments(
    bars: Sequence[Bars],
    plans: Sequence[Plan],
    trader: Callable[[Engine, int], Trader],
    cash: Mapping[str, Decimal] | None = None,
    reporting: str | None = None,
    finer: Sequence[Bars | None] | None = None,
) -> PortfolioResult:
    """A trader for each instrument; they are called in the order of the instruments."""
    engine = Engine(plans, cash, reporting)
    began_with = {name: total for name, (total, _) in engine.cash().items()}
    traders = [trader(engine, b) for b in range(len(bars))]
    span = bars[0].timeframe.ns
    alive = [live_rows(series) for series in bars]
    index = [{at: i for i, at in enumerate(series.open_ns.tolist())} for series in bars]
    times = sorted({at for own in index for at in own})
    equity = np.empty(len(times), np.int64)
    positions = [np.empty(len(series), np.int64) for series in bars]
    events: list[Event] = []
    for t, opened in enumerate(times):
        rows = {b: own[opened] for b, own in enumerate(index) if opened in own}
        arrived = {b: bars[b].bar(row) for b, row in rows.items()}
        lives = {b: alive[b] is None or bool(alive[b][row]) for b, row in rows.items()}
        within = None
        if finer is not None:
            within = {b: own.between(opened, opened + span) for b in arrived if (own := finer[b]) is not None}
        happened = engine.step_all(arrived, within, lives)
        events += happened
        equity[t] = engine.account.equity_quanta
        for b, row in rows.items():
            positions[b][row] = engine.account_of(b).position_lots
        for b, bar in arrived.items():
            events += traders[b](bar, [e for e in happened if e.book == b])
    moments = Moments(bars[0].timeframe, np.array(times), np.array(times) + span)
    return PortfolioResult(
        tuple(bars), tuple(plans), moments, began_with, equity, tuple(positions), rows_of(events), engine
    )
