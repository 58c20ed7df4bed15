"""The report on a model: how well it predicts, what trading by it would have brought, and beside what."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.simulation import layout
from pregao.simulation.backtest import Result, run_signals
from pregao.simulation.baselines import buy_and_hold, random_entries
from pregao.simulation.plan import Plan
from pregao.simulation.significance import Sample

Floats = NDArray[np.float64]
_CURVE_POINTS = 400
_BINS = 10


def auc(chance: Floats, win: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a win is ranked above a loss, ties half; NaN if all are alike."""
    wins = int(win.sum())
    losses = len(win) - wins
    if not wins or not losses:
        return math.nan
    return float((_ranks(chance)[win].sum() - wins * (wins + 1) / 2) / (wins * losses))


def log_loss(chance: Floats, win: NDArray[np.bool_]) -> float:
    """Mean of ``-ln`` of the chance given to what happened, chances kept 1e-15 away from 0 and 1."""
    kept = np.clip(np.where(win, chance, 1.0 - chance), 1e-15, 1.0)
    return float(-np.log(kept).mean())


def calibration(chance: Floats, win: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Ten bins of equally many rows by their chance: mean ``predicted``, share that ``won``, ``rows``."""
    order = np.argsort(chance, kind="stable")
    return [
        {"predicted": float(chance[part].mean()), "won": float(win[part].mean()), "rows": len(part)}
        for part in np.array_split(order, _BINS)
        if len(part)
    ]


def statistics(predictions: pd.DataFrame) -> dict[str, Any]:
    """How well the predictions fit what came of the trades whose outcome is known.

    Args:
        predictions: columns ``probability``, ``expected_value``, ``net``, as `pregao.learning.evaluate.walk` gives.

    Returns:
        ``rows``, ``base_rate`` (share of wins), ``auc``, ``log_loss``, ``brier``, ``skill`` (1 - log loss over that of
        always saying the base rate), ``calibration_error`` (mean distance of predicted and won over the bins), ``ic``
        and ``rank_ic`` (Pearson's and Spearman's correlation of expected value and net result).
    """
    known = predictions[predictions["net"].notna()]
    if known.empty:
        raise UsageError("No practice trade of the scored bars ever ended.", "Set a horizon, or ingest more history.")
    chance, net = known["probability"].to_numpy(), known["net"].to_numpy()
    value, win = known["expected_value"].to_numpy(), net > 0
    rate = float(win.mean())
    loss, bare = log_loss(chance, win), log_loss(np.full(len(win), rate), win)
    bins = calibration(chance, win)
    varied = len(win) > 1 and float(np.ptp(value)) > 0 and float(np.ptp(net)) > 0
    return {
        "rows": len(known),
        "base_rate": rate,
        "auc": auc(chance, win),
        "log_loss": loss,
        "brier": float(np.mean((chance - win) ** 2)),
        "skill": 1 - loss / bare if bare > 0 else math.nan,
        "calibration_error": sum(abs(b["predicted"] - b["won"]) * b["rows"] for b in bins) / len(known),
        "ic": float(np.corrcoef(value, net)[0, 1]) if varied else math.nan,
        "rank_ic": float(np.corrcoef(_ranks(value), _ranks(net))[0, 1]) if varied else math.nan,
    }


def report(
    bars: Bars, plan: Plan, predictions: pd.DataFrame, folds: list[dict[str, Any]], seed: int, runs: int
) -> tuple[dict[str, Any], Result]:
    """Everything that the gate and a person need to judge the model.

    The out-of-sample decisions are traded by the simulation engine, with costs, over the bars that they were made on.

    Args:
        bars: those that the training may see.
        predictions, folds: of `pregao.learning.evaluate.walk`; a row for each bar from some bar on.
        seed, runs: of the random entries.

    Returns:
        The report as JSON, and the trading itself. Figures without a value are None.
    """
    scored, signals = scored_bars(bars, predictions), signals_of(predictions)
    document, trading = trading_report(scored, plan, lambda asked: run_signals(scored, asked, signals), seed, runs)
    document |= {"prediction": statistics(predictions), "calibration": _calibration(predictions), "folds": folds}
    return finite(document), trading


def trading_report(
    scored: Bars, plan: Plan, trade: Callable[[Plan], Result], seed: int, runs: int
) -> tuple[dict[str, Any], Result]:
    """What out-of-sample decisions came to, and beside what: the part of the report that needs no prediction.

    Args:
        scored: the bars that the decisions were made on.
        trade: the decisions traded by a plan: the given one, and the same at doubled costs.
        seed, runs: of the random entries, which have the plan's own exits; where it has none, they leave after as many
            bars as the decisions held on average.
    """
    trading = trade(plan)
    figures = trading.metrics()
    held = buy_and_hold(scored, plan)
    bracket = plan
    if not (plan.take_profit_ppm or plan.stop_loss_ppm or plan.horizon_bars):
        bracket = replace(plan, horizon_bars=_mean_holding(trading))
    return {
        "span": {"start_ns": int(scored.open_ns[0]), "end_ns": int(scored.close_ns[-1]), "bars": len(scored)},
        "trading": figures,
        "doubled_costs": trade(replace(plan, terms=plan.terms.dearer(2))).metrics(),
        "buy_and_hold": held.metrics(),
        "significance": _significance(trading, figures["sharpe"]),
        "random": _luck(scored, bracket, int(figures["trades"]), figures["net_return"], seed, runs),
        "curve": _curve(trading, held),
    }, trading


def _mean_holding(trading: Result) -> int:
    """Bars that a trade was held on average, at least 1."""
    return max(round(int(np.count_nonzero(trading.positions)) / max(len(trading.trades), 1)), 1)


def scored_bars(bars: Bars, predictions: pd.DataFrame) -> Bars:
    """The bars that predictions are of, which are the last ones; raises `UsageError` if they are of others."""
    scored = bars[int(np.searchsorted(bars.close_ns, predictions["at_ns"].iloc[0])) :]
    if not np.array_equal(scored.close_ns, predictions["at_ns"].to_numpy()):
        raise UsageError("The predictions are not of these bars.")
    return scored


def signals_of(predictions: pd.DataFrame) -> NDArray[np.int8]:
    """The decisions as the engine takes them."""
    return np.where(predictions["enter"].to_numpy(), layout.ENTER_LONG, 0).astype(np.int8)


def finite(value: Any) -> Any:
    """JSON that every reader takes: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    return np.asarray(pd.Series(values).rank(), np.float64)


def _significance(trading: Result, sharpe: float) -> dict[str, Any]:
    """What the deflated Sharpe ratio is made of, with this one as the only trial."""
    sample = Sample.of(np.diff(trading.money) / trading.money[:-1])
    return {
        "bars": sample.observations,
        "sharpe": sharpe,
        "sharpe_per_bar": sample.sharpe,
        "skew": sample.skew,
        "kurtosis": sample.kurtosis,
        "trials": [sample.sharpe],
    }


def _calibration(predictions: pd.DataFrame) -> list[dict[str, float]]:
    known = predictions[predictions["net"].notna()]
    return calibration(known["probability"].to_numpy(), known["net"].to_numpy() > 0)


def _luck(bars: Bars, plan: Plan, trades: int, net_return: float, seed: int, runs: int) -> dict[str, Any]:
    """Random entries with the same brackets and about as many trades: ``p`` is the chance that luck does as well.

    ``p = (1 + runs that returned at least as much) / (1 + runs)``, the permutation test that can never say 0.
    """
    if trades == 0:
        return {"runs": 0, "entries": 0, "mean": math.nan, "low": math.nan, "high": math.nan, "p": math.nan}
    entries = _entries_for(bars, plan, trades, seed)
    returns = random_entries(bars, plan, entries, seed, runs)
    return {
        "runs": runs,
        "entries": entries,
        "mean": float(returns.mean()),
        "low": float(np.quantile(returns, 0.05)),
        "high": float(np.quantile(returns, 0.95)),
        "p": float((1 + np.sum(returns >= net_return)) / (1 + runs)),
    }


def _entries_for(bars: Bars, plan: Plan, trades: int, seed: int) -> int:
    """How many random entry signals make about so many trades: some fall into a trade already open."""
    order = np.random.default_rng(seed).permutation(len(bars))

    def made(entries: int) -> int:
        signals = np.zeros(len(bars), np.int8)
        signals[order[:entries]] = layout.ENTER_LONG
        return len(run_signals(bars, plan, signals).trades)

    low, high = min(trades, len(bars)), len(bars)
    while low < high:
        middle = (low + high) // 2
        if made(middle) < trades:
            low = middle + 1
        else:
            high = middle
    return low


def _curve(trading: Result, held: Result) -> dict[str, list[float] | list[int]]:
    """Equity of the model and of holding at some hundred points, in the quote currency, for the plot."""
    at = np.unique(np.linspace(0, len(trading.equity) - 1, _CURVE_POINTS).astype(int))
    quantum = float(trading.plan.instrument.quantum)
    return {
        "ts_ns": [int(t) for t in trading.bars.close_ns[at]],
        "model": [float(e) for e in trading.equity[at] * quantum],
        "buy_and_hold": [float(e) for e in held.equity[at] * quantum],
    }
