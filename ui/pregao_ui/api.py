"""The REST API under ``/api``: what the page uses, and what a script may. Its document is ``/api/openapi.json``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.sessions.control import SpecError
from pregao.sessions.spec import SessionSpec
from pregao_ui.schemas import (
    Accepted,
    BarOut,
    CommandIn,
    Health,
    Launched,
    ModelOut,
    Problem,
    SessionOut,
    StoredInstrument,
    StrategyOut,
    TradeOut,
)
from pregao_ui.services import Services
from pregao_ui.stream import Hub
from pregao_ui.texts import language_of, text
from pregao_ui.ticket import field_errors

MAX_ROWS = 20_000
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}
_WRONG: dict[int | str, dict[str, Any]] = {422: {"model": Problem}}


def router(services: Services, hub: Hub) -> APIRouter:
    """All routes of the API over these services and this stream."""
    api = APIRouter(prefix="/api", responses=_WRONG)

    @api.get("/health", tags=["panel"])
    def health() -> Health:
        """What answers, and how much there is."""
        return services.health()

    @api.get("/instruments", tags=["market"])
    def instruments() -> list[StoredInstrument]:
        """The instruments of the store with their timeframes."""
        return services.instruments()

    @api.get("/bars", tags=["market"], responses=_NOT_FOUND)
    def bars(
        instrument: Annotated[str, Query(max_length=200, description="Its key, or an unambiguous symbol")],
        timeframe: Annotated[str, Query(max_length=8)],
        end: Annotated[float | None, Query(ge=0, le=1e11, description="Only bars that open before this time")] = None,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 300,
    ) -> list[BarOut]:
        """The last bars before a time, oldest first."""
        return services.bars(instrument, timeframe, end, limit)

    @api.get("/strategies", tags=["strategies"])
    def strategies() -> list[StrategyOut]:
        """The installed strategies with the JSON schema of their settings."""
        return services.strategies

    @api.get("/models", tags=["models"])
    def models() -> list[ModelOut]:
        """The registered models with the gate's reasons."""
        return services.models()

    @api.get("/models/{name}/{version}/report", tags=["models"], responses=_NOT_FOUND, response_class=HTMLResponse)
    def report(name: str, version: str) -> HTMLResponse:
        """The report on a version (a number, or an alias such as champion) as one page."""
        return HTMLResponse(services.report(name, version))

    @api.get("/sessions", tags=["sessions"])
    def sessions() -> list[SessionOut]:
        """All sessions, newest first."""
        return services.sessions()

    @api.post("/sessions", tags=["sessions"], status_code=status.HTTP_201_CREATED, responses=_NOT_FOUND)
    def start(spec: SessionSpec, request: Request) -> Launched:
        """Create a session and ask for a runner. If none can be had, the session waits; start it later."""
        return _explained(services.start(spec), request)

    @api.get("/sessions/{session_id}", tags=["sessions"], responses=_NOT_FOUND)
    def session(session_id: str) -> SessionOut:
        """One session as it stands."""
        return services.session(session_id)

    @api.post("/sessions/{session_id}/start", tags=["sessions"], responses=_NOT_FOUND)
    def launch(session_id: str, request: Request) -> Launched:
        """Ask for a runner for a session that has none."""
        return _explained(services.launch(session_id), request)

    @api.post(
        "/sessions/{session_id}/commands",
        tags=["sessions"],
        status_code=status.HTTP_202_ACCEPTED,
        responses=_NOT_FOUND,
    )
    def command(session_id: str, command: CommandIn) -> Accepted:
        """Pause, resume, stop, flatten; accept or refuse a proposal."""
        return Accepted(command=services.command(session_id, command))

    @api.get("/sessions/{session_id}/trades", tags=["sessions"], responses=_NOT_FOUND)
    def trades(session_id: str, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> list[TradeOut]:
        """The last closed trades, oldest first."""
        return services.trades(session_id, limit)

    @api.get("/sessions/{session_id}/rows", tags=["sessions"], responses=_NOT_FOUND)
    def rows(
        session_id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        tail: Annotated[int | None, Query(ge=0, le=MAX_ROWS)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = MAX_ROWS,
    ) -> list[dict[str, Any]]:
        """The journal's rows after a number, or the last ``tail`` ones; see `pregao.sessions.views`."""
        services.session(session_id)
        if tail is not None:
            after = max(after, services.tail_start(session_id, tail))
        return services.rows(session_id, after, limit)

    @api.get(
        "/sessions/{session_id}/events",
        tags=["sessions"],
        response_class=StreamingResponse,
        responses={**_NOT_FOUND, 200: {"content": {"text/event-stream": {}}}},
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
        services.session(session_id)
        if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
            after = min(int(last_event_id), 2**62)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(hub.events(session_id, after, tail), media_type="text/event-stream", headers=headers)

    @api.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nothing(path: str) -> Response:
        """Anything else under /api: answered here, since Gradio's page would swallow it."""
        return _problem(404, Problem(message=f"There is no /api/{path[:80]}.", mend="See /api/openapi.json."))

    return api


def answer_errors(app: FastAPI) -> None:
    """Errors of the platform and of a request's form become a `Problem`, in the person's language where known."""

    @app.exception_handler(PregaoError)
    def platform(request: Request, error: Exception) -> Response:
        assert isinstance(error, PregaoError)
        fields = error.problems if isinstance(error, SpecError) else {}
        code = 404 if isinstance(error, NotFoundError) else 422 if isinstance(error, UsageError) else 503
        return _problem(code, Problem(message=error.message, mend=error.mend, fields=fields))

    @app.exception_handler(RequestValidationError)
    def form(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields = field_errors(error.errors(), language_of(request.headers, request.cookies), skip=1)
        told = "; ".join(f"{name}: {why}" if name else why for name, why in fields.items())
        named = {name: why for name, why in fields.items() if name}
        return _problem(422, Problem(message=told or "The request is malformed.", fields=named))


def _explained(launched: Launched, request: Request) -> Launched:
    """Without a server there is one thing to say, in the person's language."""
    if launched.launched or launched.message:
        return launched
    language = language_of(request.headers, request.cookies)
    return launched.model_copy(update={"message": text(language, "servers_down")})


def _problem(code: int, problem: Problem) -> Response:
    return JSONResponse(problem.model_dump(), code, headers={"Cache-Control": "no-store"})
