"""Policies as numbers: the file, what is seen, the stance, and the strategy. Nothing here needs a learning library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.features.conformance import market
from pregao.features.sets import feature_set
from pregao.learning.params import read_params
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.conformance import StrategyConformance
from pregao.strategies.contract import Account, Enter, Exit, Note
from pregao.strategies.registry import configured
from pregao_rl.judging import assess, final
from pregao_rl.policy import Policy, observation, read
from pregao_rl.stance import FLAT, LONG, SHORT, intents_for, own_figures
from pregao_rl.training import Knobs

SET = feature_set("core25")
WIDTH = len(SET.names)
ROOT = Path(__file__).parents[3]
FLAT_ACCOUNT = Account(10_000.0, 10_000.0, 0.0, 0.0, 0, False)
LONG_ACCOUNT = Account(10_000.0, 9_000.0, 2.0, 500.0, 3, False)
SHORT_ACCOUNT = Account(10_000.0, 11_000.0, -2.0, 500.0, 3, False)


def made(seed: int = 1, actions: int = 2, **lineage: Any) -> Policy:
    """A policy of drawn weights: it trades often, and nobody trained it."""
    rng = np.random.default_rng(seed)
    layers = tuple(
        (rng.normal(0, 0.6, (out, wide)), rng.normal(0, 0.1, out)) for wide, out in ((WIDTH + 2, 8), (8, actions))
    )
    about = {"instrument": "test/test/X", "timeframe": "15m"} | lineage
    return Policy(SET.name, SET.hash, np.zeros(WIDTH), np.full(WIDTH, 0.02), layers, about)


def of_bias(leaning: list[float]) -> Policy:
    """A policy that leans the same way whatever it sees."""
    return Policy(
        SET.name, SET.hash, np.zeros(WIDTH), np.ones(WIDTH),
        ((np.zeros((len(leaning), WIDTH + 2)), np.array(leaning)),), {"instrument": "x", "timeframe": "1h"},
    )  # fmt: skip


class TestConformance(StrategyConformance):
    strategy = "rl-policy"
    config: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _a_policy(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.config = {"policy": str(made(actions=3).write(tmp_path_factory.mktemp("policies")))}


# The network and what it sees


def test_the_network_computes_what_its_formula_says() -> None:
    first = (np.array([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]]), np.array([0.1, -0.2]))
    last = (np.array([[1.0, 1.0], [0.0, -1.0]]), np.array([0.0, 0.3]))
    policy = Policy("core25", SET.hash, np.zeros(1), np.ones(1), (first, last))
    seen = np.array([0.4, 1.0, -0.3])
    hidden = np.tanh([0.4 + 0.3 + 0.1, 0.2 + 2.0 - 0.2])
    leaning = np.exp([hidden[0] + hidden[1], -hidden[1] + 0.3])
    assert policy.shares(seen) == pytest.approx(leaning / leaning.sum())
    assert policy.actions == 2


def test_what_is_missing_is_seen_as_usual_and_what_is_extreme_within_bounds() -> None:
    seen = observation(np.array([3.0, np.nan, 1e9, -np.inf]), np.full(4, 1.0), np.full(4, 0.5), np.array([1.0, -2.5]))
    assert seen.tolist() == [4.0, 0.0, 5.0, -5.0, 1.0, -2.5]


def test_the_account_is_seen_as_side_and_gain() -> None:
    assert own_figures(FLAT_ACCOUNT, 510.0).tolist() == [0, 0]
    assert own_figures(LONG_ACCOUNT, 510.0) == pytest.approx([1, 2.0])
    assert own_figures(SHORT_ACCOUNT, 510.0) == pytest.approx([-1, -2.0])
    assert own_figures(LONG_ACCOUNT, 900.0).tolist() == [1, 5.0]


@pytest.mark.parametrize(
    ("action", "account", "kinds"),
    [
        (FLAT, FLAT_ACCOUNT, []),
        (LONG, FLAT_ACCOUNT, [Enter]),
        (LONG, LONG_ACCOUNT, []),
        (FLAT, LONG_ACCOUNT, [Exit]),
        (SHORT, LONG_ACCOUNT, [Exit]),
        (SHORT, FLAT_ACCOUNT, [Enter]),
        (SHORT, SHORT_ACCOUNT, []),
        (LONG, FLAT_ACCOUNT._replace(pending=True), []),
    ],
)
def test_the_wanted_stance_becomes_orders(action: int, account: Account, kinds: list[type]) -> None:
    intents = intents_for(action, account)
    assert [type(intent) for intent in intents] == kinds
    if kinds == [Enter]:
        assert intents[0].side == ("long" if action == LONG else "short")


# The file


def test_a_policy_comes_back_from_its_file_to_the_last_bit(tmp_path: Path) -> None:
    policy = made(3, actions=3, data_version="abc")
    path = policy.write(tmp_path)
    assert path.name == f"{policy.digest[:12]}.json"
    again = read(path)
    assert (again.digest, again.lineage, again.actions) == (policy.digest, policy.lineage, 3)
    for ours, theirs in zip(again.layers, policy.layers, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert read(again.write(tmp_path)).digest == policy.digest


def _changed(path: Path, **parts: Any) -> None:
    document = json.loads(path.read_bytes())
    document |= parts
    path.write_text(json.dumps(document))


def test_a_file_that_is_no_policy_or_was_changed_is_refused(tmp_path: Path) -> None:
    path = made().write(tmp_path)
    whole = path.read_bytes()
    other = made(9).computes
    for damage, words in (
        (lambda: path.write_bytes(whole[:-200]), "cannot be read"),
        (lambda: path.write_bytes(b"{}"), "cannot be read"),
        (lambda: path.write_bytes(b"[1]"), "cannot be read"),
        (lambda: _changed(path, computes=other), "not what its digest says"),
        (lambda: _changed(path, format="another"), "its format is 'another'"),
    ):
        path.write_bytes(whole)
        damage()
        with pytest.raises(PregaoError, match=words):
            read(path)
    with pytest.raises(NotFoundError, match="There is no policy"):
        read(tmp_path / "none.json")


def test_numbers_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    good = made()
    for layers in (
        good.layers[:1],
        good.layers[1:],
        (*good.layers, good.layers[1]),
        ((np.full((2, WIDTH + 2), np.nan), np.zeros(2)),),
    ):
        path = Policy(SET.name, SET.hash, good.mean, good.std, layers, good.lineage).write(tmp_path)
        with pytest.raises(PregaoError, match="cannot be read as a policy"):
            read(path)


def test_a_policy_of_other_features_is_refused(tmp_path: Path) -> None:
    policy = made()
    path = Policy(SET.name, "0" * 64, policy.mean, policy.std, policy.layers, policy.lineage).write(tmp_path)
    with pytest.raises(PregaoError, match="another definition"):
        configured("rl-policy", {"policy": str(path)})


# The strategy


def test_without_a_policy_it_stays_out_and_says_so() -> None:
    bars = market(400)
    desk = desk_for(Plan.of(bars.instrument, bars.timeframe), configured("rl-policy", {}))
    said = [desk.on_bar(bars.bar(i))[1] for i in range(len(bars))]
    assert {type(x) for intents in said for x in intents} == {Note}


def test_one_that_always_leans_long_holds(tmp_path: Path) -> None:
    bars = market(400)
    plan = Plan.of(bars.instrument, bars.timeframe, take_profit=0, stop_loss=0)
    for leaning, held in (([0.0, 1.0], True), ([1.0, 0.0], False), ([0.0, 0.5, 1.0], True)):
        # The instrument allows no short sales, so the third way is not taken.
        strategy = configured("rl-policy", {"policy": str(of_bias(leaning).write(tmp_path))})
        result = backtest(strategy, bars, plan)
        assert bool((result.positions[SET.warmup :] > 0).all()) is held


# The judgement, with policies that cost nothing to make


def judged(bars: Bars, learn: Any, **knobs: Any) -> Any:
    plan = Plan.of(bars.instrument, bars.timeframe, take_profit=0, stop_loss=0)
    return assess(bars, plan, read_params(ROOT / "params.yaml"), Knobs(), learn=learn, **knobs), plan


def test_each_fold_learns_from_what_lies_before_it_and_is_followed_in_it() -> None:
    bars = market(2_000)
    seen: list[Bars] = []
    leanings = [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]

    def learn(known: Bars, seed: int) -> Policy:
        seen.append(known)
        return of_bias(leanings[len(seen) - 1])

    found, plan = judged(bars, learn)
    starts = [fold["start_ns"] for fold in found.report["folds"]]
    embargo = read_params(ROOT / "params.yaml").folds.embargo
    for known, start in zip(seen, starts, strict=True):
        assert np.array_equal(known.close_ns, bars.close_ns[: len(known)])
        assert known.close_ns[-1] <= start - embargo * bars.timeframe.ns
    trading = found.trading
    edges = [int(np.searchsorted(trading.bars.close_ns, start)) for start in starts] + [len(trading.bars)]
    for leaning, first, last in zip(leanings, edges[:-1], edges[1:], strict=True):
        # An order fills at the next bar's open.
        assert bool((trading.positions[first + 1 : last] > 0).all()) is (leaning[1] > leaning[0])
    assert found.report["doubled_costs"]["net_return"] < found.report["trading"]["net_return"]
    assert len(found.trading.bars) == found.report["span"]["bars"]
    assert plan.horizon_bars == 0


def test_the_gate_says_its_own_reasons_and_never_lets_a_policy_through() -> None:
    found, plan = judged(market(2_000), lambda known, seed: made(seed))
    names = [reason.name for reason in found.verdict.reasons]
    assert names == [
        "deflated_sharpe", "overfitting", "never_default", "random_entries", "buy_and_hold", "costs", "doubled_costs",
        "drawdown", "trades", "calibration", "skill",
    ]  # fmt: skip
    assert not found.verdict.passed
    assert {"never_default", "calibration", "skill"} <= found.verdict.failed
    policy = final(
        market(2_000), plan, read_params(ROOT / "params.yaml"), Knobs(), found, {"data_version": "d"},
        learn=lambda known, seed: made(seed),
    )  # fmt: skip
    assert policy.verdict["passed"] is False
    assert policy.lineage["data_version"] == "d"
    assert policy.lineage["trials"] == found.report["significance"]["trials"]
    json.dumps(found.report, allow_nan=False)


def test_the_seed_that_earns_most_before_a_block_is_followed_and_all_count_as_trials() -> None:
    # Two ways: always in, and always out. What rises before the block makes the choice.
    bars = market(2_000)
    found, _ = judged(bars, lambda known, seed: of_bias([1.0, 0.0] if seed == 7 else [0.0, 1.0]), seeds=2)
    params = read_params(ROOT / "params.yaml")
    assert params.seed == 7
    assert len(found.report["significance"]["trials"]) == 3
    warm = SET.warmup - 1
    from pregao.learning.folds import walk_forward

    at_ns = bars.close_ns[warm:]
    for fold, told in zip(walk_forward(at_ns, at_ns, params.folds), found.report["folds"], strict=True):
        first, last = warm + int(fold.stop[0]), warm + int(fold.stop[-1])
        rose = bars.close[last] / bars.open[first + 1] > 1.0024
        assert told["seed"] == (8 if rose else 7)


def test_too_few_bars_are_said_to_be_so() -> None:
    with pytest.raises(UsageError, match="too few"):
        judged(market(70), lambda known, seed: made())
