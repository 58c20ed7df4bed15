"""Many plans over the same bars give, each, what one run of `run_signals` gives: to the byte, and figure by figure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from candles import MINUTE, ONE, PLAN, candles

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.simulation import layout
from pregao.simulation.backtest import Result, run_signals
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import Plan
from pregao.simulation.slippage import FixedSlippage
from pregao.simulation.sweeping import Decisions, Figures, Track
from pregao.simulation.terms import PROFILES, Terms

FEES = FeeSchedule(maker_ppm=200, taker_ppm=1_000)


def market(n: int, seed: int) -> Bars:
    """A walk with gaps, wide bars and flat ones, around 1,000 ticks."""
    rng = np.random.default_rng(seed)
    close = np.maximum(1_000 + np.cumsum(rng.integers(-12, 13, n)), 200).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]] + rng.integers(-3, 4, n)
    high = np.maximum(opened, close) + rng.integers(0, 15, n)
    low = np.minimum(opened, close) - rng.integers(0, 15, n)
    return Bars(ONE, MINUTE, np.arange(n) * MINUTE.ns, opened, high, low, close, rng.integers(0, 50, n) * 1.0)


def signals(n: int, seed: int, often: float) -> np.ndarray:
    """Entries both ways and exits at any time, also where they can do nothing."""
    rng = np.random.default_rng(seed)
    kinds = np.array([layout.ENTER_LONG, layout.ENTER_SHORT, layout.LEAVE], np.int8)
    return np.where(rng.random(n) < often, rng.choice(kinds, n), 0).astype(np.int8)


def same(figures: Figures, result: Result) -> None:
    """Every figure is that of the single run, exactly."""
    metrics = result.metrics()
    assert figures.digest == result.digest
    assert figures.final_equity == result.final_equity
    assert figures.ambiguous == result.engine.account.ambiguous
    for name in ("net_return", "sharpe", "max_drawdown", "trades", "hit_rate", "fees"):
        np.testing.assert_equal(getattr(figures, name), metrics[name], err_msg=name)


TERMS = {
    **{name: replace(terms, fees=FEES) for name, terms in PROFILES.items()},
    "slips": Terms(fees=FEES, slippage=(FixedSlippage(500),), path="ohlc"),
    "thin": Terms(fees=FEES, participation_ppm=200_000),
    "late": Terms(fees=FEES, latency_ns=(0, 20 * 10**9, 70 * 10**9), path="nearest"),
    "borrowed": Terms(fees=FEES, borrow_ppm=200_000, initial_margin_ppm=500_000, maintenance_margin_ppm=100_000),
    "margin": Terms(fees=FEES, contract="margin", initial_margin_ppm=200_000, maintenance_margin_ppm=50_000),
    "at the close": Terms(fees=FEES, fill_at_close=True),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("often", [0.01, 0.4])
def test_a_run_is_a_single_run_under_all_terms(name: str, often: float) -> None:
    bars = market(3_000, seed=1)
    track = Track(bars)
    for seed, (profit, stop, horizon) in enumerate([(30_000, 20_000, 0), (0, 15_000, 25), (50_000, 0, 1), (0, 0, 0)]):
        plan = replace(
            PLAN, take_profit_ppm=profit, stop_loss_ppm=stop, horizon_bars=horizon, entry_quanta=20_000 * 10**8,
            terms=TERMS[name],
        )  # fmt: skip
        told = signals(len(bars), seed, often)
        result = run_signals(bars, plan, told)
        assert len(result.trades) > 5
        same(track.run(track.start(plan), Decisions.of(told)), result)


def test_a_start_can_be_run_again_and_again() -> None:
    bars = market(2_000, seed=2)
    track = Track(bars)
    plan = replace(PLAN, take_profit_ppm=20_000, stop_loss_ppm=20_000)
    start = track.start(plan)
    told = [Decisions.of(signals(2_000, seed, 0.05)) for seed in range(3)]
    once = [track.run(start, decisions) for decisions in told]
    assert [track.run(start, decisions) for decisions in told] == once
    assert len({figures.digest for figures in once}) == 3


def test_more_events_than_the_log_holds() -> None:
    bars = market(20_000, seed=3)
    told = signals(20_000, 3, 0.6)
    plan = replace(PLAN, take_profit_ppm=10_000, stop_loss_ppm=10_000)
    result = run_signals(bars, plan, told)
    assert len(result.events) > layout.LOG_ROWS
    track = Track(bars)
    same(track.run(track.start(plan), Decisions.of(told)), result)


def test_an_exchange_that_closes() -> None:
    stock = ONE.model_copy(update={"calendar": "XNYS"})
    hours = 24 * 40
    times = np.datetime64("2024-03-01", "ns").astype(np.int64) + np.arange(hours) * 3_600 * 10**9
    walk = market(hours, seed=4)
    bars = Bars(stock, type(MINUTE).parse("1h"), times, walk.open, walk.high, walk.low, walk.close, walk.volume)
    plan = replace(PLAN, instrument=stock, timeframe=bars.timeframe, take_profit_ppm=20_000, stop_loss_ppm=20_000)
    told = signals(hours, 4, 0.2)
    track = Track(bars)
    same(track.run(track.start(plan), Decisions.of(told)), run_signals(bars, plan, told))


def test_no_trade_has_no_figures_but_an_equity() -> None:
    bars, _ = candles("100 101 99 100\n100 101 99 100\n100 101 99 100")
    track = Track(bars)
    figures = track.run(track.start(PLAN), Decisions.of(np.zeros(3, np.int8)))
    same(figures, run_signals(bars, PLAN, np.zeros(3, np.int8)))
    assert (figures.trades, figures.fees, figures.net_return) == (0, 0.0, 0.0)
    assert np.isnan(figures.sharpe)
    assert np.isnan(figures.hit_rate)


def test_one_trade_that_a_trader_can_check() -> None:
    bars, told = candles("""
        100 101  99 100 buy
        100 101  99 100
        100 111 100 110
        110 111 109 110
    """)
    plan = Plan.of(ONE, MINUTE, cash=10_000, entry_value=1_000, take_profit=10, stop_loss=5, fee=1, slippage=0)
    track = Track(bars)
    figures = track.run(track.start(plan), Decisions.of(told))
    same(figures, run_signals(bars, plan, told))
    # 10 at 100 and out at 110: 100 gained, 10 and 11 of fees
    assert figures.final_equity == 10_000 + 100 - 10 - 11
    assert (figures.trades, figures.hit_rate, figures.fees) == (1, 1.0, 21.0)


def test_wrong_shapes_are_refused() -> None:
    bars = market(10, seed=5)
    track = Track(bars)
    with pytest.raises(UsageError, match="10 bars but signals of shape"):
        track.run(track.start(PLAN), Decisions.of(np.zeros(9, np.int8)))
    with pytest.raises(UsageError, match="no bars"):
        Track(bars[:0])


def test_a_finer_grid_of_money() -> None:
    fine = ONE.model_copy(update={"tick_size": Decimal("0.000001"), "lot_size": Decimal("0.001")})
    fine = type(fine).model_validate(fine.model_dump())
    walk = market(1_000, seed=6)
    columns = (c * 1_000 for c in (walk.open, walk.high, walk.low, walk.close))
    bars = Bars(fine, MINUTE, walk.open_ns, *columns, walk.volume)
    plan = Plan.of(fine, MINUTE, entry_value=100, take_profit=3, stop_loss=2)
    told = signals(1_000, 6, 0.1)
    track = Track(bars)
    same(track.run(track.start(plan), Decisions.of(told)), run_signals(bars, plan, told))
