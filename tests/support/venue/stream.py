"""The websocket market streams of Binance spot: SUBSCRIBE, trade and kline frames, plain or combined."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from venue.frames import Frame, FrameFault
from venue.markets import INTERVALS, Candle, Market, Trade
from venue.rest import price, quantity

if TYPE_CHECKING:
    from venue.server import Venue

_TRADED, _CLOSED = 1, 0


class Connection:
    """One client's websocket and what it has subscribed to."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, combined: bool, streams: set[str]) -> None:
        self.socket = socket
        self.request = request
        self.combined = combined
        self.streams = streams
        self.muted = False
        """Half open: the connection stands, but nothing comes any more, not even an answer to a ping."""

    async def send(self, stream: str, frame: Frame) -> None:
        if stream in self.streams and not self.muted and not self.socket.closed:
            content = {"stream": stream, "data": frame} if self.combined else frame
            try:
                await self.socket.send_str(json.dumps(content))
            except ConnectionError:
                self.streams.clear()

    def cut(self) -> None:
        """End the connection in the middle of a message."""
        transport = self.request.transport
        if transport is not None:
            transport.write(b"\x81\x7e" + (500).to_bytes(2, "big") + b'{"e":"kline","E":17')
            transport.close()


class Streams:
    """All connections, and the frames that the passing of market time sends to them."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.connections: list[Connection] = []
        self.opened = 0
        self.refused = False
        self.faults: list[FrameFault] = []

    @property
    def names(self) -> set[str]:
        """The streams that any client has subscribed to."""
        return {name for connection in self.connections for name in connection.streams}

    async def publish(self, stream: str, frame: Frame) -> None:
        """Send a frame to all that subscribed, through the faults."""
        frames = [frame]
        for fault in self.faults:
            frames = [out for one in frames for out in fault(one)]
        for one in frames:
            for connection in list(self.connections):
                await connection.send(stream, one)

    async def pass_time(self, start_ms: int, end_ms: int) -> None:
        """All that happens with ``start_ms < time <= end_ms``, in order, on the streams that somebody listens to."""
        happenings: list[tuple[int, int, Market, Any]] = []
        listened = self._listened()
        for market in {market for market, _ in listened}:
            happenings += [(trade.ms, _TRADED, market, trade) for trade in market.between(start_ms, end_ms)]
        for market, interval in listened:
            if interval:
                span = INTERVALS[interval]
                ends = range((start_ms // span + 1) * span, end_ms + 1, span)
                happenings += [(end, _CLOSED, market, interval) for end in ends]
        for at, kind, market, what in sorted(happenings, key=lambda one: one[:2]):
            if not self.venue.clock.rate:
                self.venue.clock.set(at)
            if kind == _CLOSED:
                await self._close(market, what, at)
            else:
                await self._trade(market, what)
            await asyncio.sleep(0)

    def _listened(self) -> set[tuple[Market, str]]:
        """Markets and intervals that are listened to; an empty interval for trades."""
        split = [name.partition("@") for name in self.names]
        return {
            (self.venue.markets[symbol.upper()], channel.removeprefix("kline_") if channel != "trade" else "")
            for symbol, _, channel in split
            if symbol.upper() in self.venue.markets
        }

    async def _trade(self, market: Market, trade: Trade) -> None:
        frame = {
            "e": "trade", "E": trade.ms, "s": market.id, "t": trade.id, "p": price(market, trade.ticks),
            "q": quantity(market, trade.lots), "T": trade.ms, "m": trade.buyer_is_maker, "M": True,
        }  # fmt: skip
        name = market.id.lower()
        await self.publish(f"{name}@trade", frame)
        for interval in sorted(interval for other, interval in self._listened() if other is market and interval):
            candle = market.candle(interval, trade.ms)
            if candle is not None:
                await self.publish(
                    f"{name}@kline_{interval}", kline_frame(market, interval, candle, trade.ms, closed=False)
                )

    async def _close(self, market: Market, interval: str, at: int) -> None:
        candle = market.candle(interval, at - 1)
        if candle is not None:
            frame = kline_frame(market, interval, candle, at, closed=True)
            await self.publish(f"{market.id.lower()}@kline_{interval}", frame)


def kline_frame(market: Market, interval: str, candle: Candle, at: int, *, closed: bool) -> Frame:
    """A kline frame: the candle as it is, and whether it is the last word on it."""
    spent = price(market, candle.close)
    return {
        "e": "kline",
        "E": at,
        "s": market.id,
        "k": {
            "t": candle.open_ms, "T": candle.open_ms + INTERVALS[interval] - 1, "s": market.id, "i": interval,
            "f": candle.first, "L": candle.last, "o": price(market, candle.open), "c": price(market, candle.close),
            "h": price(market, candle.high), "l": price(market, candle.low), "v": quantity(market, candle.lots),
            "n": candle.trades, "x": closed, "q": spent, "V": quantity(market, candle.lots // 2), "Q": spent, "B": "0",
        },
    }  # fmt: skip


def routes(venue: Venue) -> list[web.RouteDef]:
    """``/ws/NAME`` for plain frames and ``/stream`` for combined ones; both take SUBSCRIBE and UNSUBSCRIBE."""

    async def serve(request: web.Request) -> web.StreamResponse:
        streams = venue.streams
        if streams.refused:
            return web.Response(status=503, text="streams are down")
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        named = {name for name in request.query.get("streams", "").split("/") if name}
        tail = request.match_info.get("name", "")
        connection = Connection(socket, request, request.path == "/stream", named | ({tail} if "@" in tail else set()))
        streams.connections.append(connection)
        streams.opened += 1
        try:
            async for message in socket:
                if message.type == WSMsgType.PING and not connection.muted:
                    await socket.pong(message.data)
                elif message.type == WSMsgType.TEXT and not connection.muted:
                    await _obey(connection, json.loads(message.data))
        finally:
            streams.connections.remove(connection)
        return socket

    paths = ("/ws", "/ws/{name}", "/{category}/ws/{name}", "/stream")
    return [web.get(path, serve) for path in paths]


async def _obey(connection: Connection, request: dict[str, Any]) -> None:
    """SUBSCRIBE or UNSUBSCRIBE, and the answer to it."""
    method, names = request.get("method"), request.get("params", [])
    if method == "SUBSCRIBE":
        connection.streams |= set(names)
    elif method == "UNSUBSCRIBE":
        connection.streams -= set(names)
    else:
        error = {"code": 2, "msg": f"Invalid request: unknown method {method}"}
        await connection.socket.send_str(json.dumps({"error": error, "id": request.get("id")}))
        return
    await connection.socket.send_str(json.dumps({"result": None, "id": request.get("id")}))
