"""The figures of a backtest, each beside a case small enough to be worked out by hand."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation.report import (
    drawdowns,
    metrics,
    monthly_returns,
    rolling_sharpe,
)

ONE = Instrument(
    symbol="ONE", source="test", venue="test", asset_class="crypto", base="ONE", quote="USD",
    tick_size=Decimal(1), lot_size=Decimal(1),
)  # fmt: skip
NO_TRADES = {name: [] for name in ("pnl", "net_return", "quantity", "entry_price", "exit_price", "fees")}


def bars_at(opens: pd.DatetimeIndex, timeframe: str) -> Bars:
    n = len(opens)
    price, ns = np.full(n, 100, np.int64), opens.as_unit("ns").astype("int64").to_numpy()
    return Bars(ONE, Timeframe.parse(timeframe), ns, price, price, price, price, np.ones(n))


def days(n: int) -> Bars:
    return bars_at(pd.date_range("2024-01-01", periods=n, freq="D", tz="UTC"), "1d")


def figures(equity: list[float], trades: dict[str, list[float]] | None = None, **more: object) -> dict[str, float]:
    exposed = np.asarray(more.get("exposed", [False] * len(equity)))
    bars = more.get("bars", days(len(equity)))
    return metrics(np.array(equity, float), bars, pd.DataFrame(trades or NO_TRADES), exposed)  # type: ignore[arg-type]


def test_returns_and_risk() -> None:
    found = figures([100, 110, 99, 99, 108.9])
    returns = np.array([0.1, -0.1, 0.0, 0.1])
    year = 365.25
    assert found["net_return"] == pytest.approx(0.089)
    assert found["annual_return"] == pytest.approx(1.089 ** (year / 4) - 1)
    assert found["volatility"] == pytest.approx(returns.std(ddof=1) * math.sqrt(year))
    assert found["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(year))
    assert found["sortino"] == pytest.approx(returns.mean() / math.sqrt(0.01 / 4) * math.sqrt(year))
    assert found["calmar"] == pytest.approx(found["annual_return"] / 0.1)
    # off the mean 0.025: 0.075, -0.125, -0.025, 0.075
    m2 = (2 * 0.075**2 + 0.125**2 + 0.025**2) / 4
    assert found["skew"] == pytest.approx((2 * 0.075**3 - 0.125**3 - 0.025**3) / 4 / m2**1.5)
    assert found["kurtosis"] == pytest.approx((2 * 0.075**4 + 0.125**4 + 0.025**4) / 4 / m2**2)


def test_drawdowns_by_hand() -> None:
    """Down 10 % for four days and back, a new peak, down 20 % and not back; a peak that is merely held is none."""
    equity = np.array([100.0, 100, 95, 90, 95, 100, 120, 120, 96, 108])
    bars = days(10)
    found = figures(equity.tolist())
    assert found["max_drawdown"] == pytest.approx(0.2)
    assert found["longest_drawdown_bars"] == 4
    assert found["longest_drawdown_days"] == 4
    table = drawdowns(equity, bars.close_ns)
    at = pd.to_datetime(bars.close_ns, utc=True)
    assert table["depth"].tolist() == pytest.approx([0.2, 0.1])
    assert table["start"].tolist() == [at[7], at[1]]
    assert table["trough"].tolist() == [at[8], at[3]]
    assert table["recovery"].isna().tolist() == [True, False]
    assert table["recovery"].iloc[1] == at[5]
    assert table["bars"].tolist() == [2, 4]
    assert table["days"].tolist() == [2.0, 4.0]
    assert drawdowns(equity, bars.close_ns, worst=1)["depth"].tolist() == pytest.approx([0.2])


def test_drawdowns_that_share_a_peak_are_two() -> None:
    table = drawdowns(np.array([100.0, 90, 100, 80, 110]), days(5).close_ns)
    assert table["depth"].tolist() == pytest.approx([0.2, 0.1])
    assert table["bars"].tolist() == [2, 2]


def test_a_rising_account_has_no_drawdown() -> None:
    found = figures([100, 101, 102])
    assert (found["max_drawdown"], found["longest_drawdown_bars"], found["longest_drawdown_days"]) == (0, 0, 0)
    assert math.isnan(found["calmar"])
    table = drawdowns(np.array([100.0, 101, 102]), days(3).close_ns)
    assert len(table) == 0
    assert [str(t) for t in table.dtypes.iloc[1:4]] == ["datetime64[ns, UTC]"] * 3


def test_days_under_water_are_calendar_days() -> None:
    """Friday's peak is reached again on Monday: one bar, three days."""
    opens = pd.DatetimeIndex(["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"], tz="UTC")
    found = figures([100, 110, 105, 110], bars=bars_at(opens, "1d"))
    assert found["longest_drawdown_bars"] == 2
    assert found["longest_drawdown_days"] == 4


