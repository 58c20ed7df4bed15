"""Plans refuse absurd values by name; the figures of a report are the usual ones."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from candles import MINUTE, ONE, PLAN, candles

from pregao.core.errors import UsageError
from pregao.simulation.backtest import run_signals
from pregao.simulation.baselines import buy_and_hold, random_entries
from pregao.simulation.plan import Plan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cash": 0}, "cash must be positive"),
        ({"cash": "-5"}, "cash must be positive"),
        ({"cash": "abc"}, "cash is not a number"),
        ({"cash": "nan"}, "finite"),
        ({"cash": "1e30"}, "absurd"),
        ({"entry_value": 20_000}, "more than the cash"),
        ({"take_profit": -1}, "take profit must be between"),
        ({"stop_loss": 100}, "stop loss must be between"),
        ({"fee": 11}, "fee must be between"),
        ({"slippage": "0.00001"}, "finer than"),
        ({"horizon": -1}, "horizon"),
    ],
)
def test_a_plan_refuses_absurd_values_by_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Plan.of(ONE, MINUTE, **change)  # type: ignore[arg-type]


def test_an_entry_below_the_least_order_is_refused() -> None:
    with pytest.raises(UsageError, match="below the least order"):
        Plan.of(ONE.model_copy(update={"min_notional": Decimal(2_000)}), MINUTE, entry_value=1_000)


def test_the_figures_of_one_winning_and_one_losing_trade() -> None:
    bars, signals = candles(
        """100 100 100 100 buy
           100 112 100 111 buy
           100 100 90 95
           95 96 94 95"""
    )
    result = run_signals(bars, replace(PLAN, cash_quanta=10_000 * 10**8), signals)
    trades, figures = result.trades, result.metrics()
    assert trades["pnl"].tolist() == [100.0, -50.0]
    assert trades["exit_role"].tolist() == ["take_profit", "stop_loss"]
    assert figures["net_return"] == pytest.approx(0.005)
    assert figures["profit_factor"] == 2.0
    assert figures["hit_rate"] == 0.5
    assert figures["trades"] == 2
    assert figures["max_drawdown"] == pytest.approx(1 - 10_050 / 10_100)
    returns = np.diff([10_000, 10_100, 10_050, 10_050]) / [10_000, 10_100, 10_050]
    year = 365.25 * 24 * 60
    assert figures["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(year))


def test_buy_and_hold_follows_the_market() -> None:
    bars, _ = candles("100 100 100 100\n100 100 100 100\n200 200 200 200")
    assert buy_and_hold(bars, PLAN).metrics()["net_return"] == pytest.approx(1_000 / 1_000_000)


def test_random_entries_repeat_with_their_seed() -> None:
    rng = np.random.default_rng(0)
    lines = "\n".join(f"{p} {p + 5} {p - 5} {p}" for p in rng.integers(90, 110, 200))
    bars, _ = candles(lines)
    first, again, other = (random_entries(bars, PLAN, 20, seed, 5) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_signals_must_match_the_bars() -> None:
    bars, signals = candles("100 100 100 100\n100 100 100 100")
    with pytest.raises(UsageError, match="2 bars but signals of shape"):
        run_signals(bars, PLAN, signals[:1])
    with pytest.raises(UsageError, match="no bars"):
        run_signals(bars[:0], PLAN, signals[:0])
