"""RSI reversion: in when the market has fallen too far too fast, out when it has recovered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pregao.core.bars import Bars
from pregao.core.rules import broken
from pregao.strategies.contract import StrategyConfig
from pregao_classics.by_signals import BySignals


class RsiReversionConfig(StrategyConfig):
    """The span of the RSI, and its two levels."""

    span: int = Field(14, ge=2, le=500, title="Span", description="Bars in the RSI", json_schema_extra={"unit": "bars"})
    low: float = Field(30.0, gt=0, lt=100, title="Enter below", description="RSI below which it buys")
    high: float = Field(55.0, gt=0, lt=100, title="Leave above", description="RSI above which it sells")

    @model_validator(mode="after")
    def _low_is_lower(self) -> RsiReversionConfig:
        if self.low >= self.high:
            raise broken("low", "it must enter below the level at which it leaves")
        return self


class RsiReversion(BySignals):
    """Buys what is oversold and sells when the relative strength index has come back.

    ``RSI = 100 * U / (U + D)``: the sums of the rises and of the falls of the last ``span`` closes (Cutler's RSI, which
    depends on those bars alone; Wilder's averages never forget their beginning). 50 where nothing has moved.
    """

    title = "RSI reversion"
    Config = RsiReversionConfig
    why_in = "the RSI is oversold"
    why_out = "the RSI has recovered"

    def warmup(self) -> int:
        """The closes of the span and the one before."""
        return int(self.config.span) + 1

    def signals(self, history: Bars) -> NDArray[np.int8]:
        """Below and above the levels."""
        strength = rsi(history.close, self.config.span)
        return np.where(strength < self.config.low, 1, np.where(strength > self.config.high, 2, 0)).astype(np.int8)


def rsi(closes: NDArray[np.int64], span: int) -> NDArray[np.float64]:
    """Cutler's RSI.

    Args:
        closes: in ticks, shape ``(n,)``; whole numbers, so that the sums are exact however long the history is.

    Returns:
        Between 0 and 100, shape ``(n,)``; 50 in the first ``span`` entries and where nothing has moved.
    """
    moves = np.diff(closes)
    rises, moved = (np.concatenate([[0], np.cumsum(part)]) for part in (np.maximum(moves, 0), np.abs(moves)))
    strength = np.full(len(closes), 50.0)
    if len(closes) > span:
        up, all_ = rises[span:] - rises[:-span], moved[span:] - moved[:-span]
        np.divide(100.0 * up, all_, out=strength[span:], where=all_ > 0)
    return strength
