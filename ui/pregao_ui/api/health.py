"""``/health``: what answers."""

from __future__ import annotations

from fastapi import APIRouter

from pregao_ui.schemas.health import Health
from pregao_ui.services import Services


def router(services: Services) -> APIRouter:
    """The panel's own state."""
    api = APIRouter(tags=["panel"])

    @api.get("/health")
    def health() -> Health:
        """What answers, and how much there is."""
        return services.health.now()

    return api
