"""What training costs beside CatBoost's own fits, and how fast labels are made.

- ``training``: a series from bars to the judged report and the kept model, as the pipeline's stages do it (features,
  labels, walk-forward, combinatorial folds, report with its random entries, the last fit). Beside it the same fits
  alone, on the same rows, each once: the models are compared before the times. CPU seconds, so that another program
  beside it changes little.
- ``labels``: the engine's triple barrier over a million bars, one trade opened at each. Some of them are compared with
  a backtest that enters at that bar alone.

    python benchmarks/training.py [--bars 60000] [--labels 1000000]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoostClassifier
from features import walk

from pregao.features.sets import feature_set
from pregao.learning.assess import assess
from pregao.learning.folds import last_fold
from pregao.learning.labels import examples
from pregao.learning.params import read_params
from pregao.learning.train import digest, fit, summary
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.outcomes import bracket_outcomes

ROOT = Path(__file__).parents[1]


def training(bars: int) -> dict[str, Any]:
    """The whole of it beside its fits."""
    params = read_params(ROOT / "params.yaml")
    series = walk(bars)
    plan = params.plan.plan(series.instrument, series.timeframe)
    features = feature_set(params.features.set)
    examples(series[:2_000], plan, features)
    asked: list[tuple[dict[str, Any], Any, Any]] = []
    real = CatBoostClassifier.fit

    def remembered(self: Any, pool: Any, *arguments: Any, **options: Any) -> Any:
        done = real(self, pool, *arguments, **options)
        asked.append((self.get_params(), pool, options["eval_set"]))
        return done

    CatBoostClassifier.fit = remembered
    start = time.process_time()
    rows = examples(series, plan, features)
    found = assess(series, plan, rows, params)
    fitted = fit(rows, last_fold(rows.at_ns, rows.end_ns, params.folds), found.model, params.seed)
    summary(fitted)
    whole = time.process_time() - start
    CatBoostClassifier.fit = real
    last = digest(fitted.classifier)
    bare = []
    for options, pool, stop in asked:
        x, y = pool.get_features(), pool.get_label()
        window = (stop.get_features(), stop.get_label())
        model = CatBoostClassifier(**options)
        start = time.process_time()
        model.fit(x, y, eval_set=window)
        bare.append(time.process_time() - start)
    model.set_feature_names(list(rows.names))
    assert digest(model) == last, "the bare fit gave another model"
    fits = sum(bare)
    return {
        "bars": bars, "rows": len(rows), "features": len(features.names), "fits": len(asked),
        "whole_cpu_seconds": round(whole, 2), "fits_cpu_seconds": round(fits, 2),
        "over_the_fits_percent": round(100 * (whole / fits - 1), 1),
    }  # fmt: skip


def labels(bars: int) -> dict[str, Any]:
    """The triple barrier over many bars."""
    params = read_params(ROOT / "params.yaml")
    series = walk(bars)
    plan = params.plan.plan(series.instrument, series.timeframe)
    found = bracket_outcomes(series, plan)
    compared = 0
    for at in np.random.default_rng(3).integers(0, bars - 5_000, 200):
        part = series[at : at + plan.horizon_bars + 3]
        signals = np.zeros(len(part), np.int8)
        signals[0] = layout.ENTER_LONG
        trades = run_signals(part, plan, signals).trades
        if len(trades):
            compared += 1
            assert abs(float(trades["net_return"].iloc[0]) - float(found.net[at])) < 1e-12, at
    assert compared > 100
    took = []
    for _ in range(3):
        start = time.process_time()
        bracket_outcomes(series, plan)
        took.append(time.process_time() - start)
    return {"bars": bars, "ended": int(np.isfinite(found.net).sum()), "cpu_seconds": round(min(took), 3)}


def main() -> None:
    """Compare, then time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bars", type=int, default=60_000)
    parser.add_argument("--labels", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print(json.dumps({"labels": labels(arguments.labels), "training": training(arguments.bars)}, indent=2))


if __name__ == "__main__":
    main()
