"""A window kept in order, for quantiles: the newest value replaces the oldest at its place in the order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import inner

Floats = NDArray[np.float64]


@inner
def insert(state: Floats, at: int, count: int, value: float) -> None:
    """Add to ``count`` ascending values from ``state[at]`` on."""
    place = at + count
    while place > at and state[place - 1] > value:
        state[place] = state[place - 1]
        place -= 1
    state[place] = value


@inner
def replace(state: Floats, at: int, count: int, old: float, new: float) -> None:
    """Take ``old`` out of ``count`` ascending values from ``state[at]`` on and put ``new`` in."""
    below = 0
    for k in range(count):
        below += state[at + k] < old
    place = at + below
    last = at + count - 1
    while place < last and state[place + 1] < new:
        state[place] = state[place + 1]
        place += 1
    while place > at and state[place - 1] > new:
        state[place] = state[place - 1]
        place -= 1
    state[place] = new


@inner
def quantile(state: Floats, at: int, count: int, part: float) -> float:
    """The quantile of ``count`` ascending values, interpolated between neighbours (pandas: ``linear``)."""
    rank = part * (count - 1)
    below = int(rank)
    low = state[at + below]
    high = state[at + min(below + 1, count - 1)]
    return float(low + (high - low) * (rank - below))
