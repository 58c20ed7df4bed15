"""Candle tables: a market as a trader would write it down."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.plan import Plan

ONE = Instrument(
    symbol="ONE", source="test", venue="test", asset_class="crypto", base="ONE", quote="USD",
    tick_size=Decimal(1), lot_size=Decimal(1), allow_short=True,
)  # fmt: skip
MINUTE = Timeframe.parse("1m")
SIGNALS = {"": 0, "buy": layout.ENTER_LONG, "sell": layout.ENTER_SHORT, "exit": layout.LEAVE}
PLAN = Plan(ONE, MINUTE, 10**6 * 10**8, 1000 * 10**8, take_profit_ppm=100_000, stop_loss_ppm=50_000)
"""A million in cash is plenty; 1,000 a trade; +10 % and -5 %."""


def candles(table: str) -> tuple[Bars, np.ndarray]:
    """``open high low close [signal]`` a line."""
    rows = [line.split() for line in table.strip().splitlines()]
    prices = np.array([[int(x) for x in row[:4]] for row in rows], np.int64)
    signals = np.array([SIGNALS[row[4] if len(row) > 4 else ""] for row in rows], np.int8)
    n = len(rows)
    opens = np.arange(n, dtype=np.int64) * MINUTE.ns
    columns = (np.ascontiguousarray(prices[:, i]) for i in range(4))
    return Bars(ONE, MINUTE, opens, *columns, volume=np.ones(n)), signals
