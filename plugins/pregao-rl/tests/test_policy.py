"""Policies as numbers: the file, what is seen, the stance, and the strategy. Nothing here needs a learning library."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from pregao.core.errors import NotFoundError, PregaoError
from pregao.features.conformance import market
from pregao.features.sets import feature_set
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.conformance import StrategyConformance
from pregao.strategies.contract import Account, Enter, Exit, Note
from pregao.strategies.registry import configured
from pregao_rl.chance import Chance
from pregao_rl.policy import Policy, observation, read
from pregao_rl.stance import FLAT, LONG, SHORT, intents_for, own_figures

SET = feature_set("core25")
WIDTH = len(SET.names)
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
    return Policy(SET.name, SET.hash, np.zeros(WIDTH), np.full(WIDTH, 0.02), layers, lineage=about)


def of_bias(leaning: list[float]) -> Policy:
    """A policy that leans the same way whatever it sees."""
    return Policy(
        SET.name, SET.hash, np.zeros(WIDTH), np.ones(WIDTH),
        ((np.zeros((len(leaning), WIDTH + 2)), np.array(leaning)),), lineage={"instrument": "x", "timeframe": "1h"},
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


def test_many_are_asked_as_one_and_the_leaning_is_the_log_odds_of_its_share() -> None:
    policy = made(actions=3)
    seen = np.random.default_rng(2).uniform(-1, 1, (40, WIDTH + 2))
    shares = np.array([policy.shares(row) for row in seen])
    assert np.allclose(policy.shares(seen), shares, rtol=0, atol=1e-12)
    assert np.allclose(policy.leaning(seen), np.log(shares[:, LONG] / (1 - shares[:, LONG])))


# The file


def test_a_policy_comes_back_from_its_file_to_the_last_bit(tmp_path: Path) -> None:
    policy = replace(made(3, actions=3, data_version="abc"), chance=Chance(0.25, -1 / 3))
    path = policy.write(tmp_path)
    assert path.name == f"{policy.digest[:12]}.json"
    again = read(path)
    assert (again.digest, again.lineage, again.actions) == (policy.digest, policy.lineage, 3)
    assert again.chance == policy.chance
    assert again.digest != made(3, actions=3).digest  # what is shown is held by the digest too
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
        path = Policy(SET.name, SET.hash, good.mean, good.std, layers, lineage=good.lineage).write(tmp_path)
        with pytest.raises(PregaoError, match="cannot be read as a policy"):
            read(path)


def test_a_policy_of_other_features_is_refused(tmp_path: Path) -> None:
    policy = made()
    path = Policy(SET.name, "0" * 64, policy.mean, policy.std, policy.layers, lineage=policy.lineage).write(tmp_path)
    with pytest.raises(PregaoError, match="another definition"):
        configured("rl-policy", {"policy": str(path)})


# The strategy


def test_without_a_policy_it_stays_out_and_says_so() -> None:
    bars = market(400)
    desk = desk_for(Plan.of(bars.instrument, bars.timeframe), configured("rl-policy", {}))
    said = [desk.on_bar(bars.bar(i))[1] for i in range(len(bars))]
    assert {type(x) for intents in said for x in intents} == {Note}


def test_an_entry_names_the_chance_that_it_pays_where_it_was_measured() -> None:
    bars = market(400)
    for chance, named in ((None, None), (Chance(0.0, 0.0), 0.5), (Chance(1.0, 0.0), pytest.approx(0.73, abs=0.01))):
        strategy = configured("rl-policy", {})
        strategy.policy = replace(of_bias([0.0, 1.0]), chance=chance)
        desk = desk_for(Plan.of(bars.instrument, bars.timeframe), strategy)
        said = [intent for i in range(len(bars)) for intent in desk.on_bar(bars.bar(i))[1] if isinstance(intent, Enter)]
        assert said
        assert {intent.probability for intent in said} == {said[0].probability}
        assert said[0].probability == named


def test_one_that_always_leans_long_holds(tmp_path: Path) -> None:
    bars = market(400)
    plan = Plan.of(bars.instrument, bars.timeframe, take_profit=0, stop_loss=0)
    for leaning, held in (([0.0, 1.0], True), ([1.0, 0.0], False), ([0.0, 0.5, 1.0], True)):
        # The instrument allows no short sales, so the third way is not taken.
        strategy = configured("rl-policy", {"policy": str(of_bias(leaning).write(tmp_path))})
        result = backtest(strategy, bars, plan)
        assert bool((result.positions[SET.warmup :] > 0).all()) is held
