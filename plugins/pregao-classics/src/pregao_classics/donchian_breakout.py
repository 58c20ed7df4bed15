"""Donchian breakout: in at a new high of many bars, out at a new low of fewer."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field

from pregao.core.bars import Bars
from pregao.strategies.contract import StrategyConfig
from pregao_classics.by_signals import BySignals


class DonchianBreakoutConfig(StrategyConfig):
    """The lengths of the two channels."""

    entry: int = Field(
        20, ge=2, le=500, title="Entry channel", description="Enter above the highest high of so many bars before",
        json_schema_extra={"unit": "bars"},
    )  # fmt: skip
    leave: int = Field(
        10, ge=2, le=500, title="Exit channel", description="Leave below the lowest low of so many bars before",
        json_schema_extra={"unit": "bars"},
    )  # fmt: skip


class DonchianBreakout(BySignals):
    """Follows what breaks out of its channel, as the Turtles did."""

    title = "Donchian breakout"
    Config = DonchianBreakoutConfig
    why_in = "closed above its channel"
    why_out = "closed below its channel"

    def warmup(self) -> int:
        """The longer channel and the bar that breaks out of it."""
        return max(int(self.config.entry), int(self.config.leave)) + 1

    def signals(self, history: Bars) -> NDArray[np.int8]:
        """Where a close lies outside the channel of the bars before it."""
        said = np.zeros(len(history), np.int8)
        entry, leave = self.config.entry, self.config.leave
        if len(history) > leave:
            lowest = sliding_window_view(history.low[:-1], leave).min(axis=1)
            said[leave:][history.close[leave:] < lowest] = 2
        if len(history) > entry:
            highest = sliding_window_view(history.high[:-1], entry).max(axis=1)
            said[entry:][history.close[entry:] > highest] = 1
        return said
