"""Sharpe ratios beside luck: the papers' own examples, direct integration, and markets without any edge."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from pregao.core.errors import UsageError
from pregao.simulation.significance import (
    Estimate,
    Flaw,
    Sample,
    Trials,
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
)

ALTERNATING = np.array([0.01, -0.02, 0.03, 0.0, 0.015])


def yearly(sharpe: float, bars: int) -> float:
    return sharpe / math.sqrt(bars)


def test_the_moments_are_the_usual_ones() -> None:
    returns = np.random.default_rng(1).standard_t(4, 500) * 0.01 + 0.001
    sample = Sample.of(returns)
    assert sample.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert sample.skew == pytest.approx(stats.skew(returns))
    assert sample.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert sample.observations == 500


@pytest.mark.parametrize(
    ("skew", "kurtosis", "published"),
    [(-2.448, 10.164, 0.913), (0.0, 3.0, 0.982)],
)
def test_the_probabilistic_ratio_of_the_paper(skew: float, kurtosis: float, published: float) -> None:
    """24 months at 0.458 a month: short, skewed and fat-tailed it is not significant, normal it would be (2012)."""
    found = probabilistic_sharpe(Sample(24, 0.458, skew, kurtosis))
    assert found.value == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize(
    ("bars", "skew", "kurtosis", "years"),
    [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_track_records_of_the_paper(bars: int, skew: float, kurtosis: float, years: float) -> None:
    """To say at 95 % that a yearly Sharpe ratio of 2 is above 1 (2012)."""
    sample = Sample(10, yearly(2, bars), skew, kurtosis)
    assert minimum_track_record(sample, yearly(1, bars)).value / bars == pytest.approx(years, abs=5e-3)


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "published"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_the_deflated_ratio_of_the_paper(trials: int, skew: float, kurtosis: float, published: float) -> None:
    """Five years of days at a yearly Sharpe ratio of 2.5, the trials' yearly variance 1/2 (2014)."""
    tried = Trials(trials, 0.5 / 250)
    if trials == 100:
        assert expected_maximum_sharpe(tried) == pytest.approx(0.1132, abs=5e-5)
    found = deflated_sharpe(Sample(1250, yearly(2.5, 250), skew, kurtosis), tried)
    assert found.value == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize(("trials", "within"), [(2, 0.08), (3, 0.03), (10, 0.03), (100, 0.01), (10_000, 0.01)])
def test_the_expected_maximum_beside_the_integral(trials: int, within: float) -> None:
    def density(x: float) -> float:
        return float(x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1))

    exact = quad(density, -10, 12, limit=500, points=[0, 3])[0]
    assert expected_maximum_sharpe(Trials(trials, 1.0)) == pytest.approx(exact, rel=within)
    assert expected_maximum_sharpe(Trials(trials, 0.04)) == pytest.approx(0.2 * exact, rel=within)


def test_more_trials_expect_more_and_one_expects_nothing() -> None:
    expected = [expected_maximum_sharpe(Trials(n, 1.0)) for n in (1, 1.1, 1.5, 2, 3, 10, 1e3, 1e12, 1e18)]
    assert expected[0] == 0
    assert all(a <= b for a, b in pairwise(expected))
    assert expected[-1] < 10


@pytest.mark.parametrize("shape", ["normal", "fat", "skewed"])
def test_without_an_edge_the_probabilistic_ratio_is_uniform(shape: str) -> None:
    """Each of ten levels is undercut as often as it says, give or take three standard errors."""
    rng = np.random.default_rng(7)
    size = (4_000, 750)
    returns = {
        "normal": lambda: rng.standard_normal(size),
        "fat": lambda: rng.standard_t(6, size),
        "skewed": lambda: rng.exponential(size=size) - 1,
    }[shape]()
    found = np.array([probabilistic_sharpe(Sample.of(r)).value for r in returns])
    for level in np.arange(0.05, 1, 0.1):
        error = math.sqrt(level * (1 - level) / len(found))
        assert np.mean(found <= level) == pytest.approx(level, abs=3 * error + 0.01)


def test_the_skew_matters_where_there_is_an_edge() -> None:
    """Of skewed returns with a true ratio of 0.5 the chance to be above 0.5 is uniform; taken for normal it is not."""
    rng = np.random.default_rng(11)
    returns = 1 - rng.exponential(size=(4_000, 500)) + 0.5
    samples = [Sample.of(r) for r in returns]
    found = np.array([probabilistic_sharpe(s, 0.5).value for s in samples])
    as_normal = np.array([probabilistic_sharpe(Sample(s.observations, s.sharpe), 0.5).value for s in samples])
    assert np.mean(found > 0.95) == pytest.approx(0.05, abs=0.02)
    assert np.mean(as_normal > 0.95) > 0.08


