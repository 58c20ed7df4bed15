"""The ensemble: several strategies trade on paper beside each other, and those whose record is no luck have a say."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import Field, field_validator

from pregao.core.bars import Bar
from pregao.core.errors import UsageError
from pregao.strategies.contract import Context, Enter, Exit, Intent, JsonDict, Note, StrategyConfig
from pregao.strategies.registry import load, made
from pregao_ensemble.members import Costs, Member, parsed
from pregao_ensemble.weights import Standing, weigh

_MOST = 16
_LEAVE = 0.5
"""It leaves when less than this part of the quorum is left."""
_strategy = cache(load)
"""A process looks for each strategy once: looking through what is installed takes some 50 ms."""


class EnsembleConfig(StrategyConfig):
    """Who the members are, and what they must have shown."""

    members: str = Field(
        "buy-and-hold; ma-cross; rsi-reversion; donchian-breakout; grid",
        title="Members",
        description="Strategies by name with their own settings, such as: ma-cross fast=5 slow=20; rsi-reversion",
        max_length=4_000,
    )
    window: int = Field(
        240, ge=30, le=5_000, title="Record", description="Bars of a member's record that are looked at",
        json_schema_extra={"unit": "bars"},
    )  # fmt: skip
    every: int = Field(
        24, ge=1, le=5_000, title="Weigh every", description="Bars from one weighing of the members to the next",
        json_schema_extra={"unit": "bars"},
    )  # fmt: skip
    confidence: float = Field(
        95.0, ge=50, le=99.99, title="Confidence",
        description="Least chance that a member's record is more than luck, the number of members allowed for",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip
    quorum: float = Field(
        50.0, gt=0, le=100, title="Quorum", description="Least part of the weight that must stand on one side to enter",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip
    fee: float = Field(
        0.1, ge=0, le=10, title="Fee", description="What members pay on paper, of the notional, each side",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip
    slippage: float = Field(
        0.02, ge=0, le=10, title="Slippage", description="What they lose on paper, of the price",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip
    take_profit: float = Field(
        0.0, ge=0, le=99, title="Members' take profit", description="As in your session, 0 is none",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip
    stop_loss: float = Field(
        0.0, ge=0, le=99, title="Members' stop loss", description="As in your session, 0 is none",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip
    horizon: int = Field(
        0, ge=0, le=100_000, title="Members' horizon", description="As in your session, 0 is none",
        json_schema_extra={"unit": "bars"},
    )  # fmt: skip

    @field_validator("members")
    @classmethod
    def _can_be_read(cls, text: str) -> str:
        named = parsed(text)
        if not 1 <= len(named) <= _MOST:
            raise ValueError(f"there must be 1 to {_MOST} members, not {len(named)}")
        if len({(one.name, tuple(sorted(one.settings.items()))) for one in named}) < len(named):
            raise ValueError("each member must differ from the others: two that are one count its record twice")
        return text


class Ensemble:
    """Weighs several strategies by their recent deflated records, and stays out while none is more than luck.

    Each member trades on paper at an account of its own, from the first bar on, at each bar as it comes: its record is
    out of sample by construction. Every so many bars the members are weighed anew (`weigh`). The vote is the sum of
    weight times stance; it enters on the side of the vote, with that part of the entry value, when the vote reaches the
    quorum, and leaves when less than half the quorum is left on its side.
    """

    api = 1
    title = "Ensemble"
    Config: Any = EnsembleConfig
    needs_model = False

    def __init__(self, config: EnsembleConfig) -> None:
        self.config = config
        self._members = [
            Member(one.title, made(_strategy(one.name), one.name, dict(one.settings)), config.window)
            for one in parsed(config.members)
        ]
        asking = [member.title for member in self._members if member.needs_model]
        if asking and not self.needs_model:
            raise UsageError(
                f"{', '.join(asking)} needs a trained model, which this ensemble is not given.",
                "Choose the strategy ensemble-ai, or leave that member out.",
            )
        self._costs = Costs(config.fee, config.slippage, config.take_profit, config.stop_loss, config.horizon)
        self._standings = [Standing(float("nan"), 0.0) for _ in self._members]
        self._bars = 0
        self._fresh = True  # the vote has been below the quorum since the last entry

    def warmup(self) -> int:
        """Its members must see every bar from the first on; each waits for its own warm-up."""
        return 1

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Let the members trade on paper, weigh them when it is time, and follow the vote."""
        for member in self._members:
            member.see(ctx, bar, self._costs)
        weighed = self._bars % self.config.every == 0
        self._bars += 1
        if weighed:
            self._standings = weigh(
                [member.record for member in self._members], self.config.window, self.config.confidence / 100
            )
        answer = self._follow(ctx)
        return answer or ((Note(self._told()),) if weighed else ())

    def _follow(self, ctx: Context) -> tuple[Intent, ...]:
        vote = sum(s.weight * member.stance for s, member in zip(self._standings, self._members, strict=True))
        quorum, account = self.config.quorum / 100, ctx.account
        if account.position:
            left = vote if account.position > 0 else -vote
            if left < quorum * _LEAVE:
                self._fresh = True
                return () if account.pending else (Exit(f"the vote is {vote:+.0%}; {self._told()}"),)
            return ()
        if abs(vote) < quorum:
            self._fresh = True
            return ()
        if account.pending or not self._fresh or (vote < 0 and not ctx.instrument.allow_short):
            return ()
        self._fresh = False
        side = "long" if vote > 0 else "short"
        return (Enter(side, min(abs(vote), 1.0), f"the vote is {vote:+.0%}; {self._told()}"),)

    def _told(self) -> str:
        """Who counts how much, or why nobody does."""
        pairs = list(zip(self._members, self._standings, strict=True))
        having = [f"{m.title} {s.weight:.0%} ({s.chance:.1%} sure)" for m, s in pairs if s.weight]
        if having:
            return "weights: " + ", ".join(having)
        asked = f"{self.config.confidence:g}% asked"
        return f"it stays out, {asked}: " + ", ".join(f"{m.title} {s.why_not}".strip() for m, s in pairs)

    def save(self) -> JsonDict:
        """Every member's account, record and own state, and how they were weighed last."""
        return {
            "bars": self._bars,
            "fresh": self._fresh,
            "members": [member.save() for member in self._members],
            "standings": [[repr(s.chance), s.weight, s.why_not] for s in self._standings],
        }

    def load(self, state: JsonDict) -> None:
        """Take all of it back."""
        self._bars, self._fresh = int(state["bars"]), bool(state["fresh"])
        self._standings = [Standing(float(chance), weight, why) for chance, weight, why in state["standings"]]
        for member, own in zip(self._members, state["members"], strict=True):
            member.load(own)


class EnsembleWithAIConfig(EnsembleConfig):
    """The same with members that ask the session's model."""

    members: str = Field(
        "catboost-ai; ma-cross; rsi-reversion; donchian-breakout",
        title="Members",
        description="Strategies by name with their own settings; those that need a model ask the session's",
        max_length=4_000,
    )


class EnsembleWithAI(Ensemble):
    """The ensemble with the AI as one of its members, whose record begins where its model's training ended."""

    title = "Ensemble with the AI"
    Config = EnsembleWithAIConfig
    needs_model = True
    feature_set = "core25"
