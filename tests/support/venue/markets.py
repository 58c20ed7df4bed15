"""Deterministic markets: one trade about every ten seconds, for ever; candles of any length are made of the trades."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EVERY_MS = 10_000
"""One trade falls into each span of this length."""
INTERVALS = {
    "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "2h": 7_200_000,
    "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000, "12h": 43_200_000, "1d": 86_400_000, "1w": 604_800_000,
}  # fmt: skip
_MONDAY = 345_600_000
"""Weeks begin on Mondays; 1970 began on a Thursday."""
_BLOCK = 400_000


class Trade(NamedTuple):
    """One trade: its number, time in ms, price in ticks, quantity in lots, and whether the buyer was there before."""

    id: int
    ms: int
    ticks: int
    lots: int
    buyer_is_maker: bool


class Candle(NamedTuple):
    """A candle: prices in ticks, volume in lots, ``trades`` how many there were, first and last trade's number."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    trades: int
    first: int
    last: int


@dataclass(frozen=True)
class Revision:
    """A candle that changes after it closed: from ``at_ms`` on it has more volume, a higher high, another close."""

    interval: str
    open_ms: int
    at_ms: int
    lots: int = 777
    ticks: int = 25

    def applied(self, candle: Candle) -> Candle:
        close = candle.close + self.ticks
        return candle._replace(high=max(candle.high, close), close=close, lots=candle.lots + self.lots)


@dataclass(eq=False)
class Market:
    """One instrument and its trades.

    Attributes:
        symbol: as ``BTC/USDT``.
        price: about where it trades.
        decimals, lot_decimals: of the price grid and the lot.
        listed_ms: nothing before it.
        halts: spans of ms without any trade, and so without candles.
        status: ``TRADING``, or ``BREAK`` once it is delisted.
        perpetual: a linear perpetual contract, at the futures' addresses, and not at those of spot.
    """

    symbol: str
    price: float = 30_000.0
    decimals: int = 2
    lot_decimals: int = 5
    min_notional: str = "5.00000000"
    listed_ms: int = 1_577_836_800_000
    halts: tuple[tuple[int, int], ...] = ()
    revisions: list[Revision] = field(default_factory=list)
    status: str = "TRADING"
    ended_ms: int | None = None
    perpetual: bool = False

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2]

    @property
    def id(self) -> str:
        return self.base + self.quote

    def trades(self, first: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Times, prices in ticks and quantities in lots of the trades numbered ``first`` and on."""
        number = np.arange(first, first + count, dtype=np.int64)
        noise = _hashed(number, zlib.crc32(self.symbol.encode()))
        at = number * EVERY_MS + 500 + (noise % np.uint64(9_000)).astype(np.int64)
        minutes = number / 6.0
        wave = 0.15 * np.sin(minutes / 40_000) + 0.02 * np.sin(minutes / 700) + 0.004 * np.sin(minutes / 23)
        jitter = ((noise >> np.uint64(20)) % np.uint64(2_001)).astype(np.int64) / 1_000.0 - 1.0
        ticks = np.rint(self.price * np.exp(wave + 0.0006 * jitter) * 10**self.decimals).astype(np.int64)
        lots = 1 + ((noise >> np.uint64(40)) % np.uint64(200_000)).astype(np.int64)
        return at, ticks, lots

    def traded(self, at: NDArray[np.int64], now_ms: int) -> NDArray[np.bool_]:
        """Which of the trades at these times have taken place by ``now_ms``."""
        real = (at >= self.listed_ms) & (at <= now_ms)
        if self.ended_ms is not None:
            real &= at < self.ended_ms
        for start, end in self.halts:
            real &= (at < start) | (at >= end)
        return real

    def between(self, start_ms: int, end_ms: int) -> list[Trade]:
        """The trades with ``start_ms < time <= end_ms``."""
        first = start_ms // EVERY_MS
        at, ticks, lots = self.trades(first, end_ms // EVERY_MS - first + 1)
        real = self.traded(at, end_ms) & (at > start_ms)
        return [
            Trade(first + int(i), int(at[i]), int(ticks[i]), int(lots[i]), bool(lots[i] % 2))
            for i in np.flatnonzero(real)
        ]

    def candles(self, interval: str, start_ms: int, end_ms: int, now_ms: int, limit: int = 1_000) -> list[Candle]:
        """The first ``limit`` candles with ``start_ms <= open <= end_ms`` as they are at ``now_ms``, the forming one
        included; spans without a trade have none."""
        span = INTERVALS[interval]
        offset = _MONDAY if interval == "1w" else 0
        end_ms = min(end_ms, now_ms)
        at = max(start_ms, self.listed_ms - span + 1)
        opens = -(-(at - offset) // span) * span + offset
        found: list[Candle] = []
        per = span // EVERY_MS
        block = max(1, min(limit, _BLOCK // per))
        while opens <= end_ms and len(found) < limit:
            count = min(block, (end_ms - opens) // span + 1)
            found += self._block(interval, opens, count, per, now_ms)
            opens += count * span
            if self.ended_ms is not None and opens > self.ended_ms:
                break
        return found[:limit]

    def candle(self, interval: str, now_ms: int) -> Candle | None:
        """The candle that ``now_ms`` falls into, if anything was traded in it yet."""
        span, offset = INTERVALS[interval], _MONDAY if interval == "1w" else 0
        opens = (now_ms - offset) // span * span + offset
        return next(iter(self.candles(interval, opens, opens, now_ms, 1)), None)

    def _block(self, interval: str, opens: int, count: int, per: int, now_ms: int) -> list[Candle]:
        first = opens // EVERY_MS
        at, ticks, lots = (column.reshape(count, per) for column in self.trades(first, count * per))
        real = self.traded(at, now_ms)
        begin, end = real.argmax(axis=1), per - 1 - real[:, ::-1].argmax(axis=1)
        high = np.where(real, ticks, 0).max(axis=1)
        low = np.where(real, ticks, np.iinfo(np.int64).max).min(axis=1)
        volume, trades = (lots * real).sum(axis=1), real.sum(axis=1)
        span = INTERVALS[interval]
        made = [
            Candle(
                opens + i * span,
                *(int(v) for v in (ticks[i, begin[i]], high[i], low[i], ticks[i, end[i]], volume[i], trades[i])),
                first + i * per + int(begin[i]),
                first + i * per + int(end[i]),
            )
            for i in np.flatnonzero(trades).tolist()
        ]
        for change in self.revisions:
            if change.interval == interval and now_ms >= change.at_ms:
                made = [change.applied(c) if c.open_ms == change.open_ms else c for c in made]
        return made


def _hashed(number: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Well mixed bits of each number (splitmix64)."""
    with np.errstate(over="ignore"):
        z = number.astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
