"""The stages of the training pipeline, as DVC runs them: ``python -m pregao.learning.stages STAGE`` in a workspace."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.features.sets import FeatureSet, feature_set
from pregao.learning import train as training
from pregao.learning.assess import assess
from pregao.learning.folds import last_fold
from pregao.learning.labels import Examples, examples, seen_bars, stacked
from pregao.learning.others import bars_of
from pregao.learning.params import ModelParams, Params, read_params
from pregao.learning.pictures import pictures
from pregao.learning.pipeline import ERROR_FILE, STAGES
from pregao.learning.reasons import usual_ranges
from pregao.market.store import Store
from pregao.settings import keep_quiet
from pregao.simulation.plan import Plan


def features() -> None:
    """Features and labels of the bars that training may see: ``examples.parquet``."""
    params = _params()
    bars, plan = _market(params)
    features = feature_set(params.features.set)
    beside = bars_of(params.features.others, bars.timeframe, Store(Path("snapshot")))
    peers = [_peer(key, bars, params, features, beside) for key in params.panel]
    rows = stacked(examples(bars, plan, features, beside), peers)
    rows.write(Path("examples.parquet"))
    print(f"{len(rows)} examples, {rows.win[rows.known].mean():.1%} of them end in profit")


def _peer(key: str, bars: Bars, params: Params, features: FeatureSet, beside: Mapping[str, Bars]) -> Examples:
    """The examples of another instrument of the panel, up to the last of ``bars``."""
    store = Store(Path("snapshot"))
    instrument = store.instrument(key)
    theirs = store.bars(instrument, bars.timeframe)
    theirs = theirs[: int(np.searchsorted(theirs.close_ns, bars.close_ns[-1], side="right"))]
    return examples(theirs, params.plan.plan(instrument, bars.timeframe), features, beside)


def evaluate() -> None:
    """The assessment: ``evaluation.json``, ``predictions.parquet``, ``trades.parquet``, ``trials.parquet``, and
    ``pictures.json``."""
    params = _params()
    bars, plan = _market(params)
    rows = Examples.read(Path("examples.parquet"))
    found = assess(bars, plan, rows, params, lambda line: print(line, flush=True))
    found.predictions.to_parquet("predictions.parquet", compression="zstd", index=False)
    found.trading.trades.to_parquet("trades.parquet", compression="zstd", index=False)
    found.returns.to_parquet("trials.parquet", compression="zstd")
    _write("evaluation.json", found.report)
    _write("pictures.json", pictures(bars, plan, found.predictions, found.report, params.seed))
    figures, overfit = found.report["trading"], found.report["overfitting"]
    print(
        f"AUC {found.report['prediction']['auc']:.3f}, net return {figures['net_return']:.2%} out of sample, "
        f"probability of overfitting {overfit['probability']:.0%}"
    )


def train() -> None:
    """The model that is kept, of all that training may see, with the knobs of the best trial: ``model.cbm``,
    ``model.json``."""
    params = _params()
    rows = Examples.read(Path("examples.parquet"))
    _, plan = _market(params)
    evaluation = json.loads(Path("evaluation.json").read_bytes())
    model = ModelParams.model_validate(evaluation["trials"][evaluation["chosen"]]["model"])
    fold = last_fold(rows.at_ns, rows.end_ns, params.folds)
    fitted = training.fit(rows, fold, model, params.seed)
    training.save(fitted, Path("model.cbm"))
    meta = _meta(params, plan, feature_set(params.features.set), rows) | training.summary(fitted)
    _write("model.json", meta | {"usual": usual_ranges(rows.names, rows.x[fold.fit])})
    print(f"{fitted.classifier.tree_count_} trees of {len(fold.fit)} examples")


def _meta(params: Params, plan: Plan, features: FeatureSet, rows: Examples) -> dict[str, Any]:
    """What a session must know of the model, and what it must match."""
    return {
        "instrument": plan.instrument.key,
        "timeframe": plan.timeframe.name,
        "side": "long",
        "take_profit_ppm": plan.take_profit_ppm,
        "stop_loss_ppm": plan.stop_loss_ppm,
        "horizon_bars": plan.horizon_bars,
        "fee_ppm": plan.terms.fees.taker_ppm,
        "slippage_ppm": plan.terms.fixed_slippage_ppm,
        "feature_set": features.name,
        "feature_hash": features.hash,
        "features": list(features.names),
        "train_start_ns": int(rows.at_ns[0]),
        "train_end_ns": int(rows.at_ns[-1]),
        "examples": len(rows),
        "panel": list(params.panel),
        "others": dict(params.features.others),
        "seed": params.seed,
        "thread_count": params.model.thread_count,
        "catboost": metadata.version("catboost"),
    }


def _params() -> Params:
    params = read_params(Path("params.yaml"))
    if params.dataset is None:
        raise UsageError(
            "params.yaml has no dataset: a stage runs in a workspace, not in the project's folder.",
            "Use `pregao train INSTRUMENT TIMEFRAME`, which makes one.",
        )
    return params


def _market(params: Params) -> tuple[Bars, Plan]:
    """The bars that training may see, from the snapshot, and the operation on them."""
    assert params.dataset is not None
    store = Store(Path("snapshot"))
    instrument, timeframe = store.instrument(params.dataset.instrument), Timeframe.parse(params.dataset.timeframe)
    bars = seen_bars(store.bars(instrument, timeframe), params.holdout)
    return bars, params.plan.plan(instrument, timeframe)


def _write(name: str, document: dict[str, Any]) -> None:
    Path(name).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def main(arguments: list[str]) -> int:
    """Run one stage in the current folder; a `PregaoError` is left in ``error.json`` for the caller."""
    keep_quiet()
    stages = dict(zip(STAGES, (features, evaluate, train), strict=True))
    if len(arguments) != 1 or arguments[0] not in stages:
        print(f"usage: python -m pregao.learning.stages {{{','.join(STAGES)}}}", file=sys.stderr)
        return UsageError.exit_status
    try:
        stages[arguments[0]]()
    except PregaoError as error:
        complaint = {"message": error.message, "mend": error.mend, "exit_status": error.exit_status}
        Path(ERROR_FILE).write_text(json.dumps(complaint))
        print(f"ERROR: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
