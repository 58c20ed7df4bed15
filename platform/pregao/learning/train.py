"""Training: one CatBoost classifier, the payoffs that turn its probability into money, and the threshold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import PregaoError, UsageError
from pregao.learning.decision import choose_threshold, expected_value
from pregao.learning.folds import Fold, too_few
from pregao.learning.inference.trees import chances, document_of, raw_values
from pregao.learning.labels import Examples
from pregao.learning.params import ModelParams

Floats = NDArray[np.float64]
LEAST_FIT, LEAST_STOP = 200, 50
"""Fewer rows than these, to grow trees and to stop growing them, teach nothing."""
_CHANGING = ("model_guid", "train_finish_time")
"""What CatBoost writes differently each time."""


@dataclass(frozen=True)
class Payoff:
    """Mean net result of the training trades that ended in profit and of the others, as fractions."""

    win: float
    loss: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model with all that a decision needs.

    Attributes:
        classifier: a `catboost.CatBoostClassifier`.
        payoff: from the own rows that grew the trees.
        threshold: least expected value to enter at, from the own rows that stopped the boosting.
        base_rate: share of wins among the own rows that grew the trees.
    """

    classifier: Any
    payoff: Payoff
    threshold: float
    base_rate: float

    def probability(self, x: Floats) -> Floats:
        """The chance of a profitable bracket trade for each row; ``x`` has shape ``(n, k)``, the result ``(n,)``."""
        return chances(raw_values(self.classifier, x))

    def value(self, x: Floats) -> Floats:
        """The expected net result of each row, shape ``(n,)``."""
        return expected_value(self.probability(x), self.payoff.win, self.payoff.loss)


def fit(examples: Examples, fold: Fold, params: ModelParams, seed: int) -> Fitted:
    """Train on ``fold.fit``, stop by ``fold.stop``; ``fold.test`` is not looked at.

    The same rows, params and seed give the same model; ``thread_count`` is part of the params because it is part
    of the result.

    Raises:
        UsageError: if there are too few rows, or all ended alike.
    """
    from catboost import CatBoostClassifier, CatBoostError, Pool

    win, own = examples.win, [rows[examples.own[rows]] for rows in (fold.fit, fold.stop)]
    if len(own[0]) < LEAST_FIT or len(own[1]) < LEAST_STOP:
        raise too_few(int(examples.own.sum()))
    for rows in own:
        if win[rows].all() or not win[rows].any():
            ending = "in profit" if win[rows].all() else "in loss"
            raise UsageError(
                f"All {len(rows)} practice trades of a training window end {ending}: there is nothing to tell apart.",
                "Change the take profit, stop loss or horizon, or ingest more history.",
            )
    classifier = CatBoostClassifier(
        iterations=params.iterations,
        learning_rate=params.learning_rate,
        depth=params.depth,
        l2_leaf_reg=params.l2_leaf_reg,
        early_stopping_rounds=params.early_stopping,
        thread_count=params.thread_count,
        random_seed=seed,
        eval_metric="Logloss",
        allow_writing_files=False,
        verbose=False,
    )
    names = list(examples.names)
    pools = [Pool(examples.x[rows], win[rows].astype(np.int8), feature_names=names) for rows in (fold.fit, fold.stop)]
    try:
        classifier.fit(pools[0], eval_set=pools[1])
    except CatBoostError as error:
        raise PregaoError(f"CatBoost could not train: {str(error).splitlines()[0]}") from error
    net, won = examples.net[own[0]], win[own[0]]
    payoff = Payoff(float(net[won].mean()), float(net[~won].mean()))
    chance = chances(raw_values(classifier, examples.x[own[1]]))
    threshold = choose_threshold(expected_value(chance, payoff.win, payoff.loss), examples.net[own[1]])
    return Fitted(classifier, payoff, threshold, float(won.mean()))


def save(fitted: Fitted, path: Path) -> None:
    """Write the classifier in CatBoost's own format, what changes at each training left blank: equal models give
    equal files."""
    metadata = fitted.classifier.get_metadata()
    for key in _CHANGING:
        metadata[key] = ""
    fitted.classifier.save_model(str(path))


def digest(classifier: Any) -> str:
    """SHA-256 of what a model computes, see `digest_of`."""
    return digest_of(document_of(classifier))


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of what a model in CatBoost's JSON computes: its trees, borders, feature names, scale and bias.

    CatBoost's notes about the training (time, identifier, options, which it reformats when a file is loaded) are
    left out, so the digest survives saving and loading.
    """
    computing = {key: value for key, value in document.items() if key != "model_info"}
    return hashlib.sha256(json.dumps(computing, sort_keys=True).encode()).hexdigest()


def summary(fitted: Fitted) -> dict[str, Any]:
    """What to know of a fitted model, as JSON: payoff, threshold, base rate, digest, trees, importance by feature."""
    importance = fitted.classifier.get_feature_importance()
    ranked = sorted(zip(fitted.classifier.feature_names_, importance, strict=True), key=lambda pair: -pair[1])
    return {
        "payoff": asdict(fitted.payoff),
        "threshold": fitted.threshold,
        "base_rate": fitted.base_rate,
        "digest": digest(fitted.classifier),
        "trees": int(fitted.classifier.tree_count_),
        "importance": {name: round(float(weight), 6) for name, weight in ranked},
    }
