"""A grid of price lines: buy where the price falls through one, sell a line higher."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pregao.core.bars import MAX_TICKS, Bar, Bars
from pregao.strategies.contract import Context, Enter, Exit, Intent, JsonDict, StrategyConfig, Wait


class GridConfig(StrategyConfig):
    """How far apart the lines are."""

    step: float = Field(
        1.0, ge=0.05, le=50, title="Step", description="Distance from one line to the next",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip


class Grid:
    """Earns a step each time the price goes down and up again; it holds what it bought while the price falls.

    One operation at a time, as everything here: it does not buy more on the way down. The lines lie at whole powers of
    1 + step, in ticks, so that they are the same wherever it begins.
    """

    api = 1
    title = "Grid"
    Config = GridConfig
    only_signals = False

    def __init__(self, config: GridConfig) -> None:
        self.config = config
        count = int(np.log(MAX_TICKS) / np.log1p(config.step / 100)) + 2
        self._lines = np.cumprod(np.full(count, 1 + config.step / 100))

    def warmup(self) -> int:
        """The bar that falls through a line, and the one before."""
        return 2

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Sell a step above what was paid; buy below a line; else wait for a line."""
        account = ctx.account
        if account.position:
            goal = account.entry_price * (1 + self.config.step / 100)
            return (Exit(reason=f"a step above {account.entry_price:g}"),) if ctx.closes[-1] >= goal else ()
        if account.pending:
            return ()
        return (Enter(reason="fell through a line"),) if ctx.signal == 1 else (Wait(signal=True),)

    def signals(self, history: Bars) -> NDArray[np.int8]:
        """1 where a close lies below a line that the close before was above."""
        level = np.searchsorted(self._lines, history.close, side="right")
        return (np.diff(level, prepend=level[:1]) < 0).astype(np.int8)

    def save(self) -> JsonDict:
        """It keeps nothing."""
        return {}

    def load(self, state: JsonDict) -> None:
        """It keeps nothing."""
