"""The classics keep the contract, and say what a trader would say of candles that can be read at a glance."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from pydantic import ValidationError

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest
from pregao.strategies.conformance import StrategyConformance
from pregao.strategies.registry import configured
from pregao_classics.ma_cross import MovingAverageCrossConfig
from pregao_classics.rsi_reversion import RsiReversionConfig, rsi

DAY = Timeframe.parse("1d")
ONE = Instrument(
    symbol="ONE", source="test", venue="test", asset_class="crypto", base="ONE", quote="USD",
    tick_size=Decimal(1), lot_size=Decimal("0.001"),
)  # fmt: skip


class TestBuyAndHold(StrategyConformance):
    strategy = "buy-and-hold"


class TestMovingAverageCross(StrategyConformance):
    strategy = "ma-cross"
    config = {"fast": 3, "slow": 8}  # noqa: RUF012


class TestRsiReversion(StrategyConformance):
    strategy = "rsi-reversion"


class TestDonchianBreakout(StrategyConformance):
    strategy = "donchian-breakout"


class TestGrid(StrategyConformance):
    strategy = "grid"


def bars_of(closes: list[int], reach: int = 0) -> Bars:
    """Bars of a day that open at the close before."""
    close = np.array(closes, np.int64)
    opened = np.r_[close[:1], close[:-1]]
    high, low = np.maximum(opened, close) + reach, np.minimum(opened, close) - reach
    return Bars(ONE, DAY, np.arange(len(close)) * DAY.ns, opened, high, low, close, np.ones(len(close)))


def traded(name: str, closes: list[int], reach: int = 0, **config: float) -> list[tuple[int, int]]:
    """The bars at whose open it entered and left; -1 while it still holds."""
    bars = bars_of(closes, reach)
    plan = Plan.of(ONE, DAY, take_profit=0, stop_loss=0, fee=0, slippage=0)
    history = backtest(configured(name, config), bars, plan).history()
    fills = [int(e.ts_ns // DAY.ns) for e in history if e.kind == "fill"]
    pairs = fills + [-1] * (len(fills) % 2)
    return list(zip(pairs[::2], pairs[1::2], strict=True))


def test_buy_and_hold_buys_at_the_second_open_and_holds() -> None:
    assert traded("buy-and-hold", [100, 101, 50, 200, 120]) == [(1, -1)]


def test_rsi_reversion_buys_after_the_falls_and_sells_after_the_rises() -> None:
    # RSI of 3 moves: three falls are 0, two rises of 2 against a fall of 5 are 4 / 9 = 44, three rises are 100.
    closes = [100, 99, 100, 95, 90, 85, 87, 89, 91, 92]
    assert rsi(np.array(closes), 3)[5:9].tolist() == [0.0, pytest.approx(100 * 2 / 12), pytest.approx(100 * 4 / 9), 100]
    assert traded("rsi-reversion", closes, span=3, low=5, high=60) == [(6, 9)]


def test_an_rsi_of_prices_that_stand_still_is_neutral() -> None:
    assert rsi(np.full(9, 7), 3).tolist() == [50.0] * 9


def test_donchian_breakout_needs_a_close_outside_of_the_channel_before() -> None:
    # Highs are 102: the close of 102 touches the channel of 3 bars and does not leave it, 103 does.
    closes = [100, 100, 100, 100, 102, 105, 106, 107, 104, 103, 100, 99]
    assert traded("donchian-breakout", closes, reach=2, entry=3, leave=2) == [(6, 11)]


def test_the_grid_buys_below_a_line_and_sells_a_step_above_what_it_paid() -> None:
    lines = 1.1 ** np.arange(100)
    line = int(lines[lines > 1_000][0]) + 1  # just above a line
    low = line - 5
    goal = -(-low * 11 // 10)
    assert traded("grid", [line + 3, line + 1, low, low, low - 1, goal - 1, goal, goal], step=10) == [(3, 7)]
    assert traded("grid", [line + 9, line + 1, line + 8, line + 2], step=10) == []  # between the lines


def test_levels_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValidationError, match="enter below the level"):
        RsiReversionConfig(low=60, high=40)
    with pytest.raises(ValidationError, match="shorter than the slow one"):
        MovingAverageCrossConfig(fast=30, slow=20)
