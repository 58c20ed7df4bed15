"""``/events``: one stream of several sessions, for a browser with a tab of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.stream import Hub

MOST = 100
"""Sessions on one stream."""
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Session = Annotated[str, Query(min_length=1, max_length=80, pattern=r"^[^\s:]+(:\d{1,18})?$")]


def router(hub: Hub) -> APIRouter:
    """The stream of several sessions."""
    api = APIRouter(route_class=TaggedRoute, tags=["sessions"])

    @api.get("/events", responses={200: {"content": {"text/event-stream": {}}}})
    def events(
        session: Annotated[
            list[Session],
            Query(min_length=1, max_length=MOST, description="`ID`, or `ID:N` for the rows after number N, too"),
        ],
    ) -> StreamingResponse:
        """Server-sent events of several sessions on one connection: a browser opens six to a host.

        The events are those of a session's own stream; the data of each is `{"session": ID, "data": …}`. They have no
        ids: who comes back names the last number seen of each session. `gone` says that there is no such session.
        """
        wanted: dict[str, int | None] = {}
        for one in session:
            name, _, after = one.partition(":")
            wanted[name] = int(after) if after else None
        return StreamingResponse(hub.together(wanted), media_type="text/event-stream", headers=STREAM_HEADERS)

    return api
