"""A trained model as strategies see it: a probability and its reasons, checked against what made it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import NotFoundError, PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.sets import feature_set
from pregao.learning.train import digest

Floats = NDArray[np.float64]


def model_name(instrument: Instrument, timeframe: Timeframe) -> str:
    """The name under which the models of a series are registered: ``pregao.<source>.<venue>.<symbol>.<timeframe>``.

    Source and venue are in it because the same symbol at two venues is two markets.
    """
    return f"pregao.{instrument.key.replace('/', '.')}.{timeframe}"


class LoadedModel:
    """A registered model, ready to use; implements `pregao.strategies.contract.Model`.

    Args:
        name: the registered name.
        version: its number, as text.
        meta: what the model was trained for, see `pregao.learning.stages`, with ``data_version``.
        classifier: a `catboost.CatBoostClassifier`.

    Raises:
        PregaoError: if this platform's features are not those that the model was trained on, or the classifier is
            not the one that ``meta`` describes.
    """

    def __init__(self, name: str, version: str, meta: dict[str, Any], classifier: Any) -> None:
        self.name = name
        self.version = version
        self.meta = meta
        self._classifier = classifier
        self._names = tuple(meta["features"])
        try:
            same = feature_set(meta["feature_set"]).hash == meta["feature_hash"]
        except NotFoundError:
            same = False
        if not same:
            raise PregaoError(
                f"Version {version} of {name} was trained on features {meta['feature_set']!r} of another definition "
                f"({meta['feature_hash'][:12]}) than this Pregão makes.",
                "Train it again with `pregao retrain`.",
            )
        if digest(classifier) != meta["digest"]:
            raise PregaoError(
                f"The stored model of version {version} of {name} is not the one that was registered.",
                "Train it again with `pregao retrain`.",
            )

    def probability(self, features: Floats) -> float:
        """The chance of a profitable bracket trade opened now; ``features`` has shape ``(k,)``."""
        return float(self._classifier.predict_proba(features.reshape(1, -1))[0, 1])

    def explain(self, features: Floats, top: int = 3) -> tuple[tuple[str, float], ...]:
        """The features that weighed most, largest first: ``(name, contribution)``, SHAP values in log-odds."""
        from catboost import Pool

        row = Pool(features.reshape(1, -1), feature_names=list(self._names))
        # The last value is the expected value of the model, not a feature's.
        weights = self._classifier.get_feature_importance(row, type="ShapValues")[0, :-1]
        order = np.argsort(-np.abs(weights), kind="stable")[:top]
        return tuple((self._names[i], float(weights[i])) for i in order)
