"""From a probability to a decision: one function for the evaluation and for the live strategy."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Number = TypeVar("Number", float, Floats)

_SHARES = np.arange(0.50, 0.985, 0.01)
_LEAST_ROWS = 20


def expected_value(probability: Number, win: float, loss: float) -> Number:
    """Expected net result of a bracket trade, as a fraction of the money put in.

    ``probability * win + (1 - probability) * loss``, where ``win`` and ``loss`` are the mean net results of the
    training trades that ended in profit and of those that did not (``loss`` is negative).
    """
    return probability * win + (1.0 - probability) * loss


def enters(value: Number, threshold: float) -> bool | NDArray[np.bool_]:
    """Whether to open a trade of this expected value; for arrays, shape ``(n,)``, one by one."""
    return value >= threshold


def choose_threshold(value: Floats, net: Floats) -> float:
    """The least expected value worth entering at, from rows that grew no tree.

    Of the quantiles 50 % to 98 % of ``value``, never below 0, the one whose rows above it have the highest
    ``mean(net) * sqrt(count)``: what a trade brought, by how surely. Where none would have earned anything, the
    highest value seen, or 0: the model then enters only if it is as sure as it ever was.

    Args:
        value: expected values, shape ``(n,)``.
        net: what came of the same rows, shape ``(n,)``.
    """
    best, chosen = 0.0, max(float(np.max(value)), 0.0)
    for candidate in np.unique(np.maximum(np.quantile(value, _SHARES), 0.0)):
        above = net[enters(value, float(candidate))]
        score = float(above.mean()) * len(above) ** 0.5 if len(above) >= _LEAST_ROWS else 0.0
        if score > best:
            best, chosen = score, float(candidate)
    return chosen
