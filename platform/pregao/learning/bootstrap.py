"""Is one series of returns better than another, bar for bar? The paired stationary bootstrap.

D. N. Politis, J. P. Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89 (1994) 428:
blocks of geometrically distributed length from anywhere in the series, wrapped around its end. Both series are drawn at
the same bars, so what moves both cancels out; the bars of a trade stay together, so their dependence is kept.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_AT_ONCE = 1_000_000
"""Drawn rows held in memory."""


def draws(n: int, mean_block: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers of ``count`` resampled series, shape ``(count, n)``: a new block begins at any row with a chance of
    ``1 / mean_block``, and wraps around."""
    starts = rng.integers(0, n, (count, n))
    begins = rng.random((count, n)) < 1.0 / mean_block
    begins[:, 0] = True
    rows = np.arange(n)
    block = np.maximum.accumulate(np.where(begins, rows, 0), axis=1)
    found: NDArray[np.int64] = (np.take_along_axis(starts, block, axis=1) + rows - block) % n
    return found


def sharpe(returns: Floats) -> Floats:
    """Mean over standard deviation along the last axis, per bar; 0 where the returns do not vary."""
    spread = np.asarray(returns.std(axis=-1, ddof=1))
    mean = np.asarray(returns.mean(axis=-1))
    found: Floats = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    return found


def better(one: Floats, other: Floats, mean_block: float, count: int, seed: int) -> float:
    """How likely the Sharpe ratio of ``one`` would exceed that of ``other`` by so much if it were no better.

    The difference of the resampled Sharpe ratios, centred on the observed one, is what chance alone would show:
    ``p = (1 + draws with (d* - d) >= d) / (1 + draws)``. Below one half only if the observed difference is positive.

    Args:
        one, other: returns of the same bars, shape ``(n,)``.
        mean_block: bars of a block on average, at least 1.
        count: how many draws.

    Returns:
        The one-sided p-value; 1 where both are the same or there are fewer than three bars.
    """
    n = len(one)
    if n < 3 or np.array_equal(one, other):
        return 1.0
    observed = float(sharpe(one) - sharpe(other))
    rng = np.random.default_rng(seed)
    at_least, left = 0, count
    while left:
        part = min(left, max(1, _AT_ONCE // n))
        rows = draws(n, mean_block, part, rng)
        resampled = sharpe(one[rows]) - sharpe(other[rows])
        at_least += int(np.sum(resampled - observed >= observed))
        left -= part
    return (1 + at_least) / (1 + count)


def annual(sharpe_per_bar: float, per_year: float) -> float:
    """A Sharpe ratio per bar as one per year."""
    return sharpe_per_bar * math.sqrt(per_year)
