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
    """The ``top`` features by the size of their weights, largest first, those of equal size in the set's order.

    Args:
        names, row, weights: the features, their values and their SHAP values, shape ``(k,)``.
        usual: of `usual_ranges`, by feature; may lack some.
        formulas: by feature, for those without words.
    """
    order = np.argsort(-np.abs(weights), kind="stable")[:top]
    return tuple(
        Reason(
            names[i],
            float(weights[i]),
            float(row[i]),
            clause(names[i], float(row[i]), usual.get(names[i], ()), formulas.get(names[i], "")),
        )
        for i in order
    )
