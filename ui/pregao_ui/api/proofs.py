"""``/sessions/…``: audit, lineage, shadow, tear sheet, export; ``/comparison`` of several sessions."""

from __future__ import annotations

import shutil
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse
from starlette.background import BackgroundTask

from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.schemas.proofs import AuditOut, ComparedOut, DuelOut, StepOut
from pregao_ui.services import Services
from pregao_ui.texts import LANGUAGES, language_of

MOST = 8
"""Sessions in one comparison: more lines nobody can tell apart."""
Language = Literal["en", "pt-BR"]


def router(services: Services) -> APIRouter:
    """What the record of a session proves."""
    api = APIRouter(route_class=TaggedRoute, tags=["sessions"])

    @api.get("/sessions/{session_id}/audit", responses=NOT_FOUND)
    def audit(session_id: str) -> AuditOut:
        """Live through the whole journal again, through the step of a backtest, and compare every row."""
        return services.proofs.audit(session_id)

    @api.get("/sessions/{session_id}/lineage", responses=NOT_FOUND)
    def lineage(session_id: str, seq: Annotated[int | None, Query(ge=1, le=2**62)] = None) -> list[StepOut]:
        """Where the profit or loss at a row of the journal came from; by default at the last."""
        return services.proofs.lineage(session_id, seq)

    @api.get("/sessions/{session_id}/shadow", responses=NOT_FOUND)
    def shadow(session_id: str, request: Request, language: Language | None = None) -> DuelOut | None:
        """How the challenger in shadow of a session does beside it; null if there is none."""
        return services.proofs.shadow(session_id, language or language_of(request.headers, request.cookies))

    @api.get("/sessions/{session_id}/tearsheet", responses={**NOT_FOUND, 200: {"content": {"text/html": {}}}})
    def tearsheet(session_id: str, request: Request, language: Language | None = None) -> HTMLResponse:
        """The session as a report of one page, which needs nothing from elsewhere."""
        chosen = language or language_of(request.headers, request.cookies)
        assert chosen in LANGUAGES
        return HTMLResponse(services.proofs.tearsheet(session_id, chosen))

    @api.get(
        "/sessions/{session_id}/export",
        responses={**NOT_FOUND, 200: {"content": {"application/zip": {}}}},
    )
    def export(session_id: str, form: Literal["csv", "parquet"] = "csv") -> FileResponse:
        """The journal, bars, fills, orders, decisions and trades as tables, in one ZIP file."""
        target = services.proofs.export(session_id, form)
        gone = BackgroundTask(shutil.rmtree, target.parent, ignore_errors=True)
        return FileResponse(target, media_type="application/zip", filename=target.name, background=gone)

    @api.get("/comparison", responses=NOT_FOUND)
    def comparison(session: Annotated[list[str], Query(min_length=1, max_length=MOST)]) -> list[ComparedOut]:
        """Sessions side by side: equity in per cent of the cash at the start, and the usual figures."""
        return services.proofs.compared(session)

    return api
