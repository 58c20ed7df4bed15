"""Moving-average cross: in when the fast average rises above the slow one, out when it falls below."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pregao.core.bars import Bar, Bars
from pregao.core.rules import broken
from pregao.strategies.contract import Context, Enter, Exit, Intent, JsonDict, StrategyConfig
from pregao_classics.averages import crosses


class MovingAverageCrossConfig(StrategyConfig):
    """The spans of the two exponential averages."""

    fast: int = Field(
        12, ge=2, le=500, title="Fast average", description="Span in bars", json_schema_extra={"unit": "bars"}
    )
    slow: int = Field(
        26, ge=3, le=1000, title="Slow average", description="Span in bars", json_schema_extra={"unit": "bars"}
    )

    @model_validator(mode="after")
    def _fast_is_faster(self) -> MovingAverageCrossConfig:
        if self.fast >= self.slow:
            raise broken("fast", "the fast average must be shorter than the slow one")
        return self


class MovingAverageCross:
    """Follows the trend: long while the fast exponential average is above the slow one."""

    api = 1
    title = "Moving-average cross"
    Config = MovingAverageCrossConfig
    only_signals = True

    def __init__(self, config: MovingAverageCrossConfig) -> None:
        self.config = config
        self._fast: float | None = None
        self._slow = 0.0
        self._above = False

    def warmup(self) -> int:
        """An exponential average needs a few spans until its start no longer shows."""
        return 4 * self.config.slow

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Enter at the cross upwards, exit at the cross downwards."""
        if self._fast is None:
            self._fast = self._slow = float(ctx.closes[0])
            self._above = False
            for close in ctx.closes[1:]:
                self._update(float(close))
            return ()
        was_above = self._above
        self._update(float(ctx.closes[-1]))
        if self._above and not was_above:
            return (Enter(reason=f"EMA {self.config.fast} rose above EMA {self.config.slow}"),)
        if was_above and not self._above and (ctx.account.position != 0 or ctx.account.pending):
            return (Exit(reason=f"EMA {self.config.fast} fell below EMA {self.config.slow}"),)
        return ()

    def signals(self, history: Bars) -> NDArray[np.int8]:
        """The crosses of the whole history."""
        closes = history.close.astype(np.float64) * float(history.instrument.tick_size)
        return crosses(closes, self.config.fast, self.config.slow, self.warmup())

    def _update(self, close: float) -> None:
        assert self._fast is not None
        self._fast += 2 / (self.config.fast + 1) * (close - self._fast)
        self._slow += 2 / (self.config.slow + 1) * (close - self._slow)
        self._above = self._fast > self._slow

    def save(self) -> JsonDict:
        """The two averages; JSON keeps a float exactly."""
        return {"fast": self._fast, "slow": self._slow, "above": self._above}

    def load(self, state: JsonDict) -> None:
        """Take the averages back."""
        self._fast, self._slow, self._above = state["fast"], state["slow"], state["above"]
