"""``/settings/profiles``: the risk profiles that a session may be held to."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from pregao.sessions.risk import PROFILES, Rules
from pregao_ui.api.tagged import TaggedRoute

_PER_CENT = 10_000
"""Parts per million."""


class ProfileOut(BaseModel):
    """The limits of a risk profile, in per cent of the equity; None is no limit."""

    name: str = Field(examples=["balanced"])
    max_position: float | None
    max_exposure: float | None
    kelly: float | None = Field(description="Of Kelly's fraction, where the strategy estimates its chance")
    daily_loss: float | None
    max_drawdown: float | None
    cool_down: int = Field(description="Bars without an entry after a trade that lost; 0 for none")

    @classmethod
    def of(cls, name: str, rules: Rules) -> ProfileOut:
        """The shape for a profile."""

        def percent(ppm: int) -> float | None:
            return ppm / _PER_CENT or None

        return cls(
            name=name,
            max_position=percent(rules.position_ppm),
            max_exposure=percent(rules.exposure_ppm),
            kelly=percent(rules.kelly_ppm),
            daily_loss=percent(rules.daily_loss_ppm),
            max_drawdown=percent(rules.drawdown_ppm),
            cool_down=rules.cool_down_bars,
        )


def router() -> APIRouter:
    """The risk profiles."""
    api = APIRouter(prefix="/settings", route_class=TaggedRoute, tags=["settings"])

    @api.get("/profiles")
    def profiles() -> list[ProfileOut]:
        """The risk profiles and their limits."""
        return [ProfileOut.of(name, rules) for name, rules in PROFILES.items()]

    return api
