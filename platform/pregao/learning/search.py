"""The search for the model's knobs: Optuna proposes, the whole walk-forward answers, every trial is kept.

The first trial is always the knobs of ``params.yaml``; with ``search.trials: 0`` it is the only one. The others are
proposed by Optuna's tree-structured Parzen estimator, seeded, so the same data and params make the same trials. Each is
judged as it would have traded: by the Sharpe ratio of its out-of-sample decisions through the simulation engine, costs
paid. That chooses by the very figure that is reported, so the gate deflates it by the number and the spread of all
trials, and the combinatorial folds tell how often such a choice fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.learning.evaluate import walk
from pregao.learning.labels import Examples
from pregao.learning.params import ModelParams, Params
from pregao.learning.report import scored_bars, signals_of
from pregao.simulation.backtest import run_signals
from pregao.simulation.plan import Plan
from pregao.simulation.significance import Sample

DEPTHS, RATES, LEAVES = (2, 8), (0.01, 0.2), (1.0, 100.0)
"""Where to look: depth of the trees, learning rate and L2 regularisation, the last two by their logarithm."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One set of knobs and what it came to.

    Attributes:
        number: from 0, the knobs of params.yaml.
        predictions, folds: of its walk-forward.
        returns: per bar of the scored span, costs paid, shape ``(n - 1,)``.
        sharpe: of them, per bar; None if it never traded.
    """

    number: int
    model: ModelParams
    predictions: pd.DataFrame
    folds: list[dict[str, Any]]
    returns: NDArray[np.float64]
    sharpe: float | None
    trades: int

    def to_json(self) -> dict[str, Any]:
        """Number, knobs, Sharpe ratio per bar, net return and trades."""
        return {
            "number": self.number,
            "model": self.model.model_dump(mode="json"),
            "sharpe_per_bar": self.sharpe,
            "net_return": float(np.prod(1 + self.returns) - 1),
            "trades": self.trades,
        }


def search(
    bars: Bars, plan: Plan, rows: Examples, params: Params, progress: Callable[[str], None] | None = None
) -> tuple[list[Trial], int]:
    """All trials in their order, and the number of the best: the highest Sharpe ratio, the first of equals.

    Raises:
        UsageError: as `pregao.learning.evaluate.walk`.
    """
    trials = [_trial(0, params.model, bars, plan, rows, params, progress)]
    if params.search.trials:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=params.seed))
        study.add_trial(
            optuna.trial.create_trial(
                params=_knobs(params.model), distributions=_distributions(), value=trials[0].sharpe or 0.0
            )
        )
        for number in range(1, params.search.trials + 1):
            if progress is not None:
                progress(f"trial {number} of {params.search.trials}")
            asked = study.ask(_distributions())
            model = params.model.model_copy(update=asked.params)
            trials.append(_trial(number, model, bars, plan, rows, params, None))
            study.tell(asked, trials[-1].sharpe or 0.0)
    best = max(range(len(trials)), key=lambda i: (trials[i].sharpe or 0.0, -i))
    return trials, best


def _distributions() -> dict[str, Any]:
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "depth": IntDistribution(*DEPTHS),
        "learning_rate": FloatDistribution(*RATES, log=True),
        "l2_leaf_reg": FloatDistribution(*LEAVES, log=True),
    }


def _knobs(model: ModelParams) -> dict[str, Any]:
    """The knobs of params.yaml, moved to the edge of where the search looks if they lie outside."""
    return {
        "depth": int(np.clip(model.depth, *DEPTHS)),
        "learning_rate": float(np.clip(model.learning_rate, *RATES)),
        "l2_leaf_reg": float(np.clip(model.l2_leaf_reg, *LEAVES)),
    }


def _trial(
    number: int,
    model: ModelParams,
    bars: Bars,
    plan: Plan,
    rows: Examples,
    params: Params,
    progress: Callable[[str], None] | None,
) -> Trial:
    predictions, folds = walk(rows, params.model_copy(update={"model": model}), progress)
    result = run_signals(scored_bars(bars, predictions), plan, signals_of(predictions))
    returns = np.asarray(np.diff(result.money) / result.money[:-1], np.float64)
    sample = Sample.of(returns)
    sharpe = None if sample.flaw is not None else sample.sharpe
    return Trial(number, model, predictions, folds, returns, sharpe, len(result.trades))
