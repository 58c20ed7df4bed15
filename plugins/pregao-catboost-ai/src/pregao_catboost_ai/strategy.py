"""The CatBoost AI: enters where the session's model expects a bracket trade to be worth it, costs paid."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from pregao.core.bars import Bar
from pregao.features.sets import feature_set
from pregao.learning.decision import enters, expected_value
from pregao.strategies.contract import Context, Enter, Intent, JsonDict, Note, StrategyConfig


class CatBoostAIConfig(StrategyConfig):
    """How much surer than its own threshold the model must be."""

    margin: float = Field(
        0.0,
        ge=0.0,
        le=5.0,
        title="Margin",
        description="Expected value asked for above the model's own threshold, per cent of the entry value",
        json_schema_extra={"unit": "%"},
    )


class CatBoostAI:
    """Asks the model at every bar; the exits are the session's own take profit, stop loss and horizon."""

    api = 1
    title = "CatBoost AI"
    Config = CatBoostAIConfig
    needs_model = True
    feature_set = "core25"

    def __init__(self, config: CatBoostAIConfig) -> None:
        self.config = config

    def warmup(self) -> int:
        """The bars that the features need."""
        return feature_set(self.feature_set).warmup

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Enter if flat and the expected value reaches the threshold; else note what the model thinks of this bar."""
        if ctx.model is None:
            return ()
        meta = ctx.model.meta
        chance = ctx.model.probability(ctx.features)
        value = expected_value(chance, meta["payoff"]["win"], meta["payoff"]["loss"])
        least = meta["threshold"] + self.config.margin / 100
        reason = f"expected value {value:+.2%}, asked for {least:.2%}"
        if not enters(value, least):
            return (Note(reason, chance, value),)
        if ctx.account.position != 0 or ctx.account.pending:
            return (Note(f"{reason}; in the market already", chance, value),)
        # Explaining takes longer than deciding, so only what is acted on is explained.
        reasons = ctx.model.reasons(ctx.features)
        told = f"{reason}: {'; '.join(map(str, reasons))}"
        return (Enter("long", 1.0, told, chance, value, tuple((why.name, why.weight) for why in reasons)),)

    def save(self) -> JsonDict:
        """It keeps nothing: what it knows is in the features and the model."""
        return {}

    def load(self, state: JsonDict) -> None:
        """It keeps nothing."""
