"""A trained model as strategies see it: a probability and its reasons, checked against what made it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import NotFoundError, PregaoError
from pregao.features.sets import feature_set
from pregao.learning import reasons
from pregao.learning.inference.trees import NotCoveredError, Trees, chance, chances, document_of, proven, raw_values
from pregao.learning.train import digest_of
from pregao.strategies.contract import Reason

ROWS = 100_000
"""Probing rows on which a model's compiled trees must equal CatBoost, to the last bit."""
_PROVEN: set[str] = set()
"""Digests of the models that this process has compared: a model is loaded by many sessions, and compared once."""
COMPILED = "compiled"
NEEDED = ("features", "feature_set", "feature_hash", "digest", "threshold", "payoff", "instrument", "timeframe")
"""What a model's meta must tell before it can be used."""
_LOG = logging.getLogger("pregao.model")
Floats = NDArray[np.float64]


class UnusableError(PregaoError):
    """A registered model that this Pregão cannot use; training again mends it."""


def inference_of(classifier: Any, width: int) -> str:
    """How a model will be evaluated live: `COMPILED` if its trees equal CatBoost on `ROWS` rows of
    ``width`` features, otherwise why CatBoost itself has to do it."""
    try:
        proven(classifier, document_of(classifier), width, ROWS, seed=1)
    except NotCoveredError as reason:
        return f"CatBoost, since {reason}"
    return COMPILED


class LoadedModel:
    """A registered model, ready to use; implements `pregao.strategies.contract.Model`.

    One row goes through the compiled trees, many go through CatBoost; both give the same bits, which each
    process proves on `ROWS` rows before it uses the model.

    Args:
        name: the registered name.
        version: its number, as text.
        meta: what the model was trained for, see `pregao.learning.stages`, with ``data_version``.
        classifier: a `catboost.CatBoostClassifier`.

    Attributes:
        inference: how single rows are evaluated: `COMPILED`, or why CatBoost does it, some ten times slower.

    Raises:
        UnusableError: if ``meta`` lacks something, this platform's features are not those that the model was trained
            on, or the classifier is not the one that ``meta`` describes.
    """

    def __init__(self, name: str, version: str, meta: dict[str, Any], classifier: Any) -> None:
        lacking = [key for key in NEEDED if key not in meta]
        if lacking:
            raise UnusableError(
                f"Version {version} of {name} was not registered by this Pregão: it does not tell its "
                f"{', '.join(lacking)}.",
                "Train one with `pregao retrain`.",
            )
        self.name = name
        self.version = version
        self.meta = meta
        self.inference = COMPILED
        self._classifier = classifier
        self._names = tuple(meta["features"])
        self._width = len(self._names)
        try:
            features = feature_set(meta["feature_set"])
            same = features.hash == meta["feature_hash"]
        except NotFoundError:
            same = False
        if not same:
            raise UnusableError(
                f"Version {version} of {name} was trained on features {meta['feature_set']!r} of another definition "
                f"({meta['feature_hash'][:12]}) than this Pregão makes.",
                "Train it again with `pregao retrain`.",
            )
        document = document_of(classifier)
        if digest_of(document) != meta["digest"] or classifier.feature_names_ != list(self._names):
            raise UnusableError(
                f"The stored model of version {version} of {name} is not the one that was registered.",
                "Train it again with `pregao retrain`.",
            )
        self._formulas = features.formulas
        self._trees: Trees | None = None
        try:
            known = meta["digest"] in _PROVEN
            self._trees = Trees.of(document, self._width) if known else proven(classifier, document, self._width, ROWS)
            _PROVEN.add(meta["digest"])
        except NotCoveredError as reason:
            self.inference = f"CatBoost, since {reason}"
            _LOG.warning("Version %s of %s is evaluated by %s.", version, name, self.inference)

    def probability(self, features: Floats) -> float:
        """The chance of a profitable bracket trade opened now; ``features`` has shape ``(k,)``."""
        row = self._row(features)
        if self._trees is not None:
            return chance(self._trees.raw(row))
        return chance(float(raw_values(self._classifier, row.reshape(1, -1))[0]))

    def probabilities(self, rows: Floats) -> Floats:
        """`probability` of many rows, shape ``(n, k)``; the result has shape ``(n,)``."""
        return chances(raw_values(self._classifier, rows))

    def explain(self, features: Floats, top: int = 3) -> tuple[tuple[str, float], ...]:
        """The features that weighed most, largest first: ``(name, contribution)``, SHAP values in log-odds."""
        return reasons.weighed(self._names, self._shapley(self._row(features)), top)

    def reasons(self, features: Floats, top: int = 3) -> tuple[Reason, ...]:
        """What weighed most, largest first, in words; features that say the same are one reason."""
        row = self._row(features)
        weights = self._shapley(row)
        return reasons.ranked(self._names, row, weights, top, self.meta.get("usual", {}), self._formulas)

    def _row(self, features: Floats) -> Floats:
        """An own copy of the layout that the compiled step was compiled for."""
        row = np.array(features, np.float64)
        if row.shape != (self._width,):
            raise PregaoError(
                f"Version {self.version} of {self.name} takes {self._width} features, and was given "
                f"{'x'.join(map(str, row.shape))}.",
                f"Give it those of the set {self.meta['feature_set']!r}.",
            )
        return row

    def _shapley(self, row: Floats) -> Floats:
        if self._trees is not None and self._trees.explains:
            return self._trees.shapley(row)
        from catboost import Pool

        pool = Pool(row.reshape(1, -1), feature_names=list(self._names))
        # The last value is the expected value of the model, not a feature's.
        weights: Floats = self._classifier.get_feature_importance(pool, type="ShapValues")[0, :-1]
        return weights
