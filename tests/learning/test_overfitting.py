"""The probability of backtest overfitting: by hand, against its published form, and on markets of known worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.features.sets import feature_set
from pregao.learning.labels import examples
from pregao.learning.overfitting import Overfitting, chosen_and_overfitted, overfitting
from pregao.learning.params import CombinationParams, Params

SPLITS = CombinationParams(groups=4, test_groups=2)


def found_on(market: Callable[..., Bars], params: Params, symbol: str, depths: tuple[int, ...] = (5,)) -> Overfitting:
    bars = market(symbol, bars=4_000)
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    rows = examples(bars, plan, feature_set("core25"))
    trials = [params.model.model_copy(update={"depth": depth, "iterations": 30}) for depth in depths]
    return overfitting(bars, plan, rows, trials, params.model_copy(update={"combinations": SPLITS}))


def test_four_splits_of_three_trials_by_hand() -> None:
    inside = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.1], [0.2, 0.3, 0.7], [0.5, 0.4, 0.1]])
    outside = np.array([[0.5, 0.1, 0.2], [0.3, 0.1, 0.2], [0.1, 0.2, -0.3], [-0.1, -0.2, -0.3]])
    chosen, below, losses = chosen_and_overfitted(inside, outside)
    # Best in sample; in the second and third split the worst of the three out of sample; in the last best, at a loss.
    assert chosen.tolist() == [0, 1, 2, 0]
    assert below.tolist() == [0, 1, 1, 0]
    assert losses.tolist() == [0, 0, 1, 1]


def test_the_median_rule_is_the_published_logit_rule() -> None:
    """Bailey et al. count ``logit(rank / (trials + 1)) <= 0``; with an odd number of trials the median itself ties."""
    rng = np.random.default_rng(3)
    inside, outside = rng.normal(size=(4_000, 10)), rng.normal(size=(4_000, 10))
    chosen, below, _ = chosen_and_overfitted(inside, outside)
    rank = (outside <= np.take_along_axis(outside, chosen[:, None], axis=1)).sum(axis=1) / 11
    np.testing.assert_array_equal(below, np.log(rank / (1 - rank)) <= 0)


def test_a_choice_among_equals_overfits_half_of_the_time_and_a_true_best_never() -> None:
    rng = np.random.default_rng(4)
    inside, outside = rng.normal(size=(4_000, 20)), rng.normal(size=(4_000, 20))
    assert chosen_and_overfitted(inside, outside)[1].mean() == pytest.approx(0.5, abs=0.03)
    skill = np.linspace(0, 10, 20)
    assert chosen_and_overfitted(inside + skill, outside + skill)[1].mean() < 0.01


def test_on_an_edge_nothing_overfits(market: Callable[..., Bars], params: Params) -> None:
    found = found_on(market, params, "EDGE/USDT")
    assert (found.splits, len(found.paths)) == (6, 3)
    assert found.probability <= 1 / 6
    assert found.below_median == 0
    assert min(found.paths) > 0


def test_without_an_edge_most_splits_lose(market: Callable[..., Bars], params: Params) -> None:
    found = found_on(market, params, "NOISE/USDT")
    assert found.probability >= 0.5
    assert found.probability == found.losses
    assert np.mean(found.out_of_sample) < 0


def test_every_trial_is_a_candidate_in_every_split(market: Callable[..., Bars], params: Params) -> None:
    found = found_on(market, params, "EDGE/USDT", (2, 5))
    assert len(found.chosen) == 6
    assert set(found.chosen) <= {0, 1}
    alone = found_on(market, params, "EDGE/USDT", (2,))
    for trial, mine, other in zip(found.chosen, found.out_of_sample, alone.out_of_sample, strict=True):
        assert trial == 1 or mine == other
    assert found.probability >= found.below_median
