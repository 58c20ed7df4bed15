"""Yahoo, live: `pregao.market.feeds.wire.Wire` over its charts, with its stream of prices.

Yahoo's stream tells prices, not candles: what has closed is asked for, once a bar, and the stream says when.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from pregao.core.actions import Dividend, Split
from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.actions import read_actions
from pregao.market.feeds.events import Traded
from pregao.market.feeds.sequence import Candle
from pregao.market.feeds.wire import BusyError
from pregao.market.sources.yfinance_client import Yahoo
from pregao.market.sources.yfinance_traded import actions_of, applied, open_times, splits_of, traded

LONGEST_DELAY_NS = 20 * 60 * 1_000_000_000
"""Some exchanges' prices reach Yahoo up to 15 minutes late."""
_DAY_NS = 86_400_000_000_000

T = TypeVar("T")


class YahooWire:
    """See `pregao.market.feeds.wire.Wire`.

    Args:
        yahoo: the client.
        instrument: which market; its prices must lie on its grid.
        timeframe: which candles, shorter than a day.
        clock: this machine's, ns since 1970 UTC.
    """

    streams = True

    def __init__(
        self,
        yahoo: Yahoo,
        instrument: Instrument,
        timeframe: Timeframe,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if not timeframe.intraday:
            raise UsageError(f"A live feed of Yahoo has no {timeframe} bars.", "Use 1m, 5m, 15m, 30m or 1h.")
        self._yahoo = yahoo
        self._instrument = instrument
        self._timeframe = timeframe
        self._clock = clock
        self._volume = 0
        self._actions: tuple[Split | Dividend, ...] = ()

    async def open(self) -> None:
        """Nothing to prepare: each question stands for itself."""

    async def now_ns(self) -> int:
        """Until when Yahoo has told the market: its last trade, no more than 20 minutes ago while the exchange is open.

        When it is closed, the clock stands at its close: nothing is due, nothing is late.
        """
        return seen_ns(await _apart(lambda: self._yahoo.facts(self._instrument.symbol)), self._clock())

    async def trading(self) -> bool:
        """Whether Yahoo still knows the symbol; raises `NotFoundError` if not."""
        await _apart(lambda: self._yahoo.facts(self._instrument.symbol))
        return True

    async def candles(self, since_ns: int, now_ns: int, limit: int) -> list[Candle]:
        """As they were traded; splits on the way are undone. What is over by ``now_ns`` Yahoo knows whole."""
        symbol, rules = self._instrument.symbol, self._instrument
        start_s, end_s = since_ns // 1_000_000_000, self._clock() // 1_000_000_000 + 1
        answer = await _apart(lambda: self._yahoo.bars(symbol, self._timeframe.name, start_s, end_s))
        frame = answer.frame
        times = open_times(frame.index, False)
        # A row at an odd second is no candle, but the last price; a row of nulls is none either.
        wanted = (times >= since_ns) & (times % 60_000_000_000 == 0) & frame["Close"].notna().to_numpy()
        frame, times = frame[wanted], times[wanted]
        zone = str(answer.meta["exchangeTimezoneName"])
        listed = splits_of(frame, zone)
        undo = applied(listed, times, frame)
        self._actions = ()
        if listed or frame["Dividends"].any():
            told = read_actions(actions_of(frame, zone, listed, undo)).values()
            self._actions = tuple(action for action in told if isinstance(action, Split | Dividend))
        table = traded(frame, times, undo, (rules.tick_size,)).frame
        values = table[["open", "high", "low", "close", "volume"]].to_numpy(dtype=np.float64)
        rows = zip(times.tolist(), values.tolist(), strict=True)
        return [Candle(at, row[0], row[1], row[2], row[3], row[4]) for at, row in rows][:limit]

    def actions(self) -> tuple[Split | Dividend, ...]:
        """Of the span of the last answer."""
        return self._actions

    async def listen(self, candle: Callable[[Candle], None], trade: Callable[[Traded], None]) -> None:
        """Prices as trades, of the volume that came since the one before, until the stream fails."""
        stream = self._yahoo.stream()
        try:
            await stream.subscribe([self._instrument.symbol])
            async for message in stream._ws:
                told = _decoded(stream, message)
                if told.get("id") == self._instrument.symbol and "price" in told and "time" in told:
                    trade(self._trade(told))
        except (OSError, ValueError, stream.closed) as error:
            raise PregaoError(f"Yahoo's stream broke off ({type(error).__name__}).", "It is opened again.") from error
        finally:
            with suppress(Exception):  # whatever a broken connection meets while it is let go
                await asyncio.wait_for(stream.close(), 2.0)
        raise PregaoError("Yahoo closed its stream.", "It is opened again.")

    async def close(self) -> None:
        """Nothing stays open between questions."""

    def _trade(self, told: Mapping[str, Any]) -> Traded:
        total = int(told.get("day_volume", 0))
        quantity, self._volume = max(0, total - self._volume) if self._volume else 0, total
        ticks = round(float(told["price"]) / float(self._instrument.tick_size))
        return Traded(int(told["time"]) * 1_000_000, ticks, float(quantity), "")


def seen_ns(facts: Mapping[str, Any], now_ns: int) -> int:
    """The moment until which Yahoo knows all trades, ns since 1970 UTC; not after ``now_ns``."""
    latest = facts.get("regularMarketTime")
    last_ns = min(now_ns, pd.Timestamp(latest).value) if latest is not None else 0
    session = (facts.get("currentTradingPeriod") or {}).get("regular") or {}
    if not session:
        return max(now_ns - LONGEST_DELAY_NS, last_ns)
    start_ns, end_ns = (_moment(session[name]) for name in ("start", "end"))
    if now_ns < start_ns:
        return last_ns
    return min(max(now_ns - LONGEST_DELAY_NS, last_ns), max(end_ns, last_ns))


def _moment(value: Any) -> int:
    return int(value) * 1_000_000_000 if isinstance(value, int | float) else int(pd.Timestamp(value).value)


def _decoded(stream: Any, message: Any) -> dict[str, Any]:
    """One message; raises `ValueError` for nonsense."""
    content = json.loads(message)
    if not isinstance(content, dict) or not isinstance(content.get("message"), str):
        raise ValueError("not a message of pricing")
    try:
        told: dict[str, Any] = stream._decode_message(content["message"])
    except Exception as error:  # the protobuf library's own errors have no common base
        raise ValueError(str(error)) from error
    return told


async def _apart(ask: Callable[[], T]) -> T:
    """A question in a thread of its own: the client is not asynchronous. Raises `BusyError` if Yahoo asks to wait.

    The thread is not one of asyncio's: those are waited for when the process ends, and Yahoo may take its time.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(found: T | None, error: BaseException | None) -> None:
        if answer.done():  # nobody waits for it any more
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast("T", found))

    def run() -> None:
        found, failed = None, None
        try:
            found = ask()
        except BaseException as error:  # it is raised where the answer is waited for
            failed = error
        with suppress(RuntimeError):  # the feed has ended
            loop.call_soon_threadsafe(settle, found, failed)

    threading.Thread(target=run, name="asks Yahoo", daemon=True).start()
    try:
        return await answer
    except PregaoError as error:
        wait_s = getattr(error.__cause__, "wait_s", None)
        if wait_s is None:
            raise
        raise BusyError(error.message, error.mend, wait_s) from error
