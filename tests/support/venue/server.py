"""The venue itself: a loopback server in a thread, its clock, its faults and what was asked of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from aiohttp import web

from venue import rest, stream
from venue.clock import MarketClock
from venue.faults import Fault
from venue.markets import EVERY_MS, INTERVALS, Market

T = TypeVar("T")
_APIS = ("/api/v3/", "/fapi/v1/")
_TAKEN = web.RequestKey("faults", list)


class Asked(NamedTuple):
    """A request that came: when (monotonic seconds), which endpoint, with what."""

    at: float
    endpoint: str
    query: dict[str, str]


class Row(NamedTuple):
    """A candle as a client should see it, in decimal units."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Venue:
    """The server; use it as a context manager.

    Args:
        markets: what is traded.
        start: the market's time at the beginning, ISO 8601, UTC; or a clock.
        routes: more endpoints, such as private ones.
    """

    def __init__(
        self,
        markets: Iterable[Market],
        start: str | MarketClock = "2024-03-01",
        routes: Iterable[Callable[[Venue], list[web.RouteDef]]] = (),
    ) -> None:
        self.markets = {market.id: market for market in markets}
        self.clock = start if isinstance(start, MarketClock) else MarketClock(ms(start))
        self.streams = stream.Streams(self)
        self.requests: list[Asked] = []
        self.then: list[Callable[[], None]] = []
        """Called in the server's loop whenever market time has passed."""
        self._routes = (rest.routes, stream.routes, *routes)
        self._faults: list[tuple[str, Fault]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="venue", daemon=True)
        self._runner: web.AppRunner | None = None
        self._pump: asyncio.Task[None] | None = None
        self.port = 0

    def __enter__(self) -> Venue:
        self._thread.start()
        self.call(self._serve())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's own loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # -- the market

    def advance(self, seconds: float = 0, *, minutes: float = 0) -> None:
        """Let market time pass, with all the frames that belong to it, in order."""
        self.call(self._advance(int((seconds + 60 * minutes) * 1_000)))

    def market(self, symbol: str) -> Market:
        return next(market for market in self.markets.values() if market.symbol == symbol)

    def last_ticks(self, market: Market) -> int:
        """The price of the last trade, in ticks."""
        now = self.clock.now()
        return market.between(now - 60 * EVERY_MS, now)[-1].ticks

    def truth(self, symbol: str, interval: str, start_ms: int, end_ms: int) -> list[Row]:
        """The closed candles with ``start_ms <= open < end_ms`` as they stand now: what a client must end with."""
        market, now = self.market(symbol), self.clock.now()
        candles = market.candles(interval, start_ms, end_ms - 1, now, 1_000_000)
        tick, lot = Decimal(1).scaleb(-market.decimals), Decimal(1).scaleb(-market.lot_decimals)
        return [
            Row(c.open_ms, c.open * tick, c.high * tick, c.low * tick, c.close * tick, c.lots * lot)
            for c in candles
            if c.open_ms + INTERVALS[interval] <= now
        ]

    def delist(self, symbol: str, *, gone: bool = False) -> None:
        """Trading ends now: the status is BREAK and no trade follows; or the symbol is not known any more at all."""
        market = self.market(symbol)
        market.status, market.ended_ms = "BREAK", self.clock.now()
        if gone:
            del self.markets[market.id]

    # -- what goes wrong

    def fault(self, fault: Fault, on: str = "klines", times: int = 1, after: int = 0) -> None:
        """The next ``times`` answers of an endpoint (``*`` for any) go wrong, ``after`` so many good ones."""
        self._faults += [(on, Fault())] * after
        self._faults += [(on, fault)] * times

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self.streams.faults.clear()
        self.streams.refused = False

    def disconnect(self, *, mid_message: bool = False) -> None:
        """End all websockets, or cut them off in the middle of a message."""
        self.call(self._disconnect(mid_message))

    def mute(self) -> None:
        """The websockets that stand now are half open from here on."""
        for connection in list(self.streams.connections):
            connection.muted = True

    def taken(self, request: web.Request) -> list[Fault]:
        """The faults that this request meets."""
        found: list[Fault] = request[_TAKEN]
        return found

    # -- what was asked

    def asked(self, endpoint: str) -> list[Asked]:
        return [one for one in self.requests if one.endpoint == endpoint]

    def counts(self) -> Counter[str]:
        return Counter(one.endpoint for one in self.requests)

    def subscribed(self, stream_name: str, timeout_s: float = 60.0) -> None:
        """Wait until a client has subscribed to a stream on a connection that works."""
        until = time.monotonic() + timeout_s
        while not any(stream_name in c.streams and not c.muted for c in list(self.streams.connections)):
            if time.monotonic() > until:
                raise TimeoutError(f"Nobody subscribed to {stream_name}.")
            time.sleep(0.005)

    # -- inside

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._meet])
        for routes in self._routes:
            app.add_routes(routes(self))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        if self.clock.rate:
            self._pump = asyncio.create_task(self._follow())

    async def _end(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        await self._disconnect(False)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _follow(self) -> None:
        """Where the clock runs by itself, frames follow it."""
        seen = self.clock.now()
        while True:
            await asyncio.sleep(0.02)
            now = self.clock.now()
            await self.streams.pass_time(seen, now)
            seen = now

    async def _advance(self, by_ms: int) -> None:
        start = self.clock.now()
        await self.streams.pass_time(start, start + by_ms)
        self.clock.set(start + by_ms)
        for call in self.then:
            call()

    async def _disconnect(self, mid_message: bool) -> None:
        for connection in list(self.streams.connections):
            if mid_message:
                connection.cut()
            else:
                await connection.socket.close()

    @web.middleware
    async def _meet(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith(_APIS):
            answer: web.StreamResponse = await handler(request)
            return answer
        endpoint = request.path.removeprefix(_APIS[0]).removeprefix(_APIS[1])
        self.requests.append(Asked(time.monotonic(), endpoint, dict(request.query)))
        faults: list[Fault] = []
        for i, (on, fault) in enumerate(self._faults):
            if on in (endpoint, "*"):
                faults = [fault]
                del self._faults[i]
                break
        request[_TAKEN] = faults
        for fault in faults:
            instead = await fault.before(request)
            if instead is not None:
                return instead
        answer = await handler(request)
        answer.headers["X-MBX-USED-WEIGHT-1M"] = str(len(self.requests))
        for fault in faults:
            assert isinstance(answer, web.Response)
            answer = await fault.after(request, answer)
        return answer


def ms(moment: str) -> int:
    """ISO 8601 as ms since 1970, UTC."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1_000)
