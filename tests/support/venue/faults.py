"""What can go wrong with an answer over REST, one class each. A fault is used up after as many answers as it is for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Rows = list[list[Any]]


class Fault:
    """Nothing goes wrong. A real fault overrides one of these."""

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """An answer instead of the endpoint's own."""
        return None

    def rows(self, rows: Rows) -> Rows:
        """What becomes of a page of klines."""
        return rows

    async def after(self, request: web.Request, answer: web.Response) -> web.StreamResponse:
        """What becomes of the finished answer."""
        return answer


@dataclass
class Delay(Fault):
    """The answer comes so much later."""

    seconds: float

    async def before(self, request: web.Request) -> None:
        await asyncio.sleep(self.seconds)


@dataclass
class Status(Fault):
    """An error status, as Binance sends it: 429 and 418 with Retry-After, 5xx as a page of HTML."""

    status: int
    retry_after: float | None = None
    code: int = -1003
    message: str = "Too many requests; current limit is 6000 request weight per 1 MINUTE."

    async def before(self, request: web.Request) -> web.Response:
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        if self.status >= 500:
            page = "<html><body><h1>Bad Gateway</h1></body></html>"
            return web.Response(status=self.status, text=page, content_type="text/html", headers=headers)
        return web.json_response({"code": self.code, "msg": self.message}, status=self.status, headers=headers)


@dataclass
class Malformed(Fault):
    """A complete answer whose JSON ends in the middle."""

    share: float = 0.6

    async def after(self, request: web.Request, answer: web.Response) -> web.Response:
        body = bytes(answer.body)
        return web.Response(body=body[: int(len(body) * self.share)], content_type="application/json")


@dataclass
class Cut(Fault):
    """The connection ends in the middle of the answer."""

    share: float = 0.5

    async def after(self, request: web.Request, answer: web.Response) -> web.StreamResponse:
        body = bytes(answer.body)
        stream = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
        await stream.prepare(request)
        await stream.write(body[: int(len(body) * self.share)])
        assert request.transport is not None
        request.transport.close()
        return stream


@dataclass
class Short(Fault):
    """A page lacks the rows at these places."""

    at: tuple[int, ...] = (-1,)

    def rows(self, rows: Rows) -> Rows:
        gone = {i % len(rows) for i in self.at} if rows else set()
        return [row for i, row in enumerate(rows) if i not in gone]


@dataclass
class Doubled(Fault):
    """Every n-th row comes twice."""

    nth: int = 3

    def rows(self, rows: Rows) -> Rows:
        return [again for i, row in enumerate(rows) for again in ([row, row] if i % self.nth == 0 else [row])]


@dataclass
class Shuffled(Fault):
    """The rows come in another order."""

    seed: int = 1

    def rows(self, rows: Rows) -> Rows:
        return random.Random(self.seed).sample(rows, len(rows))


@dataclass
class Altered(Fault):
    """The row at a place is changed: ``change`` gets the row and returns another."""

    change: Callable[[list[Any]], list[Any]]
    at: int = -2

    def rows(self, rows: Rows) -> Rows:
        at = self.at % len(rows) if rows else -1
        return [self.change(list(row)) if i == at else row for i, row in enumerate(rows)]
