"""``/models``: the registry's versions and what the gate said of them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.schemas.models import ModelOut
from pregao_ui.services import Services


def router(services: Services) -> APIRouter:
    """Registered models."""
    api = APIRouter(tags=["models"])

    @api.get("/models")
    def models() -> list[ModelOut]:
        """The registered models with the gate's reasons."""
        return services.models.all()

    @api.get("/models/{name}/{version}/report", responses=NOT_FOUND, response_class=HTMLResponse)
    def report(name: str, version: str) -> HTMLResponse:
        """The report on a version (a number, or an alias such as champion) as one page."""
        return HTMLResponse(services.models.report(name, version))

    return api
