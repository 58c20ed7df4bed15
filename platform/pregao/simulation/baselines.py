"""What any strategy must beat: holding, and luck with the same brackets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.simulation import layout
from pregao.simulation.backtest import Result, run_signals
from pregao.simulation.plan import Plan

if TYPE_CHECKING:
    from pregao.simulation.portfolio import PortfolioResult


def buy_and_hold(bars: Bars, plan: Plan) -> Result:
    """Buy the entry value at the second bar's open and hold it, at the plan's costs."""
    signals = np.zeros(len(bars), np.int8)
    signals[0] = layout.ENTER_LONG
    return run_signals(bars, replace(plan, take_profit_ppm=0, stop_loss_ppm=0, horizon_bars=0), signals)


def buy_and_hold_all(
    bars: Sequence[Bars],
    plans: Sequence[Plan],
    cash: Mapping[str, Decimal] | None = None,
    reporting: str | None = None,
) -> PortfolioResult:
    """`buy_and_hold` of several instruments in one account, as `portfolio.run_portfolio` takes them.

    Each buys its own entry value at its second bar's open, as far as the cash goes, in the order of the instruments.
    """
    from pregao.simulation.portfolio import run_portfolio

    bare = [replace(plan, take_profit_ppm=0, stop_loss_ppm=0, horizon_bars=0) for plan in plans]
    signals = []
    for series in bars:
        signals.append(np.zeros(len(series), np.int8))
        signals[-1][0] = layout.ENTER_LONG
    return run_portfolio(bars, bare, signals, cash, reporting)


def held_beside(result: Result | PortfolioResult) -> Result | PortfolioResult:
    """`buy_and_hold` over the bars of a result, of all its instruments."""
    if isinstance(result, Result):
        return buy_and_hold(result.bars, result.plan)
    return buy_and_hold_all(result.bars, result.plans, result.began_with, result.currency)


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
        returns[i] = run_signals(bars, plan, signals).engine.account.equity_quanta / plan.cash_quanta - 1
    return returns
