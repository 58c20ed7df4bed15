"""The strategy: trades by a trained policy, with NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from pregao.core.bars import Bar
from pregao.features.sets import feature_set
from pregao.strategies.contract import Context, Intent, JsonDict, Note, StrategyConfig
from pregao_rl.policy import Policy, read
from pregao_rl.stance import LONG, NAMES, SHORT, intents_for, own_figures


class PolicyStrategyConfig(StrategyConfig):
    """Which policy."""

    policy: str = Field(
        "", max_length=1_000, title="Policy",
        description="Its file, as `pregao-rl list` names it; train one with `pregao-rl train`. Without, it stays out",
    )  # fmt: skip


class PolicyStrategy:
    """Stands as a policy trained by reinforcement learning wants; experimental, and never the default."""

    api = 1
    title = "Reinforcement learning"
    Config = PolicyStrategyConfig

    def __init__(self, config: PolicyStrategyConfig) -> None:
        self.config = config
        self.policy: Policy | None = read(Path(config.policy).expanduser()) if config.policy else None
        self.feature_set = self.policy.feature_set if self.policy is not None else "core25"

    def warmup(self) -> int:
        """The bars that the features need."""
        return feature_set(self.feature_set).warmup

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Ask the policy for the stance that it wants, and go there."""
        if self.policy is None:
            return (Note("no policy: train one with `pregao-rl train` and name its file"),)
        return stand(self.policy, ctx)

    def save(self) -> JsonDict:
        """It keeps nothing: what it knows is in the policy, the features and the account."""
        return {}

    def load(self, state: JsonDict) -> None:
        """It keeps nothing."""


def stand(policy: Policy, ctx: Context) -> tuple[Intent, ...]:
    """What a policy does after a bar."""
    account = ctx.account
    shares = policy.shares(policy.observe(ctx.features, own_figures(account, float(ctx.closes[-1]))))
    if not ctx.instrument.allow_short:
        shares = shares[:SHORT]
    action = int(shares.argmax())
    chance = float(policy.chances(ctx.features)) if policy.chance is not None and action == LONG else None
    said = f"policy {policy.digest[:8]} leans {shares[action]:.0%} to {NAMES[action]}"
    return intents_for(action, account, said, chance)
