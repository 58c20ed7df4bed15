"""The REST API, one module a topic: what the page uses, and what a script may. Its document is ``/api/openapi.json``.

Everything answers under ``/api/v1``, whose shapes only ever gain fields, and under ``/api``, which is the newest.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from pregao_ui.api import health, market, models, sessions, strategies
from pregao_ui.api.problems import WRONG, answer_errors, problem
from pregao_ui.schemas.problems import Problem
from pregao_ui.services import Services
from pregao_ui.stream import Hub

__all__ = ["answer_errors", "router"]

VERSION = "v1"


def router(services: Services, hub: Hub) -> APIRouter:
    """All routes of the API over these services and this stream."""
    topics = APIRouter(responses=WRONG)
    topics.include_router(health.router(services))
    topics.include_router(market.router(services))
    topics.include_router(strategies.router(services))
    topics.include_router(models.router(services))
    topics.include_router(sessions.router(services, hub))
    api = APIRouter(prefix="/api")
    api.include_router(topics, prefix=f"/{VERSION}")
    api.include_router(topics, include_in_schema=False)

    @api.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nothing(path: str) -> Response:
        """Anything else under /api: answered here, since Gradio's page would swallow it."""
        return problem(404, Problem(message=f"There is no /api/{path[:80]}.", mend="See /api/openapi.json."))

    return api
