"""Lost skill: the rank correlation of expected value and result, cumulated over all that came since the training.

One window says little of a rank correlation: outcomes overlap, so hundreds of rows are worth a few dozen. What is lost
is lost in each window that follows, so the shortfalls are added up, E. S. Page's CUSUM ("Continuous Inspection
Schemes", Biometrika 41 (1954) 100): with ``s`` the product of the two ranks of a row (each its place among the
reference's, centred, of variance 1 there, so that the mean of ``s`` over the reference is its rank correlation ``r``),

    C = max(0, C + r / 2 - s),   from 0 at the first row.

It stays near 0 while the correlation is above ``r / 2`` and climbs by about ``r / 2`` a row once there is none.

The bound is what C reaches by chance. Pairs of series are drawn from the reference in blocks, wrapped around its end,
which keeps how rows remember each other: one to learn ``r`` from, since that is not known exactly either, and one that
goes on in the same way. The bound is the ``1 - alarms`` quantile of the largest C within a month of the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 400
WARM = 6
"""Months that have gone by, in a drawn series, before the one that counts: C has settled by then."""


@dataclass(frozen=True, eq=False)
class LostSkill:
    """What is known of a reference.

    Attributes:
        correlation: ``r``; without one above 0 there is nothing to lose, and ``high`` is None.
        high: the bound of C.
    """

    value: Floats
    net: Floats
    correlation: float
    high: float | None

    @classmethod
    def learnt(cls, value: Floats, net: Floats, month: int, block: int, alarms: float, seed: int = 0) -> LostSkill:
        """Learn from a reference.

        Args:
            value, net: expected value and net result, in order of time, shape ``(n,)``; NaN where it is not known.
            month: rows of a month.
            block: rows of a block: more than outcomes overlap and than the features remember.
            alarms: chance of a false alarm in a month.
        """
        known = ~np.isnan(net)
        value, net = value[known], net[known]
        if len(net) < 2 * block or np.ptp(value) == 0 or np.ptp(net) == 0:
            return cls(value, net, math.nan, None)
        s = _products(value, net, value, net)
        r = float(s.mean())
        if r <= 0:
            return cls(value, net, r, None)
        rng = np.random.default_rng(seed)
        most = np.zeros(DRAWS)  # a reference that shows no skill by chance never alarms
        for i in range(DRAWS):
            own = float(_drawn(s, len(s), block, rng).mean())
            if own > 0:
                most[i] = cumulated(_drawn(s, (WARM + 1) * month, block, rng), own)[-month:].max()
        return cls(value, net, r, float(np.quantile(most, 1 - alarms)))

    def of(self, value: Floats, net: Floats) -> float:
        """C after these rows, all since the training; NaN where nothing is known."""
        known = ~np.isnan(net)
        if self.high is None or not known.any():
            return math.nan
        return float(cumulated(_products(value[known], net[known], self.value, self.net), self.correlation)[-1])


def cumulated(s: Floats, correlation: float) -> Floats:
    """C at each row, shape ``(n,)``."""
    sums = np.cumsum(correlation / 2 - s)
    found: Floats = sums - np.minimum(np.minimum.accumulate(sums), 0.0)
    return found


def _products(value: Floats, net: Floats, all_values: Floats, all_nets: Floats) -> Floats:
    found: Floats = _place(value, all_values) * _place(net, all_nets)
    return found


def _place(values: Floats, among: Floats) -> Floats:
    """The rank of each among others, as a part of them, equal ones in the middle; mean 0 and variance 1 over those."""
    ordered = np.sort(among)

    def rank(these: Floats) -> Floats:
        below, upto = (np.searchsorted(ordered, these, side) for side in ("left", "right"))
        return np.asarray((below + upto) / 2 / len(ordered) - 0.5, np.float64)

    own = rank(among)
    found: Floats = (rank(values) - own.mean()) / own.std()
    return found


def _drawn(s: Floats, count: int, block: int, rng: np.random.Generator) -> Floats:
    """``count`` rows in blocks from anywhere, wrapped around the end."""
    starts = rng.integers(0, len(s), math.ceil(count / block))
    rows = (starts[:, None] + np.arange(block)) % len(s)
    drawn: Floats = s[rows.ravel()[:count]]
    return drawn
