"""The paired stationary bootstrap: its blocks, its p-values without a difference, and arch's beside it."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from scipy import stats

from pregao.learning.bootstrap import better, draws, sharpe


def test_blocks_are_as_long_on_average_as_asked_and_wrap_around() -> None:
    rows = draws(500, 10.0, 200, np.random.default_rng(1))
    follows = (rows[:, 1:] - rows[:, :-1]) % 500 == 1
    # A new block begins with a chance of 1/10, less the one in 500 that begins just where the last one went on.
    assert 1 - follows.mean() == pytest.approx(0.1, abs=0.005)
    assert rows.min() == 0
    assert rows.max() == 499
    # Every row is drawn equally often: the series is a circle.
    counts = np.bincount(rows.ravel(), minlength=500)
    assert counts.std() / counts.mean() < 0.25


def test_the_resampled_difference_has_the_spread_that_arch_finds() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(0, 0.01, 800)
    one, other = common + rng.normal(0.0005, 0.004, 800), common + rng.normal(0, 0.004, 800)
    rows = draws(800, 12.0, 3_000, rng)
    ours = sharpe(one[rows]) - sharpe(other[rows])
    theirs = StationaryBootstrap(12, one, other, seed=5).apply(lambda a, b: sharpe(a) - sharpe(b), 3_000).ravel()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.06)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.004)
    assert stats.ks_2samp(ours, theirs).pvalue > 0.001


def test_without_a_difference_p_is_uniform() -> None:
    """Two traders of one market, returns that last some bars and move together: one is as good as the other."""
    rng = np.random.default_rng(7)
    found = []
    for i in range(250):
        common, own, theirs = (np.convolve(rng.normal(size=420), np.ones(5) / 5, "valid")[:400] for _ in range(3))
        found.append(better(common + own, common + theirs, 15, 200, i))
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) < 0.1) < 0.17


def test_a_difference_is_found_and_only_on_its_side() -> None:
    rng = np.random.default_rng(9)
    common = rng.normal(0, 0.01, 2_000)
    good, bad = common + rng.normal(0.002, 0.005, 2_000), common + rng.normal(0, 0.005, 2_000)
    assert better(good, bad, 10, 500, 1) == 1 / 501
    assert better(bad, good, 10, 500, 1) > 0.99


def test_what_cannot_be_told_apart_is_never_better() -> None:
    flat, some = np.zeros(50), np.random.default_rng(1).normal(size=50)
    assert better(some, some, 5, 100, 1) == 1.0
    assert better(flat, flat, 5, 100, 1) == 1.0
    assert better(some[:2], flat[:2], 5, 100, 1) == 1.0
    assert sharpe(flat) == 0.0
    assert better(some, flat, 5, 100, 1) == better(some, flat, 5, 100, 1)
