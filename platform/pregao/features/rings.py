"""Rings: the last values of a quantity inside a feature state, oldest to newest without a seam.

Ring ``r`` of a family takes ``2 * SIZE`` places from ``HEAD + r * 2 * SIZE`` on. Each value is written twice, `SIZE`
apart, so that the newest `SIZE` values always lie side by side and a window is a plain run of memory.

Features are computed from the windows anew at each bar: nothing accumulates, so nothing drifts, and a stream that was
started anywhere gives, once warm, what the batch gives, to the bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import inner

Floats = NDArray[np.float64]

HEAD = 4
"""Places before the first ring: ``state[0]`` is the number of bars taken in, then up to three parameters."""
SIZE = 64
SPAN = 2 * SIZE


@inner
def newest(seen: int) -> int:
    """Where bar number ``seen``, from 0, lies in ring 0; the bars before it lie before it."""
    return HEAD + SIZE + (seen & (SIZE - 1))  # not %: so the compiler sees that it is never negative


@inner
def put(state: Floats, seen: int, ring: int, value: float) -> None:
    """Write the value of bar number ``seen`` into a ring."""
    at = newest(seen) + ring * SPAN
    state[at] = value
    state[at - SIZE] = value


@inner
def ratio(top: float, bottom: float) -> float:
    """``top / bottom``, NaN where there is nothing to divide by."""
    return top / bottom if bottom != 0.0 else math.nan
