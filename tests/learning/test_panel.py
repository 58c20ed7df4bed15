"""A panel: rows of other instruments teach, and only the own ones decide, are scored, and set payoffs and threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.sets import feature_set
from pregao.learning.assess import assess
from pregao.learning.evaluate import walk
from pregao.learning.folds import walk_forward
from pregao.learning.labels import Examples, examples, stacked
from pregao.learning.params import CombinationParams, Params
from pregao.learning.train import fit

SET = feature_set("core25")
OWN = 2_600


def rows_of(bars: Bars, params: Params) -> Examples:
    return examples(bars, params.plan.plan(bars.instrument, bars.timeframe), SET)


@pytest.fixture(scope="module")
def own(market: Callable[..., Bars]) -> Bars:
    return market("EDGE/USDT", bars=OWN)


@pytest.fixture(scope="module")
def peers(market: Callable[..., Bars]) -> list[Bars]:
    """Two other markets with the same edge; they end with the own one and began before it."""
    return [market("EDGE/USDT", bars=4_000, seed=seed) for seed in (21, 22)]


@pytest.fixture(scope="module")
def panel(own: Bars, peers: list[Bars], params: Params) -> Examples:
    return stacked(rows_of(own, params), [rows_of(peer, params) for peer in peers])


def test_without_peers_it_is_the_instrument_alone(own: Bars, params: Params) -> None:
    alone = rows_of(own, params)
    same = stacked(alone, [])
    for name in ("x", "at_ns", "end_ns", "net", "own"):
        np.testing.assert_array_equal(getattr(same, name), getattr(alone, name))
    assert alone.own.all()


def test_rows_stand_by_time_and_come_from_the_own_time(panel: Examples, own: Bars, params: Params) -> None:
    alone = rows_of(own, params)
    assert len(panel) == 3 * len(alone)
    assert (np.diff(panel.at_ns) >= 0).all()
    np.testing.assert_array_equal(panel.x[panel.own], alone.x)
    np.testing.assert_array_equal(panel.at_ns[panel.own], alone.at_ns)
    # At each moment the own row comes first.
    assert panel.own[::3].all()
    assert not panel.own[1::3].any()
    assert panel.end_ns.max() <= alone.at_ns[-1]


def test_what_a_peer_comes_to_after_the_last_own_row_is_not_looked_at(
    own: Bars, peers: list[Bars], params: Params
) -> None:
    """The own bars end earlier: the peer's rows are as if its bars ended then."""
    early = own[: OWN - 300]
    cut = early.close_ns[-1]
    late, ended = (rows_of(bars, params) for bars in (peers[0], peers[0][: int(np.sum(peers[0].close_ns <= cut))]))
    one, other = (stacked(rows_of(early, params), [peer]) for peer in (late, ended))
    for name in ("x", "at_ns", "end_ns", "net", "own"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_moment_is_on_one_side_of_every_cut_for_all_instruments(panel: Examples, params: Params) -> None:
    for fold in walk_forward(panel.at_ns, panel.end_ns, params.folds):
        train = np.r_[fold.fit, fold.stop]
        start = panel.at_ns[fold.test].min()
        assert panel.end_ns[train].max() < start
        assert panel.end_ns[fold.fit].max() < panel.at_ns[fold.stop].min()
        assert not panel.own[train].all()


def test_payoffs_and_threshold_are_the_own_ones(panel: Examples, params: Params) -> None:
    fold = walk_forward(panel.at_ns, panel.end_ns, params.folds)[-1]
    fitted = fit(panel, fold, params.model, 1)
    mine = panel.net[fold.fit[panel.own[fold.fit]]]
    assert fitted.payoff.win == pytest.approx(mine[mine > 0].mean())
    assert fitted.payoff.loss == pytest.approx(mine[mine <= 0].mean())
    # Peers that lose as often, only more each time, change neither.
    worse = replace(panel, net=np.where(panel.own | (panel.net > 0), panel.net, panel.net * 3))
    again = fit(worse, fold, params.model, 1)
    assert (again.payoff, again.threshold) == (fitted.payoff, fitted.threshold)


def test_only_own_rows_are_scored_and_traded(panel: Examples, own: Bars, params: Params) -> None:
    small = params.model_copy(update={"combinations": CombinationParams(groups=4, test_groups=1), "random_runs": 20})
    plan = params.plan.plan(own.instrument, own.timeframe)
    found = assess(own, plan, panel, small)
    np.testing.assert_array_equal(found.predictions["at_ns"], own.close_ns[-len(found.predictions) :])
    assert found.trading.bars.instrument == own.instrument
    assert found.report["overfitting"]["splits"] == 4
    assert sum(fold["test_rows"] for fold in found.report["folds"]) == len(found.predictions)


def test_peers_with_the_same_edge_teach_what_a_short_history_cannot(
    market: Callable[..., Bars], params: Params
) -> None:
    """1,800 bars are too few to learn the edge from; four other markets have it too."""
    peers = [rows_of(market("EDGE/USDT", bars=4_000, seed=seed), params) for seed in (21, 22, 23, 24)]
    found = []
    for seed in (9, 10):
        alone = rows_of(market("EDGE/USDT", bars=1_800, seed=seed), params)
        found.append([np.mean([fold["auc"] for fold in walk(r, params)[1]]) for r in (alone, stacked(alone, peers))])
    without, together = np.mean(found, axis=0)
    assert together > without + 0.05


def test_peers_that_cannot_be_stacked_are_told(own: Bars, peers: list[Bars], params: Params) -> None:
    alone = rows_of(own, params)
    with pytest.raises(UsageError, match="no bars in the time"):
        stacked(alone, [rows_of(peers[0][:1_000], params)])
    with pytest.raises(UsageError, match="same features"):
        stacked(alone, [replace(alone, names=("other", *alone.names[1:]))])
