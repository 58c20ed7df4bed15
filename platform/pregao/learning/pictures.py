"""What the plots of a model show beside its report: luck's band around its equity, drawdowns, and its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.learning.report import finite, scored_bars, signals_of
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.baselines import buy_and_hold
from pregao.simulation.plan import Plan

Floats = NDArray[np.float64]
POINTS, RUNS, THRESHOLDS = 400, 40, 40


def pictures(bars: Bars, plan: Plan, predictions: pd.DataFrame, report: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Series for the plots, as JSON; figures without a value are None.

    Args:
        bars, plan: as the report's.
        predictions: out of sample, of `pregao.learning.evaluate.walk`.
        report: of `pregao.learning.report.report`: its number of random entries is taken.
        seed: of the random entries.

    Returns:
        ``ts_ns`` and, at those moments, equity in the quote currency of the ``model``, of ``buy_and_hold``, and the
        5th, 50th and 95th percentile of `RUNS` runs of random entries (``random``; empty without trades); the
        drawdowns of the model and of holding, fractions from 0 down, the deepest since the moment before; and the
        ``thresholds``: for each least expected value, how many bars reach it, and the mean net result of a trade
        opened at each of them, with the bounds of two standard errors.
    """
    scored, signals = scored_bars(bars, predictions), signals_of(predictions)
    quantum = float(plan.instrument.quantum)
    own, held = (
        np.asarray(result.equity * quantum, np.float64)
        for result in (run_signals(scored, plan, signals), buy_and_hold(scored, plan))
    )
    at = np.unique(np.linspace(0, len(own) - 1, POINTS).astype(int))
    document = {
        "ts_ns": [int(ns) for ns in scored.close_ns[at]],
        "model": own[at].tolist(),
        "buy_and_hold": held[at].tolist(),
        "random": _luck(scored, plan, int(report["random"]["entries"]), seed, at),
        "drawdown": {"model": _deepest(own, at).tolist(), "buy_and_hold": _deepest(held, at).tolist()},
        "thresholds": _thresholds(predictions),
    }
    made: dict[str, Any] = finite(document)
    return made


def _luck(bars: Bars, plan: Plan, entries: int, seed: int, at: NDArray[np.int64]) -> list[list[float]]:
    if entries == 0:
        return []
    rng = np.random.default_rng(seed)
    runs = np.empty((RUNS, len(at)))
    for run in range(RUNS):
        signals = np.zeros(len(bars), np.int8)
        signals[rng.choice(len(bars), entries, replace=False)] = layout.ENTER_LONG
        runs[run] = run_signals(bars, plan, signals).equity[at]
    bands: list[list[float]] = (np.percentile(runs, (5, 50, 95), axis=0) * float(plan.instrument.quantum)).tolist()
    return bands


def _deepest(equity: Floats, at: NDArray[np.int64]) -> Floats:
    """The drawdown at some bars, each the deepest since the one before, so that none is missed between two."""
    under = equity / np.maximum.accumulate(equity) - 1
    starts = np.r_[0, at[:-1] + 1]
    found: Floats = np.minimum.reduceat(under, starts[starts <= at[-1]])
    return found


def _thresholds(predictions: pd.DataFrame) -> list[dict[str, float]]:
    known = predictions[predictions["net"].notna()].sort_values("expected_value", ascending=False, kind="stable")
    value, net = known["expected_value"].to_numpy(), known["net"].to_numpy()
    found = []
    for count in np.unique(np.geomspace(min(10, len(net)), len(net), THRESHOLDS).astype(int)):
        taken = net[:count]
        error = float(taken.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
        mean = float(taken.mean())
        found.append({
            "least": float(value[count - 1]), "bars": int(count), "mean": mean, "low": mean - 2 * error,
            "high": mean + 2 * error,
        })  # fmt: skip
    return found
