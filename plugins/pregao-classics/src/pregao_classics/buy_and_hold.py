"""Buy once and hold: what every other strategy has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.strategies.contract import StrategyConfig
from pregao_classics.by_signals import BySignals


class BuyAndHoldConfig(StrategyConfig):
    """Nothing to set."""


class BuyAndHold(BySignals):
    """Buys at the first bar, and again whenever the session's own exits have closed the position."""

    title = "Buy and hold"
    Config = BuyAndHoldConfig
    why_in = "hold"

    def warmup(self) -> int:
        """One bar is enough."""
        return 1

    def signals(self, history: Bars) -> NDArray[np.int8]:
        """In, always."""
        return np.ones(len(history), np.int8)
