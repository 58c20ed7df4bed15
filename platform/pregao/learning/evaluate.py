"""The walk-forward: models that learn from the past alone, and what they say of the blocks that follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pregao.learning.decision import enters
from pregao.learning.folds import walk_forward
from pregao.learning.labels import Examples
from pregao.learning.params import Params
from pregao.learning.report import statistics
from pregao.learning.train import fit


def walk(
    examples: Examples, params: Params, progress: Callable[[str], None] | None = None
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Train a model for each fold and ask it about its test block.

    Each fold is trained just as the model that is kept (`pregao.learning.train.fit`): own early-stopping window, own
    payoffs, own threshold, all from before the block.

    Returns:
        The out-of-sample predictions, one row for each bar from the first test block on, in order: ``at_ns``,
        ``fold``, ``probability``, ``expected_value``, ``threshold``, ``enter``, and what came of a trade opened
        there, ``net`` (NaN where it never ended). And a summary of each fold.
    """
    parts: list[pd.DataFrame] = []
    summaries: list[dict[str, Any]] = []
    folds = walk_forward(examples.at_ns, examples.end_ns, params.folds)
    for number, fold in enumerate(folds, 1):
        if progress is not None:
            progress(f"fold {number} of {len(folds)}")
        fitted = fit(examples, fold, params.model, params.seed)
        test = fold.test[examples.own[fold.test]]
        x = examples.x[test]
        value = fitted.value(x)
        part = pd.DataFrame({
            "at_ns": examples.at_ns[test],
            "fold": np.full(len(test), number, np.int64),
            "probability": fitted.probability(x),
            "expected_value": value,
            "threshold": fitted.threshold,
            "enter": enters(value, fitted.threshold),
            "net": examples.net[test],
        })  # fmt: skip
        parts.append(part)
        summaries.append({
            "fold": number,
            "start_ns": int(part["at_ns"].iloc[0]),
            "end_ns": int(part["at_ns"].iloc[-1]),
            "fit_rows": len(fold.fit),
            "stop_rows": len(fold.stop),
            "test_rows": len(test),
            "trees": int(fitted.classifier.tree_count_),
            "threshold": fitted.threshold,
            "entries": int(part["enter"].sum()),
            **statistics(part),
        })  # fmt: skip
    return pd.concat(parts, ignore_index=True), summaries
