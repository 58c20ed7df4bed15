"""``/strategies``: what can trade, and the schema of its settings."""

from __future__ import annotations

from fastapi import APIRouter

from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.schemas.strategies import StrategyOut
from pregao_ui.services import Services


def router(services: Services) -> APIRouter:
    """Installed strategies."""
    api = APIRouter(route_class=TaggedRoute, tags=["strategies"])

    @api.get("/strategies")
    def strategies() -> list[StrategyOut]:
        """The installed strategies with the JSON schema of their settings."""
        return services.strategies.all

    return api
