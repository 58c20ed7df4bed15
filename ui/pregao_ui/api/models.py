"""``/models``: the registry's versions and what the gate said of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse

from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.schemas.models import ModelOut, PromoteIn
from pregao_ui.services import Services

Name = Annotated[str, Path(max_length=200)]
Version = Annotated[str, Path(max_length=64, description="A number, or an alias such as champion")]


def router(services: Services) -> APIRouter:
    """Registered models."""
    api = APIRouter(route_class=TaggedRoute, tags=["models"])

    @api.get("/models")
    def models() -> list[ModelOut]:
        """The registered models with the gate's reasons."""
        return services.models.all()

    @api.get("/models/{name}/{version}/report", responses={**NOT_FOUND, 200: {"content": {"text/html": {}}}})
    def report(name: Name, version: Version) -> HTMLResponse:
        """The report on a version (a number, or an alias such as champion) as one page."""
        return HTMLResponse(services.models.report(name, version))

    @api.get("/models/{name}/{version}/portrait", responses=NOT_FOUND)
    def portrait(name: Name, version: Version) -> dict[str, Any]:
        """A version with what its report has to draw: figures, folds, equity, calibration, importance."""
        return services.models.portrait(name, version)

    @api.get("/models/{name}/compare", responses=NOT_FOUND)
    def compare(
        name: Name, one: Annotated[str, Query(max_length=64)], other: Annotated[str, Query(max_length=64)]
    ) -> dict[str, Any]:
        """Two versions side by side, each a number or an alias."""
        return services.models.compared(name, one, other)

    @api.get("/models/{name}/drift", responses=NOT_FOUND)
    def drift(name: Name) -> list[dict[str, Any]]:
        """What the monitor found of the champion, check after check, the oldest first."""
        return services.models.drift(name)

    @api.post("/models/{name}/promote", responses=NOT_FOUND)
    def promote(name: Name, wanted: PromoteIn) -> ModelOut:
        """Make a version the champion by hand; ``previous`` goes back to the champion of before."""
        return services.models.promote(name, wanted.version, wanted.reason)

    return api
