"""What a way of learning is worth on a series: search, walk-forward, report and combinatorial folds in one call.

The pipeline's stage, `pregao calibrate-gate` and the tests all call `assess`; nothing here reads or writes a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from pregao.core.bars import Bars
from pregao.learning.gate import judge
from pregao.learning.labels import Examples
from pregao.learning.overfitting import overfitting
from pregao.learning.params import ModelParams, Params
from pregao.learning.report import finite, report
from pregao.learning.search import Trial, search
from pregao.simulation.backtest import Result
from pregao.simulation.plan import Plan


@dataclass(frozen=True, eq=False)
class Assessment:
    """What came of it.

    Attributes:
        report: as JSON, for the gate and for a person: that of `pregao.learning.report.report` with ``significance``,
            ``trials`` and ``overfitting``.
        predictions: out of sample, of the chosen trial, see `pregao.learning.evaluate.walk`.
        trading: what its decisions came to.
        returns: of every trial, per bar of the scored span; columns are the trials' numbers as text, the index is the
            close of the bar, ns since 1970 UTC.
        model: the chosen knobs.
    """

    report: dict[str, Any]
    predictions: pd.DataFrame
    trading: Result
    returns: pd.DataFrame
    model: ModelParams


def assess(
    bars: Bars,
    plan: Plan,
    rows: Examples,
    params: Params,
    progress: Callable[[str], None] | None = None,
    *,
    combinations: bool = True,
) -> Assessment:
    """Choose among the trials by walk-forward, report on the chosen one, and see how often such a choice overfits.

    Args:
        bars: those that the training may see.
        plan: the operation on them.
        rows: the examples of these bars.
        combinations: False leaves the combinatorial folds out where the gate would refuse the model without them:
            the verdict is the same, sooner. ``report["overfitting"]`` is None then.

    Raises:
        UsageError: if there is too little to learn from, or nothing to tell apart.
    """
    trials, best = search(bars, plan, rows, params, progress)
    chosen = trials[best]
    document, trading = report(bars, plan, chosen.predictions, chosen.folds, params.seed, params.random_runs)
    document["significance"]["trials"] = [trial.sharpe for trial in trials]
    document["trials"] = [trial.to_json() for trial in trials]
    document["chosen"] = best
    document["overfitting"] = None
    document = finite(document)
    if combinations or judge(document, params.gate).failed == {"overfitting"}:
        knobs = [trial.model for trial in trials]
        document["overfitting"] = finite(asdict(overfitting(bars, plan, rows, knobs, params, progress)))
    return Assessment(document, chosen.predictions, trading, _returns(trials, trading), chosen.model)


def _returns(trials: list[Trial], trading: Result) -> pd.DataFrame:
    columns = {str(trial.number): trial.returns for trial in trials}
    return pd.DataFrame(columns, index=pd.Index(trading.bars.close_ns[1:], name="at_ns"))
