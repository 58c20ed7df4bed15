"""``/sessions``: start, steer and follow paper-trading sessions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, status
from fastapi.responses import StreamingResponse

from pregao.sessions.spec import SessionSpec
from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.schemas.sessions import Accepted, CommandIn, Launched, SessionOut, TradeOut
from pregao_ui.services import Services
from pregao_ui.stream import Hub
from pregao_ui.texts import language_of, text

MAX_ROWS = 20_000


def router(services: Services, hub: Hub) -> APIRouter:
    """Sessions, their rows and their stream."""
    api = APIRouter(prefix="/sessions", tags=["sessions"])

    @api.get("")
    def sessions() -> list[SessionOut]:
        """All sessions, newest first."""
        return services.sessions.all()

    @api.post("", status_code=status.HTTP_201_CREATED, responses=NOT_FOUND)
    def start(spec: SessionSpec, request: Request) -> Launched:
        """Create a session and ask for a runner. If none can be had, the session waits; start it later."""
        return _explained(services.sessions.start(spec), request)

    @api.get("/{session_id}", responses=NOT_FOUND)
    def session(session_id: str) -> SessionOut:
        """One session as it stands."""
        return services.sessions.one(session_id)

    @api.post("/{session_id}/start", responses=NOT_FOUND)
    def launch(session_id: str, request: Request) -> Launched:
        """Ask for a runner for a session that has none."""
        return _explained(services.sessions.launch(session_id), request)

    @api.post("/{session_id}/commands", status_code=status.HTTP_202_ACCEPTED, responses=NOT_FOUND)
    def command(session_id: str, command: CommandIn) -> Accepted:
        """Pause, resume, stop, flatten; accept or refuse a proposal."""
        return Accepted(command=services.sessions.command(session_id, command))

    @api.get("/{session_id}/trades", responses=NOT_FOUND)
    def trades(session_id: str, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> list[TradeOut]:
        """The last closed trades, oldest first."""
        return services.sessions.trades(session_id, limit)

    @api.get("/{session_id}/rows", responses=NOT_FOUND)
    def rows(
        session_id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        tail: Annotated[int | None, Query(ge=0, le=MAX_ROWS)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = MAX_ROWS,
    ) -> list[dict[str, Any]]:
        """The journal's rows after a number, or the last ``tail`` ones; see `pregao.sessions.views`."""
        services.sessions.one(session_id)
        if tail is not None:
            after = max(after, services.sessions.tail_start(session_id, tail))
        return services.sessions.rows(session_id, after, limit)

    @api.get(
        "/{session_id}/events",
        response_class=StreamingResponse,
        responses={**NOT_FOUND, 200: {"content": {"text/event-stream": {}}}},
    )
    def events(
        session_id: str,
        after: Annotated[int | None, Query(ge=0)] = None,
        tail: Annotated[int, Query(ge=0, le=MAX_ROWS)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """Server-sent events: the rows after a number (or the last ``tail``), then each new one as it is committed.

        ``Last-Event-ID`` wins over ``after``: an interrupted stream goes on without a gap or a repetition.
        """
        services.sessions.one(session_id)
        if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
            after = min(int(last_event_id), 2**62)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(hub.events(session_id, after, tail), media_type="text/event-stream", headers=headers)

    return api


def _explained(launched: Launched, request: Request) -> Launched:
    """Without a server there is one thing to say, in the person's language."""
    if launched.launched or launched.message:
        return launched
    language = language_of(request.headers, request.cookies)
    return launched.model_copy(update={"message": text(language, "servers_down")})
