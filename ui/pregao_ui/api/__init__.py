"""The REST API, one module a topic: what the page uses, and what a script may. Its document is ``/api/openapi.json``.

Everything answers under ``/api/v1``, whose shapes only ever gain fields, and under ``/api``, which is the newest.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from starlette.routing import compile_path

from pregao_ui.api import data, events, flows, health, market, models, profiles, proofs, sessions, settings, strategies
from pregao_ui.api.problems import ALWAYS, answer_errors, problem
from pregao_ui.services import Services
from pregao_ui.stream import Hub
from pregao_ui.texts import language_of, text

__all__ = ["answer_errors", "router"]

VERSION = "v1"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def router(services: Services, hub: Hub) -> APIRouter:
    """All routes of the API over these services and this stream."""
    # The guard in front has seen to it already; this is for the document.
    bearer = HTTPBearer(auto_error=False, description="A token, once a password is set: `pregao token NAME`")
    topics = APIRouter(responses=ALWAYS, dependencies=[Depends(bearer)])
    topics.include_router(health.router(services))
    topics.include_router(market.router(services))
    topics.include_router(data.router(services))
    topics.include_router(flows.router(services))
    topics.include_router(profiles.router())
    topics.include_router(strategies.router(services))
    topics.include_router(models.router(services))
    topics.include_router(sessions.router(services, hub))
    topics.include_router(events.router(hub))
    topics.include_router(settings.router(services))
    topics.include_router(proofs.router(services))
    api = APIRouter(prefix="/api")
    api.include_router(topics, prefix=f"/{VERSION}")
    api.include_router(topics, include_in_schema=False)

    @api.api_route("/{path:path}", methods=list(METHODS), include_in_schema=False)
    def nothing(request: Request) -> Response:
        """Anything else under /api: answered here, since Gradio's page would swallow it."""
        path, language = request.url.path[:80], language_of(request.headers, request.cookies)
        if takes := _methods_of(request):
            answer = problem(405, text(language, "err_wrong_method", path=path))
            answer.headers["Allow"] = ", ".join(takes)
            return answer
        return problem(404, text(language, "err_no_route", path=path), text(language, "err_no_route_mend"))

    return api


def _methods_of(request: Request) -> list[str]:
    """The methods that a path takes by the API's document; none if it leads nowhere."""
    path = request.url.path.removeprefix("/api/").removeprefix(f"{VERSION}/")
    for template, takes in request.app.openapi()["paths"].items():
        if compile_path(template)[0].match(f"/api/{VERSION}/{path}"):
            return sorted(method.upper() for method in takes)
    return []