def test_the_worst_day_in_twenty() -> None:
    """Forty days: the second lowest return is the value at risk, the mean of the two lowest the shortfall."""
    returns = np.full(40, 0.01)
    returns[[5, 20, 30]] = [-0.03, -0.05, -0.01]
    found = figures((100 * np.cumprod(np.r_[1, 1 + returns])).tolist())
    assert found["value_at_risk"] == pytest.approx(0.03)
    assert found["expected_shortfall"] == pytest.approx(0.04)
    # quantiles between order statistics: 5 % of 39 steps is 1.95 steps up from the lowest
    assert found["tail_ratio"] == pytest.approx(0.01 / (0.05 * 0.03 + 0.95 * 0.01))


def test_a_part_of_a_day_counts_in_part() -> None:
    """5 % of thirty days is one day and a half."""
    returns = np.full(30, 0.01)
    returns[[5, 20]] = [-0.03, -0.05]
    found = figures((100 * np.cumprod(np.r_[1, 1 + returns])).tolist())
    assert found["value_at_risk"] == pytest.approx(0.03)
    assert found["expected_shortfall"] == pytest.approx((0.05 + 0.5 * 0.03) / 1.5)


def test_too_few_days_have_no_tail() -> None:
    found = figures([100.0 + i % 3 for i in range(20)])  # nineteen returns
    assert math.isnan(found["value_at_risk"])
    assert not math.isnan(figures([100.0 + i % 3 for i in range(21)])["value_at_risk"])


