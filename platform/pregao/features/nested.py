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
_at = np.uint64
"""An index that is never negative, so that it need not be looked at."""

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


BARS_KEPT = 8
"""So many bars are kept as they are, with their summands and then the values whose moments are taken."""


@inner
def bar_at(first: int, fields: int, seen: int) -> int:
    """Where bar ``seen`` is kept, of bars of so many fields from ``first`` on."""
    return first + (seen & (BARS_KEPT - 1)) * fields


@inner
def five(state: Floats, to: int, first: int, fields: int, seen: int, sums: int, moments: int) -> None:
    """The window of five from the bars: sums, then pairs of mean and sum of squares around it."""
    n0, n1, n2 = (bar_at(first, fields, seen), bar_at(first, fields, seen - 1), bar_at(first, fields, seen - 2))
    n3, n4 = bar_at(first, fields, seen - 3), bar_at(first, fields, seen - 4)
    for j in range(sums):
        older = state[_at(n1 + j)] + state[_at(n2 + j)] + state[_at(n3 + j)] + state[_at(n4 + j)]
        state[_at(to + j)] = state[_at(n0 + j)] + older
    for j in range(moments):
        k, pair = sums + j, to + sums + 2 * j
        x = state[_at(n0 + k)]
        d1, d2, d3, d4 = state[n1 + k] - x, state[n2 + k] - x, state[n3 + k] - x, state[n4 + k] - x
        mean = (d1 + d2 + d3 + d4) / 5.0
        d1, d2, d3, d4 = d1 - mean, d2 - mean, d3 - mean, d4 - mean
        state[_at(pair)] = x + mean
        state[_at(pair + 1)] = mean * mean + d1 * d1 + d2 * d2 + d3 * d3 + d4 * d4


@inner
def join(state: Floats, to: int, newer: int, older: int, sums: int, moments: int, part: float, weight: float) -> None:
    """Sums and moments of two windows together.

    Args:
        part: the older window's share of the values.
        weight: the product of the windows' lengths by their sum.
    """
    for j in range(sums):
        state[_at(to + j)] = state[_at(newer + j)] + state[_at(older + j)]
    for pair in range(sums, sums + 2 * moments, 2):
        apart = state[_at(older + pair)] - state[_at(newer + pair)]
        squares = state[_at(newer + pair + 1)] + state[_at(older + pair + 1)]
        state[_at(to + pair)] = state[_at(newer + pair)] + apart * part
        state[_at(to + pair + 1)] = squares + apart * apart * weight


@inner
def apart(state: Floats, newer: int, older: int, mean: int) -> float:
    """How far the means of two windows are apart."""
    return float(state[older + mean] - state[newer + mean])
