"""The chance that an entry would pay, read from how far a policy leans towards it.

A policy wants a stance and names no chance. Which chance a leaning stands for is learnt from bars that the policy has
not learnt from: a logistic curve of one slope (J. C. Platt, "Probabilistic Outputs for Support Vector Machines and
Comparisons to Regularized Likelihood Methods", in *Advances in Large Margin Classifiers*, 1999). It decides nothing:
the policy trades by its stance. It makes what the policy says comparable with what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_FARTHEST = 20.0
"""A leaning is looked at within this many units of log odds."""
_RIDGE = 1e-3
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Chance:
    """``1 / (1 + exp(-(slope * leaning + intercept)))``."""

    slope: float
    intercept: float

    def of(self, leaning: Floats) -> Floats:
        """For leanings in log odds, of any shape."""
        odds = self.slope * np.clip(leaning, -_FARTHEST, _FARTHEST) + self.intercept
        return np.asarray(1 / (1 + np.exp(-odds)), np.float64)


def fitted(leaning: Floats, win: NDArray[np.bool_]) -> Chance:
    """The curve of the greatest likelihood, its slope never below 0: what leans the wrong way has told nothing.

    Targets are drawn in from 0 and 1 as Platt does, ``(wins + 1) / (wins + 2)`` and ``1 / (losses + 2)``.

    Args:
        leaning: log odds of the stance, shape ``(n,)``.
        win: whether an entry there ended in profit, shape ``(n,)``.
    """
    wins = int(win.sum())
    target = np.where(win, (wins + 1) / (wins + 2), 1 / (len(win) - wins + 2))
    rate = float(target.mean()) if len(target) else 0.5
    flat = Chance(0.0, float(np.log(rate / (1 - rate))))
    x = np.clip(leaning, -_FARTHEST, _FARTHEST)
    columns = np.stack([x, np.ones(len(x))], axis=1)
    weights = np.array([0.0, flat.intercept])
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))
        slope = columns.T @ (target - chance) - _RIDGE * weights
        bend = (columns * (chance * (1 - chance))[:, None]).T @ columns + _RIDGE * np.eye(2)
        step = np.linalg.solve(bend, slope)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-10:
            break
    found = Chance(float(weights[0]), float(weights[1]))
    return found if found.slope > 0 and np.isfinite(weights).all() else flat