def test_tails_of_short_bars_are_of_days() -> None:
    """A quarter of an hour at a time, 1 % up each day in the middle of it: every day returns 1 %."""
    n = 96 * 25
    opens = pd.date_range("2024-01-01", periods=n, freq="15min", tz="UTC")
    equity = 100 * 1.01 ** (np.arange(n) // 96 + (np.arange(n) % 96 >= 48))
    bars = bars_at(opens, "15m")
    found = metrics(equity, bars, pd.DataFrame(NO_TRADES), np.zeros(n, bool))
    assert found["value_at_risk"] == pytest.approx(-0.01)
    assert math.isnan(found["tail_ratio"])


def test_figures_of_trades() -> None:
    trades = {
        "pnl": [30.0, -10.0, -20.0, 0.0, -5.0, 50.0],
        "net_return": [0.03, -0.01, -0.02, 0.0, -0.005, 0.05],
        "quantity": [1.0] * 6,
        "entry_price": [100.0] * 6,
        "exit_price": [130.0, 90.0, 80.0, 100.0, 95.0, 150.0],
        "fees": [1.0] * 6,
    }
    found = figures([1_000.0, 1_030, 1_045], trades, exposed=[False, True, True])
    assert found["trades"] == 6
    assert found["hit_rate"] == pytest.approx(2 / 6)
    assert found["profit_factor"] == pytest.approx(80 / 35)
    assert found["expectancy"] == pytest.approx(7.5)
    assert found["mean_trade"] == pytest.approx(0.0075)
    assert (found["best_trade"], found["worst_trade"]) == (0.05, -0.02)
    assert found["payoff_ratio"] == pytest.approx(40 / (35 / 3))
    assert found["losing_streak"] == 2
    assert found["fees"] == 6
    assert found["turnover"] == pytest.approx((600 + 645) / 1_025)
    assert found["exposure"] == pytest.approx(2 / 3)
    assert found["mean_bars_held"] == pytest.approx(2 / 7)  # six round trips and the one still open


def test_without_trades_and_without_a_loss() -> None:
    idle = figures([100.0, 100, 100])
    assert (idle["trades"], idle["losing_streak"], idle["fees"]) == (0, 0, 0)
    for name in ("sharpe", "skew", "kurtosis", "hit_rate", "profit_factor", "expectancy", "payoff_ratio",
                 "mean_bars_held"):  # fmt: skip
        assert math.isnan(idle[name]), name
    won = {"pnl": [1.0], "net_return": [0.1], "quantity": [1.0], "entry_price": [10.0], "exit_price": [11.0],
           "fees": [0.0]}  # fmt: skip
    assert figures([100.0, 101], won)["profit_factor"] == math.inf
    assert math.isnan(figures([100.0, 101], won)["payoff_ratio"])


def test_one_bar_is_enough_to_be_asked() -> None:
    found = figures([100.0])
    assert found["net_return"] == 0
    assert math.isnan(found["sharpe"])
    assert monthly_returns(np.array([100.0]), days(1).close_ns).loc[2024, 1] == 0


def test_an_account_that_is_used_up_has_no_sharpe_ratio() -> None:
    found = figures([100.0, 50, -10, 20])
    assert found["net_return"] == pytest.approx(-0.8)
    assert found["max_drawdown"] == pytest.approx(1.1)
    assert math.isnan(found["sharpe"])
    assert math.isnan(found["volatility"])


def test_months_compound_to_the_years_and_the_years_to_the_whole() -> None:
    rng = np.random.default_rng(5)
    opens = pd.date_range("2021-11-15", "2024-02-10", freq="D", tz="UTC")
    equity = 100 * np.cumprod(1 + rng.standard_normal(len(opens)) * 0.01)
    table = monthly_returns(equity, bars_at(opens, "1d").close_ns)
    assert table.index.tolist() == [2021, 2022, 2023, 2024]
    assert table.loc[2021].isna().tolist() == [True] * 10 + [False] * 3
    assert np.prod(1 + table["year"]) == pytest.approx(equity[-1] / equity[0])
    assert np.prod(1 + table.loc[2022, list(range(1, 13))]) == pytest.approx(1 + table.loc[2022, "year"])
    by_pandas = pd.Series(equity, opens).resample("ME").last()
    assert table.loc[2022, 3] == pytest.approx(by_pandas["2022-03"].iloc[0] / by_pandas["2022-02"].iloc[0] - 1)


def test_the_bar_that_closes_at_midnight_belongs_to_the_month_that_ends() -> None:
    opens = pd.DatetimeIndex(["2024-01-31T23:00", "2024-02-01T00:00"], tz="UTC")
    table = monthly_returns(np.array([100.0, 150.0]), bars_at(opens, "1h").close_ns)
    assert table.loc[2024, 1] == 0
    assert table.loc[2024, 2] == pytest.approx(0.5)


def test_a_month_without_bars_has_no_return() -> None:
    opens = pd.DatetimeIndex(["2022-12-30", "2024-02-01"], tz="UTC")
    table = monthly_returns(np.array([100.0, 110.0]), bars_at(opens, "1d").close_ns)
    assert table.loc[2023].isna().all()
    assert table.loc[2024].notna().tolist() == [False, True] + [False] * 10 + [True]


def test_the_rolling_ratio_is_that_of_each_window() -> None:
    rng = np.random.default_rng(2)
    equity = 100 * np.cumprod(1 + rng.standard_normal(200) * 0.01)
    found = rolling_sharpe(equity, 365.25, 30)
    assert np.isnan(found[:30]).all()
    for end in (30, 31, 150, 199):
        returns = np.diff(equity[end - 30 : end + 1]) / equity[end - 30 : end]
        assert found[end] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(365.25))
    assert found[-1] == pytest.approx(figures(equity[-31:].tolist())["sharpe"], rel=0.02)  # other bars a year


def test_the_rolling_ratio_of_an_idle_account_is_missing() -> None:
    """Also after a wild stretch, whose sums leave noise behind."""
    equity = np.concatenate([100 * np.cumprod(1 + np.random.default_rng(2).standard_normal(300) * 0.1), [50.0] * 100])
    found = rolling_sharpe(equity, 365.25, 20)
    assert np.isnan(found[325:]).all()
    assert np.isfinite(found[20:300]).all()
    assert np.isnan(rolling_sharpe(np.array([100.0, 101.0]), 365.25, 20)).all()
