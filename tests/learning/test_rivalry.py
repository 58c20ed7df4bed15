"""A new model beside the champion on bars that neither has seen; attempts; verdicts that stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.features.sets import feature_set
from pregao.learning.labels import examples
from pregao.learning.params import Params
from pregao.learning.rivalry import LEAST_BLOCKS, compare

SET = feature_set("core25")


class Made:
    """A made-up model: it knows the outcomes, or it guesses."""

    def __init__(self, bars: Bars, params: Params, train_end: int, knows: float, seed: int = 1) -> None:
        plan = params.plan.plan(bars.instrument, bars.timeframe)
        rows = examples(bars, plan, SET)
        rng = np.random.default_rng(seed)
        guess = rng.random(len(bars)) < 0.05
        won = np.zeros(len(bars), bool)
        won[-len(rows) :] = rows.win
        self._enters = np.where(rng.random(len(bars)) < knows, won, guess)
        self._of = {SET.batch(bars)[i].tobytes(): float(self._enters[i]) for i in range(len(bars))}
        self.meta: dict[str, Any] = {
            "train_end_ns": int(bars.close_ns[train_end]),
            "feature_set": "core25",
            "payoff": {"win": 0.017, "loss": -0.012},
            "threshold": 0.0,
            "take_profit_ppm": plan.take_profit_ppm,
            "stop_loss_ppm": plan.stop_loss_ppm,
            "horizon_bars": plan.horizon_bars,
        }

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        return np.array([self._of[row.tobytes()] for row in x])


@pytest.fixture(scope="module")
def bars(market: Callable[..., Bars]) -> Bars:
    return market("NOISE/USDT", bars=3_000)


def test_the_better_one_is_told_from_the_worse(bars: Bars, params: Params) -> None:
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    good, bad = Made(bars, params, 1_500, knows=0.5), Made(bars, params, 1_200, knows=0.0)
    found = compare(bars, plan, good, bad, "4", seed=1)
    assert (found.champion, found.same, found.bars) == ("4", False, 3_000 - 1_501)
    assert found.start_ns == bars.open_ns[1_501]
    assert found.p is not None
    assert found.p < 0.05
    assert found.sharpe is not None
    assert found.champion_sharpe is not None
    assert found.sharpe > found.champion_sharpe
    back = compare(bars, plan, bad, good, "4", seed=1)
    assert back.p is not None
    assert back.p > 0.9
    assert (back.sharpe, back.champion_sharpe) == (found.champion_sharpe, found.sharpe)


def test_neither_is_judged_on_what_the_other_has_learnt_from(bars: Bars, params: Params) -> None:
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    old, new = Made(bars, params, 1_000, knows=0.2), Made(bars, params, 2_400, knows=0.2, seed=2)
    for one, other in ((old, new), (new, old)):
        assert compare(bars, plan, one, other, "1", seed=1).bars == 3_000 - 2_401


def test_each_trades_its_own_bracket(bars: Bars, params: Params) -> None:
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    one, wide = Made(bars, params, 1_500, knows=0.3), Made(bars, params, 1_500, knows=0.3)
    assert compare(bars, plan, one, wide, "1", seed=1).p == 1.0
    wide.meta |= {"take_profit_ppm": 90_000, "stop_loss_ppm": 90_000}
    found = compare(bars, plan, one, wide, "1", seed=1)
    assert found.sharpe != found.champion_sharpe


def test_too_few_bars_tell_nothing(bars: Bars, params: Params) -> None:
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    one, other = Made(bars, params, 2_999, knows=0.3), Made(bars, params, 1_000, knows=0.3, seed=2)
    assert compare(bars, plan, one, other, "1", seed=1).to_json()["bars"] == 0
    least = LEAST_BLOCKS * plan.horizon_bars
    for end, told in ((2_999 - least, True), (3_000 - least, False)):
        one.meta["train_end_ns"] = int(bars.close_ns[end])
        assert (compare(bars, plan, one, other, "1", seed=1).p is not None) is told
