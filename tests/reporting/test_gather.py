"""From a backtest of the engine to its sheet: every cost, every why, and that they add up."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from candles import MINUTE, ONE, PLAN, candles

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.reporting.document import document, to_json
from pregao.reporting.gather import evidence, sheet_of
from pregao.reporting.plan_text import named, plan_settings
from pregao.reporting.sheet import Luck, Sheet
from pregao.reporting.tearsheet import tearsheet
from pregao.reporting.texts import TEXTS
from pregao.simulation import layout
from pregao.simulation.actions import Dividend, Funding
from pregao.simulation.backtest import Result, run_signals
from pregao.simulation.baselines import buy_and_hold, random_entries
from pregao.simulation.fees import FeeSchedule, Tier
from pregao.simulation.plan import Plan
from pregao.simulation.significance import Trials
from pregao.simulation.slippage import (
    EstimatedSpread,
    FixedSlippage,
    HalfSpread,
    Slippage,
    SquareRootImpact,
    VolumeShare,
    parse,
)
from pregao.simulation.terms import Terms

GOOG = Path(__file__).parents[3] / "shared" / "data" / "stocks" / "GOOG_1d_2004-2013.parquet"
TABLE = """100 100 100 100 buy
           100 112 100 111 buy
           100 100  90  95
            95  96  94  95"""
FINE = Instrument(
    symbol="FINE", source="test", venue="test", asset_class="crypto", base="FINE", quote="USD",
    tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), allow_short=True,
)  # fmt: skip
COSTLY = Terms(
    fees=FeeSchedule(maker_ppm=200, taker_ppm=900),
    slippage=(FixedSlippage(150), HalfSpread(300), VolumeShare(0.1)),
    participation_ppm=100_000,
    borrow_ppm=50_000,
)


def walk(n: int, seed: int) -> tuple[Bars, np.ndarray]:
    """A random walk in hours with sizes that matter, and random signals."""
    rng = np.random.default_rng(seed)
    close = np.rint(10_000 * np.cumprod(1 + rng.standard_normal(n) * 0.01)).astype(np.int64)
    opened = np.concatenate([[10_000], close[:-1]])
    high = np.maximum(opened, close) + rng.integers(0, 80, n)
    low = np.minimum(opened, close) - rng.integers(0, 80, n)
    hour = Timeframe.parse("1h")
    opens = 1_704_067_200 * 10**9 + np.arange(n, dtype=np.int64) * hour.ns
    bars = Bars(FINE, hour, opens, opened, high, low, close, rng.integers(50, 500, n).astype(float))
    return bars, rng.choice([0, 0, 0, 0, 0, 0, 1, -1, 2], n).astype(np.int8)


def plan_of(bars: Bars, terms: Terms) -> Plan:
    return Plan.of(bars.instrument, bars.timeframe, cash=10_000, entry_value=4_000, take_profit=3, stop_loss=2,
                   horizon=40, terms=terms)  # fmt: skip


def at_reference(result: Result) -> float:
    """Profit or loss had every fill been at its reference price and nothing else been paid or received."""
    instrument = result.plan.instrument
    fills = [e for e in result.history() if e.kind == "fill"]
    quanta = -sum(e.side * e.qty_lots * e.reference_ticks for e in fills) * instrument.tick_quanta
    quanta += int(result.positions[-1]) * int(result.bars.close[-1]) * instrument.tick_quanta
    return float(instrument.money(quanta))


def test_two_trades_and_why_they_filled() -> None:
    bars, signals = candles(TABLE)
    sheet = sheet_of(run_signals(bars, PLAN, signals), "by hand", settings={"fast": 10})
    first, second = sheet.trades.to_dict("records")
    assert (first["side"], first["pnl"], second["pnl"]) == ("long", 100.0, -50.0)
    assert (first["entry_order"], first["entry_rule"], first["entry_reference"]) == ("market", "open", 100.0)
    assert (first["entry_liquidity"], first["entry_slippage"]) == ("taker", 0.0)
    assert (first["exit_role"], first["exit_order"], first["exit_rule"]) == ("take_profit", "limit", "path")
    assert (first["exit_reference"], first["exit_liquidity"]) == (110.0, "maker")
    assert (second["exit_role"], second["exit_order"], second["exit_reference"]) == ("stop_loss", "stop", 95.0)
    assert first["entry_time"] == pd.Timestamp(60 * 10**9, tz="UTC")
    assert sheet.cash == 1_000_000
    assert sheet.pnl == 50
    assert sheet.equity.tolist() == [1_000_000, 1_000_100, 1_000_050, 1_000_050]
    assert sheet.figures["trades"] == 2
    assert sheet.exposure["ONE"].tolist() == [0, 0, 0, 0]
    assert sheet.settings["fast"] == "10"
    assert sheet.interval is not None
    assert (sheet.interval.worst, sheet.interval.best, sheet.interval.bars) == (50, 50, 0)
    assert (sheet.instruments, sheet.timeframe, sheet.currency) == (("ONE",), "1m", "USD")


def test_a_bar_that_reaches_both_exits_widens_the_interval() -> None:
    bars, signals = candles("100 100 100 100 buy\n100 112 94 100\n100 100 100 100")
    sheet = sheet_of(run_signals(bars, PLAN, signals), "by hand")
    assert sheet.trades["ambiguous"].tolist() == [True]
    assert sheet.interval is not None
    assert sheet.interval.bars == 1
    assert sheet.pnl == sheet.interval.worst == -50
    assert sheet.interval.best == 100


def test_an_entry_in_parts_is_one_trade_told_by_its_first_fill() -> None:
    """Three of the ten lots a bar: the price of the first part is the reference."""
    bars, signals = candles("100 100 100 100 buy\n100 104 100 104\n104 104 104 104\n104 104 104 104\n"
                            "104 104 104 104 exit\n103 103 103 103\n102 102 102 102\n101 101 101 101\n"
                            "100 100 100 100\n100 100 100 100")  # fmt: skip
    bars = replace(bars, volume=np.full(len(bars), 6.0))
    plan = replace(PLAN, take_profit_ppm=0, stop_loss_ppm=0, terms=Terms(participation_ppm=500_000))
    [trade] = sheet_of(run_signals(bars, plan, signals), "by hand").trades.to_dict("records")
    assert trade["entry_reference"] == 100
    assert trade["entry_price"] > 100
    assert trade["exit_reference"] < trade["exit_price"] <= 103  # the last part closes it


@pytest.mark.parametrize("seed", range(6))
def test_before_costs_is_the_result_at_the_reference_prices(seed: int) -> None:
    """Fees, slippage, spread, impact and borrowing are all that is between the two, to the quantum."""
    bars, signals = walk(1_500, seed)
    result = run_signals(bars, plan_of(bars, COSTLY), signals)
    sheet = sheet_of(result, "random")
    assert len(sheet.trades) > 20
    assert sheet.pnl + sheet.total_costs == pytest.approx(at_reference(result), abs=1e-6)
    assert all(sheet.costs[name] > 0 for name in ("fees", "slippage", "spread", "impact", "borrow"))
    assert sheet.costs["funding"] == 0
    assert not sheet.trades.drop(columns=["exit_time"]).isna().any().any()


@pytest.mark.parametrize("seed", range(3))
def test_reference_and_slippage_explain_every_price(seed: int) -> None:
    """Where orders fill at once: what is bought fills above its reference by the slippage, what is sold below."""
    bars, signals = walk(1_500, seed)
    whole = replace(COSTLY, participation_ppm=0)
    trades = sheet_of(run_signals(bars, plan_of(bars, whole), signals), "random").trades
    side = np.where(trades["side"] == "long", 1, -1)
    assert {"long", "short"} <= set(trades["side"])
    assert trades["entry_price"].to_numpy() == pytest.approx(
        trades["entry_reference"] + side * trades["entry_slippage"]
    )
    assert trades["exit_price"].to_numpy() == pytest.approx(trades["exit_reference"] - side * trades["exit_slippage"])
    limits = trades["exit_order"] == "limit"
    assert limits.any()
    assert (trades.loc[limits, "exit_slippage"] == 0).all()
    assert (trades.loc[~limits, "exit_slippage"] > 0).all()


def test_funding_and_dividends_are_no_slippage() -> None:
    bars, _ = walk(200, 1)
    signals = np.zeros(200, np.int8)
    signals[0] = layout.ENTER_LONG
    at = bars.open_ns
    terms = Terms(actions=(Funding(int(at[20]), Decimal("0.001")), Dividend(int(at[50]), Decimal("0.25"))))
    plan = replace(plan_of(bars, terms), take_profit_ppm=0, stop_loss_ppm=0, horizon_bars=0)
    result = run_signals(bars, plan, signals)
    sheet = sheet_of(result, "hold")
    lots = int(result.positions[-1])
    assert sheet.dividends == pytest.approx(lots * 0.001 * 0.25)
    assert sheet.costs["funding"] == pytest.approx(lots * 0.001 * bars.close[19] / 100 * 0.001, abs=1e-7)
    assert sheet.pnl + sheet.total_costs == pytest.approx(at_reference(result) + sheet.dividends, abs=1e-6)
    assert sheet.exposure["FINE"][-1] == pytest.approx(lots * bars.close[-1] * 1e-5 / sheet.equity[-1])
    assert len(sheet.trades) == 0


@pytest.mark.parametrize(
    "model",
    [
        FixedSlippage(200), FixedSlippage(1), HalfSpread(250), EstimatedSpread("corwin_schultz", 20),
        EstimatedSpread("abdi_ranaldo"), VolumeShare(0.1), SquareRootImpact(0.7, 33),
    ],
)  # fmt: skip
def test_slippage_is_named_as_a_command_line_reads_it(model: Slippage) -> None:
    assert parse(named(model)) == (model,)


def test_settings_say_what_is_not_by_default() -> None:
    terms = replace(COSTLY, path="ohlc", latency_ns=(5_000_000, 20_500_000), fees=FeeSchedule(taker_ppm=900, tiers=(
        Tier(Decimal(1_000), 0, 500), Tier(Decimal(5_000), 0, 100))))  # fmt: skip
    plan = Plan.of(ONE, MINUTE, cash="10000.50", entry_value=1_000, take_profit="2.5", stop_loss=0, terms=terms)
    assert plan_settings(plan) == {
        "instrument": "test/test/ONE", "cash": "10000.5 USD", "entry_value": "1000 USD", "take_profit": "2.5 %",
        "stop_loss": "0 %", "horizon": "0", "fees": "maker 0 %, taker 0.09 %, tiers 2", "path": "ohlc",
        "slippage": "0.015% + spread:0.06% + volume-share:0.1", "participation_ppm": "10 %",
        "latency_ns": "5 ms, 20.5 ms", "borrow_ppm": "5 %",
    }  # fmt: skip


def test_evidence_has_the_deflated_ratio_if_the_trials_are_known() -> None:
    equity = 100 * np.cumprod(1 + np.random.default_rng(0).standard_normal(500) * 0.01 + 0.001)
    plain = evidence(equity)
    deflated = evidence(equity, Trials(50, 0.01))
    assert set(plain) == {"probabilistic_sharpe", "minimum_track_record"}
    assert deflated["deflated_sharpe"] < deflated["probabilistic_sharpe"] == plain["probabilistic_sharpe"]
    assert np.isnan(evidence(np.full(500, 100.0))["probabilistic_sharpe"])


def test_whatever_the_engine_names_has_a_text() -> None:
    names = {f"path_{name}" for name in layout.PATHS}
    for prefix, table in (("rule_", layout.RULE_NAMES), ("kind_", layout.ORDER_KINDS), ("role_", layout.ROLES)):
        names |= {prefix + name for name in table.values() if name}
    assert names | {name for name in layout.LIQUIDITY.values() if name} <= set(TEXTS)


@pytest.fixture(scope="module")
def goog() -> Sheet:
    if not GOOG.exists():
        pytest.skip(f"{GOOG.name} is not on this machine: the shared data folder is absent")
    instrument = Instrument(
        symbol="GOOG", source="files", venue="local", asset_class="stock", base="GOOG", quote="USD",
        tick_size=Decimal("0.01"), lot_size=Decimal("0.001"),
    )  # fmt: skip
    bars = Bars.from_frame(pd.read_parquet(GOOG), instrument, Timeframe.parse("1d"))
    close = pd.Series(bars.close)
    above = (close.rolling(10).mean() > close.rolling(30).mean()).to_numpy()
    signals = np.zeros(len(bars), np.int8)
    signals[30:][above[30:] & ~above[29:-1]] = layout.ENTER_LONG
    signals[30:][~above[30:] & above[29:-1]] = layout.LEAVE
    terms = Terms(fees=FeeSchedule.flat_rate(1_000), slippage=(FixedSlippage(200), EstimatedSpread("abdi_ranaldo", 20)))
    plan = Plan.of(instrument, bars.timeframe, entry_value=5_000, take_profit=8, stop_loss=4, terms=terms)
    result = run_signals(bars, plan, signals)
    luck = Luck.of(random_entries(bars, plan, 30, 0, 20), result.metrics()["net_return"])
    return sheet_of(result, "ma-cross", held=buy_and_hold(bars, plan), luck=luck, data_version="8f00", command="again")


def test_real_days_of_a_stock(goog: Sheet) -> None:
    assert len(goog.close_ns) == 2_148
    assert len(goog.trades) > 25
    assert goog.held is not None
    assert len(goog.held) == 2_148
    found = document(goog)
    assert json.loads(to_json(goog)) == found
    assert found["metrics"]["trades"] == len(goog.trades)
    assert sorted(found["monthly_returns"]) == [str(year) for year in range(2004, 2014)]
    assert np.prod([1 + found["monthly_returns"][year]["year"] for year in found["monthly_returns"]]) == pytest.approx(
        1 + found["metrics"]["net_return"]
    )
    for language in ("en", "pt-BR"):
        page = tearsheet(goog, language)
        assert len(page) < 500_000
        assert "nan" not in page.lower().replace("financ", "")
    assert goog.trades["pnl"].sum() == pytest.approx(goog.pnl, abs=200)  # but for what is still open
