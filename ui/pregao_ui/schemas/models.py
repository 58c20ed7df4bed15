"""Versions of the model registry as the API tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from pregao.features.words import noun

if TYPE_CHECKING:
    from pregao.learning.lineage import ModelInfo


class ReasonOut(BaseModel):
    """One criterion of the gate, with its figure and its limit."""

    model_config = ConfigDict(extra="allow")

    name: str
    passed: bool
    value: Any = None
    limit: Any = None
    text: str = ""


class GateOut(BaseModel):
    """Why a version may trade as champion, or may not."""

    passed: bool
    reasons: list[ReasonOut]


class PromotionOut(BaseModel):
    """How a version became champion: by whom (``gate`` or ``person``), when, after which version, and why."""

    by: str
    at: float
    before: str | None = None
    reason: str = ""


class PromoteIn(BaseModel):
    """The version to make champion, a number or an alias such as ``previous``, and the person's reason."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    version: str = Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")
    reason: str = Field(min_length=3, max_length=400)


class ModelOut(BaseModel):
    """A registered version of a model."""

    name: str
    version: str
    instrument: str
    timeframe: str
    aliases: list[str]
    created: float
    gate: GateOut | None
    metrics: dict[str, float | None]
    data_version: str
    run_id: str
    params_hash: str
    feature_hash: str
    model_digest: str
    code_version: str
    promoted_by: str = Field(description="gate, person, or empty if it was never promoted")
    promotion: PromotionOut | None = None
    changes: dict[str, Any] = Field(description="What it had learnt that the champion of its day had not")
    shadow: list[dict[str, Any]] = Field(description="Its duels in shadow of the champion's sessions, by the monitor")
    words: dict[str, str] = Field(description="What the features of ``changes`` are, in words")

    @classmethod
    def of(cls, info: ModelInfo) -> ModelOut:
        """The shape for a version of the registry."""
        return cls(
            name=info.name,
            version=info.version,
            instrument=info.instrument,
            timeframe=info.timeframe,
            aliases=list(info.aliases),
            created=info.created_ns / 1e9,
            gate=GateOut.model_validate(info.gate) if info.gate.get("reasons") else None,
            metrics=info.metrics,
            data_version=info.data_version,
            run_id=info.run_id,
            params_hash=info.params_hash,
            feature_hash=info.feature_hash,
            model_digest=info.model_digest,
            code_version=info.code_version,
            promoted_by=str(info.promotion.get("by", "")),
            promotion=_promotion(info.promotion),
            changes=info.changes,
            shadow=info.shadow,
            words={name: noun(name) for name in info.changes.get("importance", {})},
        )


def _promotion(told: dict[str, Any]) -> PromotionOut | None:
    if not told:
        return None
    return PromotionOut(
        by=told["by"], at=told["ns"] / 1e9, before=told.get("before"), reason=str(told.get("reason", ""))
    )
