"""Settings as the API tells and takes them: keys and addresses go in, and never come out again."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from pregao import keys
from pregao.sessions.notify.targets import Language, Plan, Target, Topic


class KeyOut(BaseModel):
    """That there is a key; what it is, nothing tells."""

    name: str = Field(examples=["PREGAO_CCXT_BINANCE_KEY"])
    where: Literal["file", "environment"]
    set_at: float | None = Field(description="When it was set; None for one of the environment")

    @classmethod
    def of(cls, key: keys.Key) -> KeyOut:
        """The shape for a key."""
        return cls.model_validate(key._asdict())


class KeyIn(BaseModel):
    """A key to be kept."""

    model_config = ConfigDict(extra="forbid")

    value: SecretStr = Field(min_length=1, max_length=keys.MOST, description="It is never told again")


class TargetOut(BaseModel):
    """A place that notifications go to; its address is not told."""

    id: str
    service: str = Field(examples=["Telegram"])
    name: str
    added: float

    @classmethod
    def of(cls, target: Target) -> TargetOut:
        """The shape for a target."""
        return cls.model_validate(target._asdict())


class TargetIn(BaseModel):
    """A place to send to, by an address of Apprise."""

    model_config = ConfigDict(extra="forbid")

    address: SecretStr = Field(min_length=1, max_length=2_000, examples=["mailto://user:password@example.org"])
    name: str = Field(default="", max_length=60)


class NotificationsIn(BaseModel):
    """Whether notifications are sent, what about, and in which language."""

    model_config = ConfigDict(extra="forbid")

    on: bool
    topics: list[Topic] = Field(default=["fills", "stops", "pauses", "proposals", "promotions"], max_length=5)
    language: Language = "en"


class NotificationsOut(BaseModel):
    """What is sent, and where to."""

    on: bool
    topics: list[Topic]
    language: Language
    targets: list[TargetOut]

    @classmethod
    def of(cls, plan: Plan) -> NotificationsOut:
        """The shape for a plan."""
        targets = [TargetOut.of(target) for target in plan.targets]
        return cls(on=plan.on, topics=list(plan.topics), language=plan.language, targets=targets)


class TestedOut(BaseModel):
    """How the test of a target went."""

    id: str
    sent: bool
    message: str = Field(description="Why it was not sent; empty if it was")


class LimitsOut(BaseModel):
    """What this installation allows at once."""

    sessions_at_once: int = Field(description="Flow runs that the flows' process runs side by side")
    requests_per_second: float = Field(description="To the API, for each token or address; 0 is no limit")
    request_bytes: int = Field(description="Of one request's body at most")
    rows_at_once: int
    targets: int
