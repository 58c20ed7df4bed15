"""The reasons of a decision: SHAP values, ranked, and told in words by what was usual among the rows learnt from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pregao.features.words import clause
from pregao.strategies.contract import Reason

Floats = NDArray[np.float64]
_PERCENTILES = (5, 25, 75, 95)


def usual_ranges(names: Sequence[str], x: Floats) -> dict[str, list[float | None]]:
    """The 5th, 25th, 75th and 95th percentile of each feature, rows of shape ``(n, k)``; None where all are missing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        bounds = np.nanpercentile(x, _PERCENTILES, axis=0)
    return {
        name: [float(bound) if np.isfinite(bound) else None for bound in bounds[:, i]] for i, name in enumerate(names)
    }


def ranked(
    names: Sequence[str],
    row: Floats,
    weights: Floats,
    top: int,
    usual: Mapping[str, Sequence[float | None]],
    formulas: Mapping[str, str],
) -> tuple[Reason, ...]:
    """The ``top`` reasons by the size of their weights, largest first, those of equal size in the set's order.

    Features that say the same in the same words (the sine and the cosine of the time of the week) are one reason: its
    weight is the sum of theirs, as SHAP values add up; its name and value are those of the one that weighs most.

    Args:
        names, row, weights: the features, their values and their SHAP values, shape ``(k,)``.
        usual: of `usual_ranges`, by feature; may lack some.
        formulas: by feature, for those without words.
    """
    found: dict[str, Reason] = {}
    for i in np.argsort(-np.abs(weights), kind="stable"):
        name, weight, value = names[i], float(weights[i]), float(row[i])
        words = clause(name, value, usual.get(name, ()), formulas.get(name, ""))
        known = found.get(words)
        found[words] = known._replace(weight=known.weight + weight) if known else Reason(name, weight, value, words)
    return tuple(sorted(found.values(), key=lambda reason: -abs(reason.weight))[:top])


def weighed(names: Sequence[str], weights: Floats, top: int) -> tuple[tuple[str, float], ...]:
    """The ``top`` features by the size of their weights, each by itself: ``(name, weight)``, ordered as `ranked`."""
    return tuple((names[i], float(weights[i])) for i in np.argsort(-np.abs(weights), kind="stable")[:top])
