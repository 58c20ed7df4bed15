"""A sweep: 1,000 settings of one strategy over the same bars, in vectorbt's columns and in our own core.

A setting is a pair of averages and a bracket. All else is as in the job of `job.py`, under the rules of vectorbt.
Needs numpy only: vectorbt's own Python imports this.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from benchmarks.peers.job import SLOW, Job, average

FASTS = tuple(range(5, 15))
SLOWS = tuple(range(20, 70, 5))
BRACKETS_PPM = tuple(product((10_000, 15_000, 20_000, 30_000, 40_000), (5_000, 10_000)))
"""Take profit and stop loss."""

RESULT = np.dtype([
    ("final_equity", np.float64),  # at the last close
    ("trades", np.int64),          # closed
    ("bar_sharpe", np.float64),    # of the returns from the first close on, not annualised
    ("drawdown", np.float64),      # maximum, a positive fraction of the peak
    ("hit_rate", np.float64),      # of closed trades
])  # fmt: skip
"""Of each setting."""


def without_first(sharpe: np.ndarray, n: int) -> np.ndarray:
    """The Sharpe ratio per bar of ``n`` returns, of which the first is 0, without that one.

    With mean ``m`` and deviation 1 of the other ``n - 1``: squares ``n - 2 + (n - 1) m**2``, mean ``m (n - 1) / n``.
    So ``sharpe**2 = m**2 (n - 1)**3 / n**2 / (n - 2 + m**2 (n - 1) / n)``, here solved for ``m``.
    """
    k = n - 1
    square = sharpe**2 * (n - 2) / (k**3 / n**2 - sharpe**2 * k / n)
    return np.sign(sharpe) * np.sqrt(square)


@dataclass(frozen=True)
class Settings:
    """The settings, one an entry: spans of the averages in bars, distances in ppm."""

    fast: np.ndarray
    slow: np.ndarray
    take_ppm: np.ndarray
    stop_ppm: np.ndarray

    def __len__(self) -> int:
        return len(self.fast)


def settings(most: int = 1_000) -> Settings:
    """The first ``most`` of 10 x 10 averages and 10 brackets; the bracket changes fastest."""
    found = [(f, s, t, p) for (f, s), (t, p) in product(product(FASTS, SLOWS), BRACKETS_PPM)][:most]
    return Settings(*(np.array(column, np.int64) for column in zip(*found, strict=True)))


def pairs(wanted: Settings) -> list[tuple[int, int]]:
    """Every pair of averages once, in the order of the settings."""
    return list(dict.fromkeys(zip(wanted.fast.tolist(), wanted.slow.tolist(), strict=True)))


def crosses(closes: np.ndarray, wanted: Settings) -> np.ndarray:
    """For each pair of averages, where the fast one comes above the slow one; bool, shape ``(pairs, n)``."""
    averages = {span: average(closes, span) for span in {*wanted.fast.tolist(), *wanted.slow.tolist()}}
    found = np.zeros((len(pairs(wanted)), len(closes)), bool)
    for row, (fast, slow) in zip(found, pairs(wanted), strict=True):
        above = averages[fast] > averages[slow]
        row[1:] = above[1:] & ~above[:-1]
        row[:SLOW] = False
    return found


def save(path: Path, job: Job, wanted: Settings) -> None:
    """Write the job and the settings side by side."""
    job.save(path)
    np.savez(path.with_suffix(".settings.npz"), **vars(wanted))


def load(path: Path) -> tuple[Job, Settings]:
    """Read what `save` wrote."""
    with np.load(Path(path).with_suffix(".settings.npz")) as file:
        return Job.load(path), Settings(**{k: file[k] for k in file.files})