@pytest.mark.parametrize("trials", [5, 50])
def test_the_best_of_many_worthless_trials_is_not_believed(trials: int) -> None:
    """Undeflated, the best of fifty looks significant more often than not; deflated, at most one time in twenty."""
    rng = np.random.default_rng(trials)
    plain, deflated = [], []
    for _ in range(400):
        samples = [Sample.of(r) for r in rng.standard_normal((trials, 250)) * 0.01]
        best = max(samples, key=lambda s: s.sharpe)
        plain.append(probabilistic_sharpe(best).value)
        deflated.append(deflated_sharpe(best, Trials.of([s.sharpe for s in samples])).value)
    assert np.mean(np.array(plain) > 0.95) > 0.2
    assert np.mean(np.array(deflated) > 0.95) <= 0.05
    assert 0.3 < np.median(deflated) < 0.7


def test_a_true_edge_is_believed_in_spite_of_the_trials() -> None:
    rng = np.random.default_rng(3)
    believed = 0
    for _ in range(100):
        returns = rng.standard_normal((20, 1_000)) * 0.01
        returns[0] += 0.002  # a Sharpe ratio of 0.2 a bar
        samples = [Sample.of(r) for r in returns]
        best = max(samples, key=lambda s: s.sharpe)
        # The spread of what was worth nothing: the edge itself would widen it.
        believed += deflated_sharpe(best, Trials(20, 1 / 1_000)).value > 0.95
    assert believed > 90


def test_one_trial_is_the_probabilistic_ratio_against_nothing() -> None:
    sample = Sample.of(ALTERNATING)
    assert deflated_sharpe(sample, Trials.of([sample.sharpe])) == probabilistic_sharpe(sample, 0.0)


def test_trials_that_all_did_the_same_deflate_nothing() -> None:
    sample = Sample.of(ALTERNATING)
    assert deflated_sharpe(sample, Trials.of([0.1, 0.1, 0.1])) == probabilistic_sharpe(sample, 0.0)


def test_trials_that_never_traded_count_but_say_nothing_of_the_spread() -> None:
    tried = Trials.of([0.1, 0.3, math.nan, math.nan])
    assert tried.count == 4
    assert tried.variance == pytest.approx(0.02)
    unknown = deflated_sharpe(Sample.of(ALTERNATING), Trials.of([0.1, math.nan]))
    assert math.isnan(unknown.value)
    assert unknown.flaw is Flaw.NO_SPREAD


@pytest.mark.parametrize(
    ("returns", "flaw"),
    [
        ([], Flaw.TOO_SHORT),
        ([0.01, 0.02], Flaw.TOO_SHORT),
        ([0.01, math.nan, 0.02, 0.01], Flaw.NOT_FINITE),
        ([0.01, math.inf, 0.02, 0.01], Flaw.NOT_FINITE),
        ([0.0] * 50, Flaw.NO_VARIANCE),
        ([0.1 + 0.2, 0.3, 0.3, 0.3], Flaw.NO_VARIANCE),
    ],
)
def test_what_has_no_sharpe_ratio_says_why(returns: list[float], flaw: Flaw) -> None:
    sample = Sample.of(returns)
    assert sample.flaw is flaw
    for found in (
        probabilistic_sharpe(sample),
        deflated_sharpe(sample, Trials(10, 0.1)),
        minimum_track_record(sample),
    ):
        assert math.isnan(found.value)
        assert found.flaw is flaw


def test_two_values_can_leave_nothing_to_estimate() -> None:
    assert probabilistic_sharpe(Sample(10, 2.0, skew=1.0, kurtosis=2.0)).flaw is Flaw.NO_VARIANCE


def test_no_track_record_is_long_enough_below_the_benchmark() -> None:
    assert minimum_track_record(Sample(100, 0.05), 0.05) == Estimate(math.inf, Flaw.NOT_ABOVE)


def test_the_track_record_is_just_long_enough() -> None:
    """At the length it names, the probabilistic ratio reaches the confidence."""
    sample = Sample(100, 0.08, -0.9, 7.0)
    needed = minimum_track_record(sample, 0.03, confidence=0.9).value
    there = Sample(math.ceil(needed), sample.sharpe, sample.skew, sample.kurtosis)
    before = Sample(math.floor(needed), sample.sharpe, sample.skew, sample.kurtosis)
    assert probabilistic_sharpe(before, 0.03).value < 0.9 <= probabilistic_sharpe(there, 0.03).value


def test_absurd_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one trial"):
        Trials(0, 0.1)
    with pytest.raises(UsageError, match="at least one trial"):
        Trials.of([])
    with pytest.raises(UsageError, match="not negative"):
        Trials(2, -0.1)
    with pytest.raises(UsageError, match="confidence"):
        minimum_track_record(Sample(100, 0.1), confidence=1.0)
