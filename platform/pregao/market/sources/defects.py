"""Defects planted into clean rows, as venues and files have them: to see that they are found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pregao.core.bars import COLUMNS

KINDS = ("gap", "spike", "duplicate")
LONGEST_GAP = 5
SPIKE = 1.5
MARGIN = 50
"""Rows at both ends, and between two defects, that stay as they are."""


def planted(frame: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows with ``count`` defects of each of `KINDS`, none within `MARGIN` rows of another.

    A *gap* lacks 1 to `LONGEST_GAP` rows; a *spike* has all prices `SPIKE` times as high, to the cent; a *duplicate*
    comes again, alike, some rows later.

    Args:
        frame: clean rows in order of time, at least ``3 * count + 2`` times `MARGIN`.
        count: of each kind.
        rng: the source of chance.
    """
    places = np.arange(MARGIN, len(frame) - MARGIN, MARGIN)
    chosen = rng.permutation(places)[: count * len(KINDS)].reshape(len(KINDS), count)
    gaps, spikes, twice = chosen
    spoilt = frame.copy()
    for name in COLUMNS:
        prices = spoilt[name].to_numpy(copy=True)
        prices[spikes] = np.round(prices[spikes] * SPIKE, 2)
        spoilt[name] = prices
    order = np.arange(len(frame), dtype=np.float64)
    again = spoilt.iloc[twice]
    order = np.concatenate([order, twice + rng.integers(1, 9, count) + 0.5])
    gone = np.concatenate([np.arange(at, at + rng.integers(1, LONGEST_GAP + 1)) for at in gaps])
    both = pd.concat([spoilt, again], ignore_index=True)
    rows = np.argsort(order, kind="stable")
    kept = rows[~np.isin(rows, gone)]
    return both.iloc[kept].reset_index(drop=True)
