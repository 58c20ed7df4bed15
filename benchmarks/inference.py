"""A live bar with all that decides in it: every feature and a model of 500 trees, as a session does it.

Beside it, what one would write without the platform: keep 400 bars, recompute the features over them with pandas at
each close, and call ``predict`` on the last row. Values come before times: pandas' features are ours (but for those
that pandas has no rolling operation for, which it is given for nothing), the compiled trees' raw values are CatBoost's
own to the last bit, on the bars and on 100,000 probing rows, and the SHAP values are too, to 1e-12. Prints medians and
99th percentiles of wall time in us.

    python benchmarks/inference.py [--bars 1000]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier, Pool
from features import HOURS, by_pandas, table, walk

from pregao.features import recursive
from pregao.features.sets import feature_set
from pregao.learning.inference.trees import Trees, differences, document_of, probing_rows
from pregao.learning.model import COMPILED, LoadedModel
from pregao.learning.train import digest

TREES, DEPTH, WINDOW, PEER = 500, 6, 400, 60


def quantiles(ns: list[int]) -> dict[str, float]:
    """Median and 99th percentile, in us."""
    return {"median_us": round(float(np.median(ns)) / 1e3, 2), "p99_us": round(float(np.percentile(ns, 99)) / 1e3, 2)}


def timed(work: Callable[[], object]) -> int:
    """Wall time of one call, ns."""
    start = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - start


def main() -> None:
    """Compare, then time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bars", type=int, default=1_000, help="live bars to time")
    arguments = parser.parse_args()
    features = feature_set("full")
    bars = walk(20_000 + arguments.bars)
    x = features.batch(bars, hours=HOURS)
    names = list(features.names)
    ahead = np.r_[bars.close[16:], np.full(16, bars.close[-1])] > bars.close
    classifier = CatBoostClassifier(
        iterations=TREES, depth=DEPTH, learning_rate=0.05, thread_count=2, random_seed=7, allow_writing_files=False,
        verbose=False,
    )  # fmt: skip
    fit = slice(features.warmup, 20_000)
    classifier.fit(Pool(x[fit], ahead[fit].astype(np.int8), feature_names=names))
    meta = {
        "features": names, "feature_set": features.name, "feature_hash": features.hash, "digest": digest(classifier),
        "threshold": 0.0, "payoff": {"win": 0.01, "loss": -0.01}, "instrument": bars.instrument.key, "timeframe": "1m",
    }  # fmt: skip
    model = LoadedModel("benchmark", "1", meta, classifier)
    assert model.inference == COMPILED, model.inference

    trees = Trees.of(document_of(classifier), len(names))
    assert differences(trees, classifier, probing_rows(trees, 100_000, 5)) == 0
    live = x[20_000:]
    assert differences(trees, classifier, live) == 0
    shap = classifier.get_feature_importance(Pool(live[:100], feature_names=names), type="ShapValues")[:, :-1]
    np.testing.assert_allclose([trees.shapley(row) for row in live[:100]], shap, rtol=0, atol=1e-12)

    stream = features.stream(bars.timeframe.seconds, HOURS)
    stream.extend(bars[:20_000])
    arrived = [bars.bar(20_000 + i) for i in range(arguments.bars)]
    whole, made, asked = [], [], []
    said = np.empty(len(arrived))
    for i, bar in enumerate(arrived):
        start = time.perf_counter_ns()
        row = stream.update(bar)
        between = time.perf_counter_ns()
        said[i] = model.probability(row)
        end = time.perf_counter_ns()
        whole.append(end - start)
        made.append(between - start)
        asked.append(end - between)
    assert said.tobytes() == model.probabilities(live).tobytes()

    size = np.array(
        [np.median(abs(column[np.isfinite(column)])) if np.isfinite(column).any() else 1.0 for column in x.T]
    )
    place = {name: i for i, name in enumerate(names)}

    def recompute(at: int) -> tuple[np.ndarray, float]:
        window = bars[20_000 + at - WINDOW + 1 : 20_000 + at + 1]
        latest = live[at].copy()
        for name, column in by_pandas(table(window), window.close_ns):
            if name in place:
                latest[place[name]] = column.iloc[-1] if isinstance(column, pd.Series) else column[-1]
        return latest, float(classifier.predict_proba(latest.reshape(1, -1))[0, 1])

    recomputed, predicted, explained, theirs = [], [], [], []
    for at in np.linspace(0, len(arrived) - 1, PEER).astype(int):
        row = live[at]
        latest, _ = recompute(at)
        for name, i in place.items():
            near = 5e-3 if name in recursive.FORMULAS else 2e-5
            same = np.isclose(latest[i], row[i], rtol=near, atol=near * size[i], equal_nan=True)
            assert same, (name, latest[i], row[i])
        recomputed.append(timed(lambda at=at: recompute(at)))
        predicted.append(timed(lambda row=row: classifier.predict_proba(row.reshape(1, -1))))
        explained.append(timed(lambda row=row: model.reasons(row)))
        pool = Pool(row.reshape(1, -1), feature_names=names)
        theirs.append(timed(lambda pool=pool: classifier.get_feature_importance(pool, type="ShapValues")))
    bar, rival = quantiles(whole), quantiles(recomputed)
    print(json.dumps({
        "set": features.name, "features": len(names), "trees": TREES, "depth": DEPTH,
        "bar": bar, "of_it_features": quantiles(made), "of_it_model": quantiles(asked),
        "pandas_window_and_predict": rival, "predict_of_one_row": quantiles(predicted),
        "reasons": quantiles(explained), "catboosts_shap_of_one_row": quantiles(theirs),
        "pandas_over_bar": round(rival["median_us"] / bar["median_us"], 1),
        "predict_over_model": round(quantiles(predicted)["median_us"] / quantiles(asked)["median_us"], 1),
        "shap_over_reasons": round(quantiles(theirs)["median_us"] / quantiles(explained)["median_us"], 1),
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
