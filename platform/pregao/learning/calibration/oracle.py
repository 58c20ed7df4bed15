"""How strong a planted edge is: what someone who knows it earns.

A market reverts to its mean (`pregao.market.sources.synthetic.Nature.reversion`): at each close the score, how many
standard deviations the price stands above its mean of 64 bars, decides where the next bar drifts. The **oracle** knows
that rule. It enters long whenever the score is at or below a bound, with the same money, brackets and costs as the
model and through the same engine; the bound is the one of `BOUNDS` that earns most on average. **An edge of net Sharpe
S** is the reversion for which the oracle's annualised Sharpe ratio, costs paid, is S on average over `MARKETS` markets
of the experiment's length. Their seeds are used for nothing else.

The model is told neither the rule nor which feature shows it, and has to learn it from its part of the same history, so
it earns less than the oracle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pregao.core.timeframe import Timeframe
from pregao.learning.calibration.markets import Market, walked
from pregao.learning.params import PlanParams
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals

BOUNDS = (0.0, -0.5, -1.0, -1.5, -2.0)
MARKETS = 48
SEED = 1_000_003
_STEPS = 12
_LARGEST = 0.4


@dataclass(frozen=True)
class Edge:
    """A planted edge.

    Attributes:
        reversion: its strength, see `pregao.market.sources.synthetic.Nature`.
        bound: the score at which the oracle enters.
        sharpe: mean annualised net Sharpe ratio of the oracle, with its standard error.
    """

    reversion: float
    bound: float
    sharpe: float
    standard_error: float


def oracle_sharpe(market: Market, bound: float) -> float:
    """Annualised net Sharpe ratio of entering wherever the score is at or below the bound; 0 if it never trades."""
    assert market.known is not None
    signals = np.where(market.known <= bound, layout.ENTER_LONG, 0).astype(np.int8)
    found = run_signals(market.bars, market.plan, signals).metrics()["sharpe"]
    return 0.0 if math.isnan(found) else float(found)


def planted(sharpe: float, bars: int, timeframe: Timeframe, plan: PlanParams, markets: int = MARKETS) -> Edge:
    """The edge of a net Sharpe ratio, found by bisection on the same noise throughout.

    Raises:
        ValueError: if no reversion up to 0.4 is worth so much after costs.
    """
    low, high = 0.0, _LARGEST
    best = _measured(high, bars, timeframe, plan, markets)
    if best.sharpe < sharpe:
        raise ValueError(f"no planted edge earns a net Sharpe ratio of {sharpe}: the strongest earns {best.sharpe:.2f}")
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = _measured(middle, bars, timeframe, plan, markets)
        if found.sharpe < sharpe:
            low = middle
        else:
            high, best = middle, found
    return best


def _measured(reversion: float, bars: int, timeframe: Timeframe, plan: PlanParams, markets: int) -> Edge:
    figures = np.empty((markets, len(BOUNDS)))
    for i in range(markets):
        market = walked(bars, timeframe, (SEED, i), plan, reversion)
        figures[i] = [oracle_sharpe(market, bound) for bound in BOUNDS]
    best = int(np.argmax(figures.mean(axis=0)))
    column = figures[:, best]
    return Edge(reversion, BOUNDS[best], float(column.mean()), float(column.std(ddof=1) / math.sqrt(markets)))
