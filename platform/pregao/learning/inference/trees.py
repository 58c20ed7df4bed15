"""A CatBoost model as arrays for the compiled step, and the proof that both say the same.

A live bar is one row, and `CatBoost.predict` spends most of its time getting there. What the compiled step covers is
what the platform trains: one output, oblivious trees, features that are numbers. Anything else stays with CatBoost,
and `Trees.of` says why.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import PregaoError
from pregao.learning.inference import kernels

Floats = NDArray[np.float64]


class NotCoveredError(Exception):
    """The compiled step does not cover this model; the message is the reason, a clause for the person."""


def document_of(classifier: Any) -> dict[str, Any]:
    """The model in CatBoost's JSON: borders, trees, scale and bias.

    Raises:
        PregaoError: if CatBoost cannot write this model as JSON, as where features are texts or embeddings.
    """
    from catboost import CatBoostError

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            classifier.save_model(str(path), format="json")
        except CatBoostError as error:
            raise PregaoError(
                f"CatBoost cannot tell what this model computes: {str(error).splitlines()[0].split(': ')[-1]}.",
                "Train it on features that are numbers.",
            ) from error
        document: dict[str, Any] = json.loads(path.read_bytes())
    return document


@dataclass(frozen=True, eq=False)
class Trees:
    """Oblivious trees in flat arrays, see `pregao.learning.inference.kernels`.

    Attributes:
        borders: by column of a row, the borders that its trees ask for, ascending float32.
    """

    high: NDArray[np.bool_]
    column: NDArray[np.int32]
    border: NDArray[np.float32]
    first: NDArray[np.int32]
    leaf: NDArray[np.int32]
    values: Floats
    weights: Floats
    scale: float
    bias: float
    borders: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, document: dict[str, Any], width: int) -> Trees:
        """The trees of CatBoost's JSON, for rows of ``width`` features.

        Raises:
            NotCoveredError: with the reason.
        """
        info = document["features_info"]
        if info.get("categorical_features"):
            raise NotCoveredError("it has features that are categories")
        if "oblivious_trees" not in document:
            raise NotCoveredError("its trees are not oblivious (another grow_policy than SymmetricTree)")
        scale, bias = document["scale_and_bias"]
        if len(bias) != 1:
            raise NotCoveredError(f"it has {len(bias)} outputs")
        features, trees = info["float_features"], document["oblivious_trees"]
        place = [int(feature["flat_feature_index"]) for feature in features]
        if max(place, default=-1) >= width:
            raise NotCoveredError(f"it has {max(place) + 1} features, and rows have {width}")
        if any(len(tree["leaf_values"]) != 1 << len(tree["splits"] or ()) for tree in trees):
            raise NotCoveredError("its leaves hold more than one value")
        splits = [split for tree in trees for split in tree["splits"] or ()]
        if any(split["split_type"] != "FloatFeature" for split in splits):
            raise NotCoveredError("it asks for more than whether a feature is above a border")
        high = np.zeros(width, np.bool_)
        borders = [np.empty(0, np.float32)] * width
        for feature, at in zip(features, place, strict=True):
            high[at] = feature["nan_value_treatment"] == "AsTrue"
            borders[at] = np.array(feature["borders"] or [], np.float32)
        ends = [0, *np.cumsum([len(tree["splits"] or ()) for tree in trees])]
        leaves = [0, *np.cumsum([len(tree["leaf_values"]) for tree in trees])]
        return cls(
            high=high,
            column=np.array([place[split["float_feature_index"]] for split in splits], np.int32),
            border=np.array([split["border"] for split in splits], np.float32),
            first=np.array(ends, np.int32),
            leaf=np.array(leaves, np.int32),
            values=np.array([value for tree in trees for value in tree["leaf_values"]], np.float64),
            weights=np.array([weight for tree in trees for weight in tree.get("leaf_weights") or ()], np.float64),
            scale=float(scale),
            bias=float(bias[0]),
            borders=tuple(borders),
        )

    def raw(self, row: Floats) -> float:
        """The raw value (log-odds, for a classifier) of one row, shape ``(k,)``."""
        return float(
            kernels.raw(
                row, self.high, self.column, self.border, self.first, self.leaf, self.values, self.scale, self.bias
            )
        )

    def raw_batch(self, rows: Floats) -> Floats:
        """The raw values of rows, shape ``(n, k)``; the result ``(n,)``."""
        out = np.empty(len(rows))
        kernels.raw_batch(
            rows, self.high, self.column, self.border, self.first, self.leaf, self.values, self.scale, self.bias, out
        )
        return out

    @property
    def explains(self) -> bool:
        """Whether the model kept the weights of its leaves, which SHAP values need."""
        return len(self.weights) == len(self.values) and bool(self.weights.any())

    def shapley(self, row: Floats) -> Floats:
        """The SHAP values of one row in units of the raw value, shape ``(k,)``; only if `explains`."""
        out = np.zeros(len(row))
        kernels.shapley(
            row, self.high, self.column, self.border, self.first, self.leaf, self.values, self.weights, self.scale, out
        )
        return out


def probing_rows(trees: Trees, count: int, seed: int) -> Floats:
    """Rows that look for a difference: values around the borders, on them, and one step (float32 and float64) beside
    them, missing ones, infinities and the extremes of both types; shape ``(count, k)``."""
    rng = np.random.default_rng(seed)
    tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    ends = np.array([
        np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, tiny / 2, huge, -huge, float(huge) * (1 + 2**-25),
        1e300, -1e300, 5e-324,
    ])  # fmt: skip
    rows = np.empty((count, len(trees.borders)))
    for at, known in enumerate(trees.borders):
        found = known if len(known) else np.zeros(1, np.float32)
        chosen = rng.choice(found, count)
        wide = chosen.astype(np.float64)
        spread = float(np.clip(found, -1e6, 1e6).astype(np.float64).std()) or 1.0
        with np.errstate(over="ignore"):
            kinds = (
                wide + rng.normal(0, spread, count),
                wide,
                np.nextafter(chosen, np.float32(np.inf)).astype(np.float64),
                np.nextafter(chosen, np.float32(-np.inf)).astype(np.float64),
                np.nextafter(wide, np.inf),
                np.nextafter(wide, -np.inf),
                rng.choice(ends, count),
            )
        which = rng.choice(len(kinds), count, p=(0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1))
        rows[:, at] = np.choose(which, kinds)
    return rows


def differences(trees: Trees, classifier: Any, rows: Floats) -> int:
    """How many rows' raw values are not CatBoost's own to the last bit."""
    theirs = np.asarray(classifier.predict(rows, prediction_type="RawFormulaVal"), np.float64)
    return int(np.count_nonzero(trees.raw_batch(rows).view(np.int64) != theirs.view(np.int64)))


def proven(classifier: Any, document: dict[str, Any], width: int, count: int, seed: int = 0) -> Trees:
    """The trees of a model, after comparing them with CatBoost on ``count`` probing rows.

    Raises:
        NotCoveredError: if the compiled step does not cover the model, or a row came out differently.
    """
    trees = Trees.of(document, width)
    different = differences(trees, classifier, probing_rows(trees, count, seed))
    if different:
        raise NotCoveredError(f"{different} of {count} rows came out differently")
    return trees


def raw_values(classifier: Any, rows: Floats) -> Floats:
    """CatBoost's own raw values of many rows, shape ``(n, k)`` to ``(n,)``: faster there, and the same."""
    return np.asarray(classifier.predict(rows, prediction_type="RawFormulaVal"), np.float64)


def chance(raw: float) -> float:
    """The chance that a raw value stands for."""
    return float(kernels.chance(raw))


def chances(raw: Floats) -> Floats:
    """`chance` of many, to the same bits."""
    out = np.empty(len(raw))
    kernels.chances(raw, out)
    return out
