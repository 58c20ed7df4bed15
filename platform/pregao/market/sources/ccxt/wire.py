"""A market's live access by ccxt: `pregao.market.feeds.wire.Wire` over ``ccxt.pro``, or over REST alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro

from pregao.core.errors import NotFoundError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.feeds.events import Traded
from pregao.market.feeds.sequence import Candle
from pregao.market.sources.ccxt.client import CcxtOptions, match, open_client
from pregao.market.sources.ccxt.pages import Page
from pregao.market.sources.ccxt.patience import AGAIN, Patience, VenueError, plain
from pregao.market.sources.ccxt.rules import check_timeframe

PATIENCE = Patience(tries=3, first_s=0.2, most_s=5.0)
"""Less than for history: a live feed tries again by itself, and says that it is stale meanwhile."""
CLOSE_S = 2.0
_MS = 1_000_000


class _Marks:
    """Binance and its kin mark the last frame of a candle (``x``), which ccxt's candles do not tell.

    Such a frame goes to its reader at once: not through ccxt's dispatch, and not into its cache of candles, which
    nobody asks.
    """

    on_kline: Callable[[dict[str, Any]], None] | None = None

    def handle_message(self, client: Any, message: Any) -> Any:
        if self.on_kline is not None and isinstance(message, dict):
            event = message.get("data", message)  # a combined stream wraps it
            kline = event.get("k") if isinstance(event, dict) and event.get("e") == "kline" else None
            if isinstance(kline, dict) and "x" in kline:
                kline["E"] = event.get("E")
                self.on_kline(kline)
                return None
        return super().handle_message(client, message)  # type: ignore[misc]


class CcxtWire:
    """See `pregao.market.feeds.wire.Wire`.

    Args:
        options: which exchange and where.
        instrument, timeframe: which market and which candles.
        trades: whether to listen to trades too.
        patience: how failed questions are met.
    """

    def __init__(
        self,
        options: CcxtOptions,
        instrument: Instrument,
        timeframe: Timeframe,
        trades: bool = False,
        patience: Patience = PATIENCE,
    ) -> None:
        self._options = options
        self._instrument = instrument
        self._timeframe = timeframe
        self._step_ms = timeframe.seconds * 1_000
        self._trades = trades
        self._patience = patience
        self._market: Any = None
        self._closing: set[asyncio.Task[Any]] = set()
        streaming = options.exchange in ccxt.pro.exchanges
        if streaming:
            self._client = open_client(options, ccxt.pro, _Marks)
        else:
            self._client = open_client(options, ccxt.async_support)
        self.streams = bool(streaming and self._client.has.get("watchOHLCV"))

    async def open(self) -> None:
        """Load the markets, and find ours."""
        await self._asked(self._client.load_markets)
        self._market = match(self._client, self._instrument.symbol, self._options.kind)
        self._spelled = check_timeframe(self._client, self._timeframe)

    async def now_ns(self) -> int:
        """The exchange's clock; this machine's if it does not tell."""
        if not self._client.has.get("fetchTime"):
            return int(self._client.milliseconds()) * _MS
        return int(await self._asked(self._client.fetch_time)) * _MS

    async def trading(self) -> bool:
        """Whether the market is active; raises `NotFoundError` if two lists of the exchange lack it."""
        for last in (False, True):
            await self._asked(lambda: self._client.load_markets(True))
            try:
                self._market = match(self._client, self._instrument.symbol, self._options.kind)
            except NotFoundError:
                if last:
                    raise
            else:
                break
        return self._market.get("active") is not False

    async def candles(self, since_ns: int, now_ns: int, limit: int) -> list[Candle]:
        """By REST; what is doubtful is asked for again."""
        since_ms = since_ns // _MS
        page = Page(since_ms, float("inf"), self._step_ms, now_ns // _MS - self._step_ms + 1)
        while page.wanted:
            answer = await self._asked(
                lambda: self._client.fetch_ohlcv(self._market["symbol"], self._spelled, since_ms, limit)
            )
            page.add([list(row) for row in answer])
        if not page.settled:
            raise VenueError(f"{self._client.id} answers every time differently.", AGAIN)
        return [_candle(row) for row in page.rows.values()]

    def actions(self) -> tuple[()]:
        """An exchange of coins has none."""
        return ()

    async def listen(self, candle: Callable[[Candle], None], trade: Callable[[Traded], None]) -> None:
        """Candles, and trades if wanted, until the stream fails."""
        client = self._client

        def on_kline(kline: dict[str, Any]) -> None:
            if kline.get("s") == self._market["id"] and kline.get("i") == client.timeframes[self._spelled]:
                candle(_marked(kline))

        client.on_kline = on_kline
        works = [asyncio.ensure_future(self._candles(candle))]
        if self._trades and client.has.get("watchTrades"):
            works.append(asyncio.ensure_future(self._each_trade(trade)))
        try:
            done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
            ended = next(iter(done))
            error = asyncio.CancelledError("closed") if ended.cancelled() else ended.exception()
            raise plain(client, error or ccxt.NetworkError("closed"), 1) from error
        finally:
            client.on_kline = None
            for work in works:
                work.cancel()
            self._drop()
            await asyncio.gather(*works, return_exceptions=True)

    async def close(self) -> None:
        """Close everything; a peer that does not answer is not waited for."""
        self._drop()
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_S)
        with suppress(Exception):  # whatever the library meets while it lets go is of no interest any more
            await asyncio.wait_for(self._client.close(), CLOSE_S)
        # Its connections are closed, though perhaps not yet acknowledged by the other side.
        self._client.session = self._client.tcp_connector = None

    async def _candles(self, candle: Callable[[Candle], None]) -> None:
        while True:
            for row in await self._client.watch_ohlcv(self._market["symbol"], self._spelled):
                candle(_candle(row))

    async def _each_trade(self, trade: Callable[[Traded], None]) -> None:
        tick = float(self._instrument.tick_size)
        while True:
            for one in await self._client.watch_trades(self._market["symbol"]):
                if one["price"] and one["amount"] and one["timestamp"]:
                    ticks = round(one["price"] / tick)
                    trade(Traded(one["timestamp"] * _MS, ticks, one["amount"], one["side"] or ""))

    async def _asked(self, request: Callable[[], Awaitable[Any]]) -> Any:
        return await self._patience.acall(self._client, request)

    def _drop(self) -> None:
        """Forget the connections at once, and close them meanwhile: a half-open one takes its time."""
        clients = getattr(self._client, "clients", None)
        for stream in list((clients or {}).values()):
            task = asyncio.ensure_future(stream.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if clients:
            clients.clear()


def _candle(row: list[Any]) -> Candle:
    opened, high, low, close, volume = (_number(value) for value in row[1:6])
    return Candle(int(row[0]) * _MS, opened, high, low, close, volume)


def _marked(kline: dict[str, Any]) -> Candle:
    """A candle from Binance's frame."""
    get = kline.get
    return Candle(
        int(kline["t"]) * _MS,
        _number(get("o")),
        _number(get("h")),
        _number(get("l")),
        _number(get("c")),
        _number(get("v")),
        bool(kline["x"]),
        int(get("E") or 0) * _MS,
    )


def _number(value: Any) -> float:
    """A price or volume as a float; NaN for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
