"""Fewer points of a long series, with the same picture."""

from __future__ import annotations

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
    position = x.astype(np.float64)
    bounds = np.linspace(position[0], position[-1], columns + 1)[:-1]
    starts = np.unique(np.searchsorted(position, bounds))
    counts = np.diff(starts, append=n)
    kept = [starts, starts + counts - 1]
    for extreme in (np.minimum, np.maximum):
        held = np.flatnonzero(y == np.repeat(extreme.reduceat(y, starts), counts))
        kept.append(held[np.searchsorted(held, starts)])  # the first of each column
    return np.unique(np.concatenate(kept))
