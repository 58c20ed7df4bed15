"""Strategies made for the tests of sweeps: one rule, vectorised and bar by bar."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pregao.core.bars import Bar, Bars
from pregao.simulation import layout
from pregao.strategies.contract import Context, Enter, Exit, Intent, StrategyConfig


class SweptConfig(StrategyConfig):
    """How far back it looks, and how much the price must have moved, in ticks."""

    span: int = Field(5, ge=1, le=50)
    rise: int = Field(20, ge=0, le=10_000)
    fall: int = Field(20, ge=0, le=10_000)
    side: Literal["long", "short"] = "long"
    horizon: int = 3
    fail: bool | None = None

    @model_validator(mode="after")
    def _not_both(self) -> SweptConfig:
        if self.span == 7 and self.rise == 0:
            raise ValueError("a span of 7 needs a rise")
        return self


class SweptByBar:
    """In after a rise, out after a fall."""

    api = 1
    title = "Swept, bar by bar"
    Config = SweptConfig

    def __init__(self, config: SweptConfig) -> None:
        self.config = config

    def warmup(self) -> int:
        return self.config.span + 1

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        if self.config.fail:
            raise ZeroDivisionError("on purpose")
        moved = round((ctx.closes[-1] - ctx.closes[0]) / float(ctx.instrument.tick_size))
        if moved > self.config.rise:
            return (Enter(side=self.config.side),)
        return (Exit(),) if -moved > self.config.fall else ()

    def save(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        pass


class Swept(SweptByBar):
    """The same as an array."""

    title = "Swept"
    only_signals = True

    def signals(self, history: Bars) -> NDArray[np.int8]:
        found = np.zeros(len(history), np.int8)
        span = self.config.span
        moved = history.close[span:] - history.close[:-span]
        enter = layout.ENTER_LONG if self.config.side == "long" else layout.ENTER_SHORT
        found[span:] = np.where(moved > self.config.rise, enter, np.where(-moved > self.config.fall, layout.LEAVE, 0))
        return found


class SweptSlowly(Swept):
    """The same, as slow as a strategy may be, so that there is time to kill it; or it ends its process by itself."""

    title = "Swept slowly"

    def signals(self, history: Bars) -> NDArray[np.int8]:
        if self.config.fail:
            os._exit(9)
        time.sleep(0.04)
        return super().signals(history)
