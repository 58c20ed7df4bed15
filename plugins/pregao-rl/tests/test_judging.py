"""The judgement: all that the gate asks of any model is computed for a policy. Here policies cost nothing to make."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from policies import SET, drawn, follower, of_bias, waves

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.conformance import market
from pregao.learning.folds import combinatorial, walk_forward
from pregao.learning.gate import judge
from pregao.learning.labels import examples
from pregao.learning.params import Params, read_params
from pregao.simulation.plan import Plan
from pregao_rl.chance import Chance, fitted
from pregao_rl.following import returns_on
from pregao_rl.judging import Judged, assess, beside_champion, labelled
from pregao_rl.policy import Policy
from pregao_rl.training import Knobs

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
GATE = (
    "deflated_sharpe", "overfitting", "champion", "random_entries", "buy_and_hold", "costs", "doubled_costs",
    "drawdown", "trades", "calibration", "skill",
)  # fmt: skip


def plan_of(bars: Bars, **exits: float) -> Plan:
    return Plan.of(bars.instrument, bars.timeframe, **({"take_profit": 0, "stop_loss": 0} | exits))


def judged(bars: Bars, learn: Callable[..., Policy], params: Params = PARAMS, **more: Any) -> Judged:
    return assess(bars, plan_of(bars), params, Knobs(), learn=learn, **more)


def folds_of(bars: Bars) -> tuple[int, list[Any], Any]:
    rows = examples(bars, labelled(plan_of(bars), PARAMS), SET)
    return len(bars) - len(rows), walk_forward(rows.at_ns, rows.end_ns, PARAMS.folds), rows


def test_each_fold_learns_from_what_lies_before_it_and_is_followed_in_it() -> None:
    bars = market(2_000)
    seen: list[tuple[Bars, np.ndarray]] = []
    leanings = [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]

    def learn(known: Bars, rows: np.ndarray, seed: int) -> Policy:
        seen.append((known, rows))
        return of_bias(leanings[len(seen) - 1])

    found = judged(bars, learn, combinations=False)
    starts = [fold["start_ns"] for fold in found.report["folds"]]
    assert len(seen) == len(starts) + 1
    warm, folds, rows = folds_of(bars)
    for (known, lived), start, fold in zip(seen, starts, folds, strict=False):
        assert np.array_equal(known.close_ns, bars.close_ns[: len(known)])
        assert np.array_equal(lived, warm + fold.fit)
        # Every outcome that it is told of was known an embargo before the block.
        assert rows.end_ns[fold.fit].max() < start - PARAMS.folds.embargo * bars.timeframe.ns
    trading = found.trading
    edges = [int(np.searchsorted(trading.bars.close_ns, start)) for start in starts] + [len(trading.bars)]
    for leaning, first, last in zip(leanings, edges[:-1], edges[1:], strict=False):
        # An order fills at the next bar's open.
        assert bool((trading.positions[first + 1 : last] > 0).all()) is (leaning[1] > leaning[0])
    assert found.report["doubled_costs"]["net_return"] < found.report["trading"]["net_return"]
    assert len(found.trading.bars) == found.report["span"]["bars"]
    assert found.policy.lineage["train_end_ns"] == bars.close_ns[-1]


def test_a_policy_that_truly_earns_passes_all_that_the_gate_asks() -> None:
    bars = waves()
    found = judged(bars, lambda known, rows, seed: follower())
    verdict = judge(found.report, PARAMS.gate)
    assert tuple(reason.name for reason in verdict.reasons) == GATE
    assert verdict.failed == frozenset(), [reason.text for reason in verdict.reasons if not reason.passed]
    assert found.report["overfitting"]["splits"] == 15
    assert found.policy.chance is not None
    assert found.policy.chance.slope > 0
    json.dumps(found.report, allow_nan=False)


def test_policies_that_nobody_trained_fail_with_a_figure_for_every_reason() -> None:
    found = judged(market(2_000), lambda known, rows, seed: drawn(seed))
    verdict = judge(found.report, PARAMS.gate)
    assert not verdict.passed
    assert {"deflated_sharpe", "overfitting", "random_entries", "skill"} <= verdict.failed
    assert [reason.name for reason in verdict.reasons if reason.value is None] == ["champion"]  # there is none
    assert found.report["overfitting"]["probability"] > PARAMS.gate.max_overfitting


def test_the_combinations_are_left_out_only_where_they_decide_nothing() -> None:
    refused = judged(market(2_000), lambda known, rows, seed: drawn(seed), combinations=False)
    assert refused.report["overfitting"] is None
    passed = judged(waves(), lambda known, rows, seed: follower(), combinations=False)
    assert passed.report["overfitting"]["probability"] == 0


def test_the_seed_that_earns_most_before_a_block_is_followed_and_all_count_as_trials() -> None:
    # Two ways: always in, and always out. What rises before the block makes the choice.
    bars = market(2_000)
    found = judged(
        bars, lambda known, rows, seed: of_bias([1.0, 0.0] if seed == 7 else [0.0, 1.0]), seeds=2, combinations=False
    )
    assert PARAMS.seed == 7
    assert len(found.report["significance"]["trials"]) == 3
    warm, folds, _ = folds_of(bars)
    for fold, told in zip(folds, found.report["folds"], strict=True):
        first, last = warm + int(fold.stop[0]), warm + int(fold.stop[-1])
        rose = bars.close[last] / bars.open[first + 1] > 1.0024
        assert told["seed"] == (8 if rose else 7)


def test_combinations_train_on_none_of_what_they_are_scored_on() -> None:
    bars = market(2_000)
    asked: list[tuple[int, np.ndarray]] = []

    def learn(known: Bars, rows: np.ndarray, seed: int) -> Policy:
        asked.append((len(known), rows))
        return drawn(seed)

    judged(bars, learn)
    warm, folds, rows = folds_of(bars)
    splits = combinatorial(rows.at_ns, rows.end_ns, PARAMS.folds, PARAMS.combinations)
    mine = asked[len(folds) : len(folds) + len(splits)]
    for (whole, lived), split in zip(mine, splits, strict=True):
        assert whole == len(bars)
        assert np.array_equal(lived, warm + split.fold.fit)
        assert not np.intersect1d(lived, warm + split.fold.test).size


def test_where_no_episode_fits_the_way_of_learning_stays_out_and_counts_as_overfitted() -> None:
    def learn(known: Bars, rows: np.ndarray, seed: int) -> Policy:
        if len(known) == 2_000 and len(rows) < 1_400:
            raise UsageError("too short")
        return drawn(seed)

    told = judged(market(2_000), learn).report["overfitting"]
    assert told["untaught"] > 0
    assert told["losses"] >= told["untaught"] / told["splits"]


def test_beside_the_champion_only_what_neither_has_seen_counts() -> None:
    bars = waves()
    plan = plan_of(bars, take_profit=2, stop_loss=1, horizon=48)

    def ended(policy: Policy, row: int) -> Policy:
        return replace(policy, lineage={"train_end_ns": int(bars.close_ns[row])})

    good, bad = ended(follower(), 1_999), ended(of_bias([0.0, 1.0]), 1_499)
    rivalry = beside_champion(bars, plan, good, bad, "3", 7)
    assert (rivalry.champion, rivalry.bars, rivalry.same) == ("3", 2_000, False)
    assert rivalry.p is not None
    assert rivalry.p < 0.05
    other = beside_champion(bars, plan, bad, good, "3", 7)
    assert other.p is not None
    assert other.p > 0.5
    assert beside_champion(bars, plan, good, good, "3", 7).same
    few = beside_champion(bars, plan, good, ended(bad, 3_900), "3", 7)
    assert (few.bars, few.p) == (99, None)


def test_stretches_are_traded_each_from_flat_and_never_over_a_gap() -> None:
    bars = market(600)
    plan, always = plan_of(bars), of_bias([0.0, 1.0])
    one, other = np.arange(200, 260), np.arange(400, 470)
    both = returns_on(always, bars, plan, np.r_[one, other])
    apart = [returns_on(always, bars, plan, part) for part in (one, other)]
    assert np.array_equal(both, np.concatenate(apart))
    assert len(both) == len(one) + len(other) - 2


def test_a_leaning_is_read_as_the_share_that_won() -> None:
    rng = np.random.default_rng(5)
    leaning = rng.normal(0, 2, 20_000)
    true = Chance(0.5, -0.7)
    win = rng.random(20_000) < true.of(leaning)
    found = fitted(leaning, win)
    assert (found.slope, found.intercept) == pytest.approx((0.5, -0.7), abs=0.05)
    # What leans the wrong way has told nothing: the bare rate is left.
    backwards = fitted(-leaning, win)
    assert backwards.slope == 0
    assert backwards.of(np.array(3.0)) == pytest.approx(win.mean(), abs=1e-3)
    for nothing in (np.zeros(0), np.ones(30), np.full(30, 1e9)):
        chance = fitted(nothing, np.ones(len(nothing), bool)).of(np.array([-5.0, 5.0]))
        assert ((chance > 0) & (chance < 1)).all()


def test_too_few_bars_are_said_to_be_so() -> None:
    with pytest.raises(UsageError, match="too few"):
        judged(market(70), lambda known, rows, seed: drawn(seed))
