"""Exponential averages over a whole history at once, with the very bits that adding bar by bar gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled


@compiled
def crosses(closes: NDArray[np.float64], fast: int, slow: int, warmup: int) -> NDArray[np.int8]:
    """Where the average with span ``fast`` crosses the one with span ``slow``, from bar ``warmup`` on.

    Args:
        closes: prices, shape ``(n,)``; both averages begin with the first.

    Returns:
        Shape ``(n,)``: 1 where it comes above, 2 where it falls to the slow one or below, else 0.
    """
    said = np.zeros(len(closes), np.int8)
    quick = slack = closes[0]
    above = False
    for i in range(1, len(closes)):
        quick += 2 / (fast + 1) * (closes[i] - quick)
        slack += 2 / (slow + 1) * (closes[i] - slack)
        was, above = above, quick > slack
        if i >= warmup and above != was:
            said[i] = 1 if above else 2
    return said
