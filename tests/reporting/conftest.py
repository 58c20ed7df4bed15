"""Sheets to report on: a small one with everything in it, made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.reporting.sheet import INSTRUMENT_COLUMNS, TRADE_COLUMNS, Interval, Luck, Sheet, typed_trades
from pregao.simulation.report import metrics, periods_per_year

QUARTER = 15 * 60 * 10**9
START = 1_704_067_200 * 10**9  # 2024-01-01


def trade(i: int, **more: object) -> dict[str, object]:
    gain = 0.02 if i % 3 else -0.01
    opened = pd.Timestamp(START + (10 + 30 * i) * QUARTER, tz="UTC")
    return {
        "instrument": ("A/USD", "B/USD")[i % 2], "side": ("long", "short")[i % 2], "entry_time": opened,
        "exit_time": opened + pd.Timedelta(minutes=15 * 20), "quantity": 1.5, "entry_price": 100.0 + i,
        "exit_price": (100.0 + i) * (1 + gain), "pnl": 150 * gain, "net_return": gain, "fees": 0.3,
        "entry_order": "market", "entry_rule": "open", "entry_reference": 99.98 + i, "entry_slippage": 0.02,
        "entry_liquidity": "taker", "exit_role": "take_profit" if gain > 0 else "stop_loss",
        "exit_order": "limit" if gain > 0 else "stop", "exit_rule": "path", "exit_reference": 101.0,
        "exit_slippage": 0.0 if gain > 0 else 0.03, "exit_liquidity": "maker" if gain > 0 else "taker",
        "ambiguous": i % 5 == 0,
    } | more  # fmt: skip


def bars_of(n: int) -> Bars:
    instrument = Instrument(
        symbol="A/USD", source="test", venue="test", asset_class="crypto", base="A", quote="USD", tick_size="0.01",
        lot_size="0.01",
    )  # fmt: skip
    price = np.full(n, 10_000, np.int64)
    opens = START + np.arange(n, dtype=np.int64) * QUARTER
    return Bars(instrument, Timeframe.parse("15m"), opens, price, price, price, price, np.ones(n))


def sheet_with(n: int = 6_000, trades: int = 60, **more: Any) -> Sheet:
    """Two instruments, two months of quarter hours, with every part of a sheet."""
    rng = np.random.default_rng(4)
    bars = bars_of(n)
    equity = 10_000 * np.cumprod(1 + rng.standard_normal(n) * 1e-3)
    held = 10_000 * np.cumprod(1 + rng.standard_normal(n) * 2e-3)
    frame = typed_trades(pd.DataFrame([trade(i) for i in range(trades)], columns=list(TRADE_COLUMNS)))
    position = np.where(np.arange(n) % 30 < 20, 0.4, 0.0)
    figures = metrics(equity, bars, frame, position != 0)
    figures |= {"probabilistic_sharpe": 0.91, "minimum_track_record": 5_321.5, "deflated_sharpe": 0.4}
    per_instrument = [("A/USD", 30, 0.5, 12.5, 1.2, 3.0, 0.3, 0.1), ("B/USD", 30, np.nan, -2.5, np.inf, 3.0, 0.2, -0.1)]
    sheet = Sheet(
        strategy="ma-cross", instruments=("A/USD", "B/USD"), timeframe="15m", intraday=True, currency="USD",
        synthetic=True, open_ns=START, close_ns=bars.close_ns, per_year=periods_per_year(bars), cash=10_000.0,
        equity=equity, figures=figures,
        costs={"fees": 18.0, "slippage": 4.0, "spread": 2.0, "impact": 1.0, "funding": -0.5, "borrow": 0.25},
        exposure={"A/USD": position, "B/USD": -position}, trades=frame, digest="0123456789abcdef" * 4, held=held,
        held_figures=metrics(held, bars, frame.iloc[:0], np.ones(n, bool)), luck=Luck(200, 0.01, -0.2, 0.25, 0.03),
        interval=Interval(float(equity[-1]) - 10_100, float(equity[-1]) - 9_900, 12),
        per_instrument=pd.DataFrame(per_instrument, columns=list(INSTRUMENT_COLUMNS)), dividends=1.5,
        fee_ppm=(200, 1_000), slippage=("0.02%", "volume-share:0.1"), data_version="2f1c9a77", model="edge 3",
        settings={"cash": "10000 USD", "fast": "10"}, command="pregao backtest --strategy ma-cross --data A/USD",
        trials=24,
    )  # fmt: skip
    return dataclasses.replace(sheet, **more)


@pytest.fixture(scope="session")
def sheet() -> Sheet:
    return sheet_with()


@pytest.fixture(scope="session")
def make_sheet() -> Callable[..., Sheet]:
    """`sheet_with`: of ``n`` bars and so many trades, with any field changed."""
    return sheet_with
