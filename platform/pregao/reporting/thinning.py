"""Fewer points of a long series, with the same picture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def thin(x: NDArray[np.generic], y: NDArray[np.float64], columns: int) -> Ints:
    """The points that a picture of so many pixel columns needs: first, lowest, highest and last of each column.

    A line through them covers the same pixels as the line through all (Jugel et al., "M4: A Visualization-Oriented Time
    Series Data Aggregation", VLDB 2014); no extreme is lost.

    Args:
        x: ascending, shape ``(n,)``.
        y: finite, shape ``(n,)``.
        columns: equal spans of ``x``, at least 1.

    Returns:
        Ascending indices of the kept points, at most ``4 * columns`` and all where there are no more.
    """
    n = len(y)
    if n <= 4 * columns:
        return np.arange(n)
    bounds = np.linspace(float(x[0]), float(x[-1]), columns + 1)[:-1]
    if x.dtype.kind in "iu":
        bounds = np.ceil(bounds).astype(x.dtype)  # compared as whole numbers, so that the times are not copied
    edges = [*np.unique(np.searchsorted(x, bounds)).tolist(), n]
    kept = []
    for lo, hi in pairwise(edges):
        part = y[lo:hi]
        kept += [lo, lo + int(part.argmin()), lo + int(part.argmax()), hi - 1]  # the first of each column's extremes
    return np.unique(kept)
