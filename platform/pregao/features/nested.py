"""Nested windows of 5, 10, 20, 30 and 60 values, each put together from two that are there already.

The last 10 are the last 5 and those of 5 bars ago; the last 60 are the last 30 and those of 30 bars ago. So a bar costs
the same whatever the window, and yet nothing accumulates: what a window has is a function of its values alone, put
together in the same order always, the same to the bit wherever a stream began.

A family describes a window in a row of ``width`` numbers: sums, extremes, or moments, which are put together as Chan,
Golub and LeVeque do (1979): no digits are lost to the level of the values, and what is flat has a spread of exactly 0.
Rows of 5, 10 and 30 are kept as long as longer windows need them; a table of rows takes ``ROWS * width`` places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import inner

Floats = NDArray[np.float64]

WINDOWS = (5, 10, 20, 30, 60)
NEWER = (5, 5, 10, 20, 30)
"""The window that the newer part of each is; its older part is the rest. The first is made from single values."""
_FIVE, _TEN, _TWENTY, _THIRTY, _SIXTY = 0, 8, 40, 41, 73
ROWS = 74
"""8 rows of five, 32 of ten, one of twenty, 32 of thirty, one of sixty: powers of two, more than are looked back at."""


@inner
def row(seen: int, window: int) -> int:
    """The row of one of `WINDOWS` (by its place there) that ends at bar ``seen``."""
    if window == 0:
        return _FIVE + (seen & 7)
    if window == 1:
        return _TEN + (seen & 31)
    if window == 2:
        return _TWENTY
    if window == 3:
        return _THIRTY + (seen & 31)
    return _SIXTY


@inner
def older_row(seen: int, window: int) -> int:
    """The row of the older part of a window from the second on."""
    if window == 1:
        return row(seen - 5, 0)
    if window == 2:
        return row(seen - 10, 1)
    if window == 3:
        return row(seen - 20, 1)
    return row(seen - 30, 3)


@inner
def join_moments(state: Floats, to: int, newer: int, older: int, part: float, weight: float) -> float:
    """Mean and sum of squares around it, side by side, of two windows together; returns how far the means are apart.

    Args:
        part: the older window's share of the values.
        weight: the product of the windows' lengths by their sum.
    """
    apart = state[older] - state[newer]
    state[to] = state[newer] + apart * part
    state[to + 1] = state[newer + 1] + state[older + 1] + apart * apart * weight
    return float(apart)
