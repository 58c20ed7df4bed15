"""What any strategy must beat: holding, and luck with the same brackets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.simulation import layout
from pregao.simulation.backtest import Result, run_signals
from pregao.simulation.plan import Plan


def buy_and_hold(bars: Bars, plan: Plan) -> Result:
    """Buy the entry value at the second bar's open and hold it, at the plan's costs."""
    signals = np.zeros(len(bars), np.int8)
    signals[0] = layout.ENTER_LONG
    return run_signals(bars, replace(plan, take_profit_ppm=0, stop_loss_ppm=0, horizon_bars=0), signals)


def random_entries(bars: Bars, plan: Plan, entries: int, seed: int, runs: int) -> NDArray[np.float64]:
    """Net returns of entries at random bars with the plan's own brackets and costs.

    Args:
        entries: how many bars of each run carry an entry signal; those that fall into an open trade are ignored.
        seed: of the draw; the same seed gives the same runs.
        runs: how many independent draws.

    Returns:
        Net return on the starting cash of each run, shape ``(runs,)``.
    """
    rng = np.random.default_rng(seed)
    returns = np.empty(runs)
    for i in range(runs):
        signals = np.zeros(len(bars), np.int8)
        signals[rng.choice(len(bars), size=min(entries, len(bars)), replace=False)] = layout.ENTER_LONG
        returns[i] = run_signals(bars, plan, signals).equity[-1] / plan.cash_quanta - 1
    return returns
