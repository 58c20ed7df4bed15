"""A window kept in order, for quantiles and ranks: at each bar the oldest value makes way for the newest.

The order lies between two guards, minus and plus infinity, and is written anew from the one of the bar before, in a
second place: element by element without a choice of way, which a processor does four at a time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import inner

Floats = NDArray[np.float64]
_at = np.uint64
"""An index that is never negative, so that it need not be looked at."""


def size(count: int) -> int:
    """Places of one order of ``count`` values, its guards included."""
    return count + 2


@inner
def clear(state: Floats, at: int, count: int) -> None:
    """An order in which each value is missing: infinite."""
    state[at] = -math.inf
    for k in range(1, count + 2):
        state[at + k] = math.inf


@inner
def replace(state: Floats, at: int, to: int, count: int, old: float, new: float) -> float:
    """Write the order at ``at`` to ``to``, without ``old`` and with ``new``; infinity is the old one that is missing.

    Returns the rank of ``new``, from 1 on; equal ones share theirs (pandas: ``average``).
    """
    less = equal = 0
    for k in range(count):
        before, here, after = state[_at(at + k)], state[_at(at + k + 1)], state[_at(at + k + 2)]
        lower = before if before < old else here  # as if `old` were not there
        upper = here if here < old else after
        upper = upper if upper < new else new
        value = lower if lower > upper else upper
        state[_at(to + k + 1)] = value
        less += value < new
        equal += value == new
    return less + (equal + 1) / 2.0


@inner
def quantile(state: Floats, at: int, count: int, part: float) -> float:
    """The quantile of an order of ``count`` values, interpolated between neighbours (pandas: ``linear``)."""
    rank = part * (count - 1)
    below = int(rank)
    low, high = state[at + 1 + below], state[at + 1 + min(below + 1, count - 1)]
    return float(low + (high - low) * (rank - below))
