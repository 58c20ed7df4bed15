"""Answers that a client may keep: an ETag of their content, and 304 to who has them already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.responses import StreamingResponse


class TaggedRoute(APIRoute):
    """A route whose good answers to GET carry an ETag; streams and files are left as they are."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with the tag put on what it answers."""
        handle = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            answer = await handle(request)
            streams = isinstance(answer, StreamingResponse) or not getattr(answer, "body", b"")
            if request.method != "GET" or answer.status_code != 200 or streams:
                return answer
            tag = f'"{hashlib.sha256(answer.body).hexdigest()[:24]}"'
            keep = {"ETag": tag, "Cache-Control": "private, no-cache"}
            asked = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
            if tag in asked:
                return Response(status_code=304, headers=keep)
            answer.headers.update(keep)
            return answer

        return tagged
