"""A plugin as it was written for api 1 on its first day. Never change it: others have published ones like it."""

import numpy as np
from pydantic import Field

from pregao.strategies.contract import Context, Enter, Exit, Note, Signals, Strategy, StrategyConfig, Wait

assert Context
assert Signals
assert Strategy


class FirstDayConfig(StrategyConfig):
    """All that a setting can carry."""

    span: int = Field(
        6, ge=2, le=100, title="Span", description="Closes in the mean",
        json_schema_extra={"unit": "bars", "live": True},
    )  # fmt: skip


class FirstDay:
    """Uses each part of the contract of api 1."""

    api = 1
    title = "First day"
    Config = FirstDayConfig
    feature_set = "core25"
    needs_model = False
    only_signals = False

    def __init__(self, config):
        self.config = config
        self.asked = 0

    def warmup(self):
        return self.config.span + 1

    def on_bar(self, ctx, bar):
        self.asked += 1 + ctx.missed
        ctx.log.debug("%s %s at %d: %s", ctx.instrument.symbol, ctx.timeframe.name, ctx.now_ns, ctx.features.shape)
        account = ctx.account
        equity, cash, position, entry_price, bars_held, pending = account
        if position:
            if bars_held > 9 or ctx.closes[-1] > entry_price * 1.004:
                return [Exit(reason="enough")]
            return [Wait(bars=2, event=True)]
        if pending or equity < cash / 2:
            return []
        if ctx.signal == 1 and ctx.rng.random() < 0.9:
            why = (("distance", -0.1),)
            entry = Enter(side="long", fraction=0.5, reason="below", probability=0.5, expected_value=0.001, top=why)
            return [entry, Wait()]
        if bar.close > bar.open:
            return [Note(reason="rising", probability=0.1), Wait(bars=0, until_ns=0, event=True, signal=True)]
        return ()

    def signals(self, history):
        ticks, span = history.close, self.config.span
        sums = np.cumsum(np.r_[0, ticks])
        said = np.zeros(len(history), np.int8)
        said[span - 1 :][ticks[span - 1 :] * span < sums[span:] - sums[:-span]] = 1
        return said

    def save(self):
        return {"asked": self.asked}

    def load(self, state):
        self.asked = state["asked"]
