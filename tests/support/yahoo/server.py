"""The server: Yahoo's hosts as first part of the path (``/query2.finance.yahoo.com/v8/finance/chart/AAPL``)."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from yahoo.chart import RefusalError, answer
from yahoo.market import Stock, a_market

Edit = Callable[[dict[str, Any]], None]
"""Changes the one result of a chart's answer in place."""


@dataclass
class Fault:
    """What goes wrong with the next answers.

    Attributes:
        times: with how many of them.
        wait_s: seconds until the answer.
        status: another status than 200, with ``text`` as its body.
        headers: of an answer with another status.
        text: the body; None for the true one.
        cut: only this part of the body is sent, then the connection breaks.
        hang_up: the connection breaks before any answer.
        edit: changes the true answer.
        new_crumb: the crumb that clients hold is not valid any more.
        bars_only: the question for a symbol's facts, which comes first, is answered well.
        search: it is searches that go wrong, not charts.
    """

    times: int = 1
    wait_s: float = 0.0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    cut: float = 1.0
    hang_up: bool = False
    edit: Edit | None = None
    new_crumb: bool = False
    bars_only: bool = False
    search: bool = False


class YahooServer:
    """A Yahoo in a thread of this process, on a free port of loopback; a context manager.

    Attributes:
        stocks: what is listed, by symbol.
        now: seconds since 1970 that the server believes in; None for the true ones.
        faults: what goes wrong with the next charts and searches, in order.
        asked: path and query of every request for a chart.
        searched: the words of every search.
        ticks: what its stream sends to whoever has subscribed to the symbol.
    """

    def __init__(self, stocks: dict[str, Stock] | None = None) -> None:
        self.stocks = stocks if stocks is not None else a_market()
        self.now: float | None = None
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.searched: list[str] = []
        self.crumb = "crumb/1"
        self.crumbs = 1
        self.consents = 0
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="yahoo", daemon=True)
        self._streams: dict[web.WebSocketResponse, set[str]] = {}

    def __enter__(self) -> YahooServer:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def fail(self, **fault: Any) -> None:
        """The next charts, or searches, go wrong; see `Fault`."""
        self.faults.append(Fault(**fault))

    def edit(self, change: Edit, **fault: Any) -> None:
        """The next chart with bars is changed before it is sent."""
        self.fail(edit=change, bars_only=True, **fault)

    @property
    def charts(self) -> list[dict[str, str]]:
        """The queries for bars that have been made (not those for a symbol's rules), without cookies and crumbs."""
        return [query for _, query in self.asked if "period1" in query]

    def stream(self, symbol: str, **fields: Any) -> int:
        """Send one message of pricing to the subscribers of a symbol; returns how many there are."""
        return asyncio.run_coroutine_threadsafe(self._send(symbol, fields), self._loop).result(10)

    def cut_streams(self) -> None:
        """Break every stream in the middle of a message."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_route("GET", "/fc.yahoo.com{tail:.*}", self._cookie)
        app.router.add_route("GET", "/guce.yahoo.com/consent", self._consent)
        app.router.add_route("POST", "/consent.yahoo.com/v2/collectConsent", self._agree)
        app.router.add_route("GET", "/guce.yahoo.com/copyConsent", self._agree)
        app.router.add_route("GET", "/{host}/v1/test/getcrumb", self._crumb)
        app.router.add_route("GET", "/{host}/v1/finance/search", self._search)
        app.router.add_route("GET", "/{host}/v8/finance/chart/{symbol}", self._chart)
        app.router.add_route("GET", "/streamer.finance.yahoo.com/", self._stream)
        app.router.add_route("*", "/{tail:.*}", self._nothing)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.address = f"http://127.0.0.1:{port}"

    async def _cookie(self, _: web.Request) -> web.Response:
        answer = web.Response(status=404, text="")
        answer.set_cookie("A3", "d=AQABBLocal&S=AQAAA", max_age=31_557_600, path="/")
        return answer

    async def _consent(self, _: web.Request) -> web.Response:
        form = '<form><input name="csrfToken" value="t0k3n"><input name="sessionId" value="3_cc-session"></form>'
        return web.Response(text=f"<html><body>{form}</body></html>", content_type="text/html")

    async def _agree(self, request: web.Request) -> web.Response:
        assert request.query["sessionId"] == "3_cc-session"
        self.consents += request.method == "POST"
        return await self._cookie(request)

    async def _crumb(self, request: web.Request) -> web.Response:
        if "A3" not in request.cookies:
            return web.json_response(_unauthorized("Invalid Cookie"), status=401)
        return web.Response(text=self.crumb)

    async def _search(self, request: web.Request) -> web.StreamResponse:
        wanted, most = request.query["q"].upper(), int(request.query["quotesCount"])
        self.searched.append(request.query["q"])
        fault = self._next_fault({}, search=True)
        if (failed := await self._failed(request, fault)) is not None:
            return failed
        exact = [s for s in self.stocks.values() if wanted in s.symbol or wanted in s.name.upper()]
        listed = exact or [s for s in self.stocks.values() if s.symbol.startswith(wanted[:2])]
        quotes: list[dict[str, Any]] = [
            {
                "exchange": s.exchange, "shortname": s.name, "quoteType": s.kind, "symbol": s.symbol, "index": "quotes",
                "score": 20_000.0, "typeDisp": s.kind.capitalize(), "longname": s.name, "exchDisp": s.exchange,
                "isYahooFinance": True,
            }
            for s in listed[:most]
        ]  # fmt: skip
        if exact:  # companies that are not listed stand among the others, without a symbol
            quotes.append({"index": "78ddc07626ff4bbcae663e88514c23a0", "name": "Applied Widgets", "permalink": "aw",
                           "isYahooFinance": False})  # fmt: skip
        body = {"explains": [], "count": len(quotes), "quotes": quotes, "news": [], "nav": [], "lists": [],
                "researchReports": [], "totalTime": 21}  # fmt: skip
        return await self._sent(request, fault, body)

    async def _nothing(self, _: web.Request) -> web.Response:
        error = {"code": "Not Found", "description": "No such page."}
        return web.json_response({"finance": {"result": None, "error": error}}, status=404)

    async def _chart(self, request: web.Request) -> web.StreamResponse:
        symbol, query = request.match_info["symbol"], dict(request.query)
        self.asked.append((request.path, {k: v for k, v in query.items() if k != "crumb"}))
        if query.get("crumb", self.crumb) != self.crumb:
            return web.json_response(_unauthorized("Invalid Crumb"), status=401)
        fault = self._next_fault(query, search=False)
        if fault.new_crumb:
            self.crumbs += 1
            self.crumb = f"crumb/{self.crumbs}"
            return web.json_response(_unauthorized("Invalid Crumb"), status=401)
        if (failed := await self._failed(request, fault)) is not None:
            return failed
        stock = self.stocks.get(symbol)
        try:
            if stock is None:
                raise RefusalError(404, "Not Found", "No data found, symbol may be delisted")
            now = int(time.time() if self.now is None else self.now)
            body = await asyncio.to_thread(answer, stock, query, now)
        except RefusalError as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        if fault.edit is not None:
            fault.edit(body["chart"]["result"][0])
        return await self._sent(request, fault, body)

    async def _failed(self, request: web.Request, fault: Fault) -> web.Response | None:
        """What comes instead of an answer; None if there is to be one."""
        await asyncio.sleep(fault.wait_s)
        if fault.hang_up:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.status != 200:
            return web.Response(status=fault.status, text=fault.text or "", headers=fault.headers)
        return None

    async def _sent(self, request: web.Request, fault: Fault, body: dict[str, Any]) -> web.StreamResponse:
        """The answer, or what the fault leaves of it."""
        text = json.dumps(body) if fault.text is None else fault.text
        if fault.cut == 1.0:
            return web.Response(text=text, content_type="application/json")
        content = text.encode()
        partial = web.StreamResponse(headers={"Content-Length": str(len(content)), "Content-Type": "application/json"})
        await partial.prepare(request)
        await partial.write(content[: int(len(content) * fault.cut)])
        assert request.transport is not None
        request.transport.close()
        return partial

    def _next_fault(self, query: dict[str, str], *, search: bool) -> Fault:
        for fault in self.faults:
            if fault.search == search and ("period1" in query or not fault.bars_only):
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                return fault
        return Fault()

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._streams[socket] = set()
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                asked = json.loads(message.data)
                self._streams[socket] |= set(asked.get("subscribe", []))
                self._streams[socket] -= set(asked.get("unsubscribe", []))
        self._streams.pop(socket, None)
        return socket

    async def _send(self, symbol: str, fields: dict[str, Any]) -> int:
        from yfinance.pricing_pb2 import PricingData

        content = PricingData(id=symbol, **fields).SerializeToString()
        text = json.dumps({"type": "pricing", "message": base64.b64encode(content).decode()})
        those = [socket for socket, symbols in self._streams.items() if symbol in symbols]
        for socket in those:
            await socket.send_str(text)
        return len(those)

    async def _cut(self) -> None:
        for socket in list(self._streams):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                # The first half of a text frame of 100 bytes.
                transport.write(b"\x81\x64" + b"x" * 40)
                transport.abort()


def _unauthorized(why: str) -> dict[str, Any]:
    return {"finance": {"result": None, "error": {"code": "Unauthorized", "description": why}}}
