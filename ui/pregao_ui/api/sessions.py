"""``/sessions``: start, steer and follow paper-trading sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response
from fastapi.openapi.models import Example
from fastapi.responses import StreamingResponse

from pregao.sessions.control import OtherStartError
from pregao.sessions.records import Status
from pregao.sessions.spec import Mode, SessionSpec
from pregao_ui.api.events import STREAM_HEADERS
from pregao_ui.api.problems import CONFLICT, NOT_FOUND, ConflictError
from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.refusals import refusal
from pregao_ui.schemas.market import BarOut
from pregao_ui.schemas.sessions import Accepted, CommandIn, CommandOut, EquityOut, Launched, SessionOut, TradeOut
from pregao_ui.services import Services
from pregao_ui.services.sessions import Wanted
from pregao_ui.stream import Hub
from pregao_ui.texts import language_of, text

MAX_ROWS = 20_000
Key = Annotated[str, Header(max_length=200, pattern=r"^[\x21-\x7e]*$", description="Of this start; any text")]
STARTS: dict[str, Example] = {
    "replay": {
        "summary": "A replay of stored bars, ten a second",
        "value": {
            "instrument": "sample/binance/BTC-USDT", "timeframe": "1h", "strategy": "ma-cross",
            "config": {"fast": 12, "slow": 48}, "cash": 10000, "entry_value": 1000, "take_profit": 2, "stop_loss": 1,
            "feed": {"kind": "replay", "speed": 10},
        },
    },
    "several": {
        "summary": "Two instruments in one account, each entry up to 1,000",
        "value": {
            "instrument": "sample/binance/BTC-USDT", "also": ["sample/binance/ETH-USDT"], "timeframe": "1h",
            "strategy": "ma-cross", "cash": 10000, "entry_value": 1000, "take_profit": 2, "stop_loss": 1,
            "feed": {"kind": "replay", "speed": 10},
        },
    },
    "live": {
        "summary": "A market followed live, each entry to be approved",
        "value": {
            "instrument": "ccxt/binance/BTC-USDT", "timeframe": "1m", "strategy": "catboost-ai", "mode": "approve",
            "risk": {"profile": "conservative"},
            "feed": {"kind": "live", "source": "ccxt", "symbol": "BTC/USDT", "options": {"exchange": "binance"}},
        },
    },
}  # fmt: skip


def router(services: Services, hub: Hub) -> APIRouter:
    """Sessions, their rows and their stream."""
    api = APIRouter(prefix="/sessions", route_class=TaggedRoute, tags=["sessions"])

    @api.get("", responses=NOT_FOUND)
    def sessions(
        request: Request,
        response: Response,
        status: Annotated[list[Status] | None, Query(description="Any of these")] = None,
        instrument: Annotated[str | None, Query(max_length=200, description="Its key or symbol")] = None,
        strategy: Annotated[str | None, Query(max_length=100)] = None,
        mode: Mode | None = None,
        text: Annotated[str | None, Query(max_length=100, description="A part of its id, symbol, strategy, …")] = None,
        after: Annotated[str | None, Query(max_length=80, description="The last session of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
    ) -> list[SessionOut]:
        """Sessions, newest first.

        ``X-Total-Count`` says how many fit in all; ``Link`` leads to the next page, if there is one.
        """
        wanted = Wanted(tuple(status or ()), instrument, strategy, mode, text)
        page = services.sessions.some(wanted, after, limit)
        response.headers["X-Total-Count"] = str(page.total)
        if page.more:
            following = request.url.include_query_params(after=page.sessions[-1].id)
            response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
        return page.sessions

    @api.post("", status_code=201, responses=NOT_FOUND | CONFLICT)
    def start(
        spec: Annotated[SessionSpec, Body(openapi_examples=STARTS)], request: Request, idempotency_key: Key = ""
    ) -> Launched:
        """Create a session and ask for a runner. If none can be had, the session waits; start it later.

        With a key of the caller's choice in ``Idempotency-Key`` a start that is sent twice starts one session: so a
        request whose answer was lost can be sent again.
        """
        return _explained(_started(lambda: services.sessions.start(spec, idempotency_key)), request)

    @api.get("/{session_id}", responses=NOT_FOUND)
    def session(session_id: str) -> SessionOut:
        """One session as it stands."""
        return services.sessions.one(session_id)

    @api.get("/{session_id}/spec", responses=NOT_FOUND)
    def asked(session_id: str) -> SessionSpec:
        """What the session was asked, to be changed and asked again; what was left open is decided in it."""
        return services.journal.session(session_id).spec

    @api.post("/{session_id}/clone", status_code=201, responses=NOT_FOUND | CONFLICT)
    def clone(
        session_id: str,
        request: Request,
        changes: Annotated[dict[str, Any], Body(examples=[{"entry_value": 500, "mode": "approve"}])],
        idempotency_key: Key = "",
    ) -> Launched:
        """Start a session with the settings of another one, and what differs from them."""
        return _explained(_started(lambda: services.sessions.clone(session_id, changes, idempotency_key)), request)

    @api.post("/{session_id}/start", responses=NOT_FOUND)
    def launch(session_id: str, request: Request) -> Launched:
        """Ask for a runner for a session that has none."""
        return _explained(services.sessions.launch(session_id), request)

    @api.post("/{session_id}/resume", responses=NOT_FOUND)
    def resume(session_id: str, request: Request) -> Launched:
        """Go on with a session that is paused, or whose runner has gone."""
        return _explained(services.sessions.resume(session_id), request)

    @api.get("/{session_id}/equity", responses=NOT_FOUND)
    def equity(session_id: str, points: Annotated[int, Query(ge=10, le=4_000)] = 500) -> EquityOut:
        """The equity after each bar, thinned for a picture of so many columns; no extreme is lost."""
        return services.sessions.equity(session_id, points)

    @api.get("/{session_id}/before", responses=NOT_FOUND)
    def before(
        session_id: str,
        end: Annotated[float | None, Query(ge=0, le=1e11, description="Only bars that open before this time")] = None,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 300,
        instrument: Annotated[
            str | None, Query(max_length=200, description="Of several, by key or symbol; else the first")
        ] = None,
    ) -> list[BarOut]:
        """The last bars from before the session, oldest first: stored ones, and those it was warmed up on live."""
        return services.before.bars(session_id, end, limit, instrument)

    @api.get("/{session_id}/commands/{number}", responses=NOT_FOUND)
    def answer(session_id: str, number: Annotated[int, Path(ge=1)]) -> CommandOut:
        """What became of a command."""
        return services.sessions.answer(session_id, number)

    @api.post("/{session_id}/commands", status_code=202, responses=NOT_FOUND)
    def command(session_id: str, command: CommandIn) -> Accepted:
        """Pause, resume, stop, flatten (all, or one of several instruments); accept or refuse a proposal."""
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
        stream = hub.events(session_id, after, tail)
        return StreamingResponse(stream, media_type="text/event-stream", headers=STREAM_HEADERS)

    return api


def _started(ask: Callable[[], Launched]) -> Launched:
    try:
        return ask()
    except OtherStartError as error:
        raise ConflictError(error.message, error.mend) from None


def _explained(launched: Launched, request: Request) -> Launched:
    """Without a server there is one thing to say, in the person's language."""
    if launched.launched:
        return launched
    language = language_of(request.headers, request.cookies)
    why = refusal(language, launched.message) or text(language, "servers_down")
    return launched.model_copy(update={"message": why})
