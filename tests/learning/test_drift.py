"""Drift by bounds that the series sets itself: few false alarms where rows remember each other, and true ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm, spearmanr

from pregao.core.errors import UsageError
from pregao.learning.drift import LEAST_WINDOWS, Seen, stability, watch
from pregao.learning.lost_skill import LostSkill, cumulated

WINDOW, WINDOWS = 500, 20
HALF_LIVES = (5.0, 20.0, 60.0)


def seen(rng: np.random.Generator, rows: int, shift: float = 0.0, knows: float = 1.0, wrong: float = 0.0) -> Seen:
    """Features that forget half of themselves in 5 to 60 rows, and outcomes of trades that overlap for 20 rows.

    Args:
        shift: of every feature, in standard deviations.
        knows: how much the outcomes follow the predictions; -1 is the other way round.
        wrong: by how much wins come more often than predicted.
    """
    x = np.empty((rows, 6))
    for j in range(6):
        keep = 0.5 ** (1 / HALF_LIVES[j % 3])
        x[:, j] = lfilter([1], [1, -keep], rng.standard_normal(rows + 500) * math.sqrt(1 - keep**2))[500:]
    x += shift
    chance = 1 / (1 + np.exp(0.6 - 0.5 * (0.6 * x[:, 0] + 0.3 * x[:, 1] + 0.2 * x[:, 4])))
    true = np.clip(chance.mean() + knows * (chance - chance.mean()) + wrong, 0, 1)
    shock = lfilter(np.ones(20) / math.sqrt(20), [1], rng.standard_normal(rows + 20))[20:]
    net = np.where(norm.cdf(shock) < true, 0.017, -0.012)
    return Seen(chance, chance * 0.029 - 0.012, net, x, tuple(f"f{j}" for j in range(6)))


def test_the_index_is_the_textbook_formula() -> None:
    reference = np.arange(1_000.0)
    recent = np.concatenate([np.arange(0, 500.0), np.arange(0, 500.0)])
    low, high = (200 + 0.5) / 1_005.5, 0.5 / 1_005.5
    equal = 100.5 / 1_005.5
    want = 5 * (low - equal) * math.log(low / equal) + 5 * (high - equal) * math.log(high / equal)
    assert stability(recent, reference) == pytest.approx(want, rel=1e-6)
    assert stability(reference, reference) == 0.0
    # What is missing now and was not before is a difference too.
    assert stability(np.where(recent < 50, np.nan, recent), recent) > 0.1
    assert stability(np.full(9, np.nan), np.full(9, np.nan)) == 0.0


def test_false_alarms_are_few_where_textbook_limits_alarm_nearly_always() -> None:
    """80 months in which nothing has changed; the figure on the page of the gate is from far more."""
    rng = np.random.default_rng(11)
    months = alarms = textbook = 0
    for _ in range(20):
        rows = seen(rng, WINDOW * (WINDOWS + 4))
        watched = watch(rows[slice(0, WINDOW * WINDOWS)], WINDOW)
        for month in range(WINDOWS, WINDOWS + 4):
            findings = watched.check(rows[slice(month * WINDOW, (month + 1) * WINDOW)])
            months += 1
            alarms += any(finding.drifted for finding in findings)
            textbook += any(f.value > 0.2 for f in findings if f.name not in ("ic", "calibration"))
    assert textbook / months > 0.5
    # 5 % of 80 are 4; more than nine come in less than one of a hundred such rounds.
    assert alarms <= 9


@pytest.mark.parametrize(
    ("change", "name", "least"),
    [({"shift": 1.0}, "prediction", 0.9), ({"knows": -1.0}, "ic", 0.25), ({"wrong": 0.3}, "calibration", 0.6)],
)
def test_what_has_changed_is_found(change: dict[str, float], name: str, least: float) -> None:
    rng = np.random.default_rng(12)
    found = []
    for _ in range(12):
        watched = watch(seen(rng, WINDOW * WINDOWS), WINDOW)
        findings = {finding.name: finding for finding in watched.check(seen(rng, WINDOW, **change))}
        found.append(findings[name].drifted)
        assert findings[name].retrain is findings[name].drifted
    assert np.mean(found) >= least


def test_what_one_window_cannot_show_is_seen_over_several() -> None:
    """A skill that is lost at once: in one window rarely, in eight mostly; the page of the gate has larger figures."""
    rng = np.random.default_rng(17)
    after = []
    for _ in range(10):
        before, gone = seen(rng, WINDOW * WINDOWS), seen(rng, WINDOW * 8, knows=0.0)
        learnt = LostSkill.learnt(before.value, before.net, WINDOW, WINDOW // 2, 0.025)
        assert learnt.high is not None
        after.append([learnt.of(gone.value[:n], gone.net[:n]) > learnt.high for n in (WINDOW, 8 * WINDOW)])
    one, eight = np.array(after).mean(axis=0)
    assert one < 0.6
    assert eight >= 0.6


def test_the_sum_is_pages_and_the_bound_what_chance_reaches() -> None:
    rng = np.random.default_rng(18)
    value = rng.standard_normal(4_000)
    net = 0.3 * value + rng.standard_normal(4_000)
    learnt = LostSkill.learnt(value, net, month=400, block=20, alarms=0.05)
    assert learnt.correlation == pytest.approx(spearmanr(value, net).statistic, abs=1e-9)
    s = np.array([0.9, -0.5, 0.1, 0.4, -1.0])
    by_hand, total = [], 0.0
    for one in s:
        total = max(0.0, total + 0.2 / 2 - one)
        by_hand.append(total)
    assert cumulated(s, 0.2) == pytest.approx(by_hand)
    assert learnt.high is not None
    new = rng.standard_normal(400)
    assert learnt.of(new, 0.3 * new + rng.standard_normal(400)) < learnt.high < learnt.of(new, -new)
    nothing = LostSkill.learnt(value, rng.standard_normal(4_000) - 0.1 * value, 400, 20, 0.05)
    assert nothing.high is None
    assert math.isnan(nothing.of(new, new))


def test_a_feature_alone_is_no_reason_to_retrain() -> None:
    rng = np.random.default_rng(13)
    watched = watch(seen(rng, WINDOW * WINDOWS), WINDOW)
    rows = seen(rng, WINDOW)
    moved = rows.x.copy()
    moved[:, 3] += 2  # of no weight in the prediction
    findings = watched.check(Seen(rows.probability, rows.value, rows.net, moved, rows.names))
    drifted = [finding.name for finding in findings if finding.drifted]
    assert drifted == ["feature f3"]
    assert not any(finding.retrain for finding in findings)
    assert [finding.name for finding in findings][:4] == ["prediction", "lost skill", "ic", "calibration"]


def test_more_checks_a_month_ask_for_more() -> None:
    rows = seen(np.random.default_rng(14), WINDOW * WINDOWS)
    monthly, daily = watch(rows, WINDOW), watch(rows, WINDOW, checks_per_month=30)
    for name, (low, high) in monthly.bounds.items():
        lower, higher = daily.bounds[name]
        assert low is None or (lower is not None and lower < low)
        assert high is None or (higher is not None and higher > high)


def test_outcomes_that_are_not_known_yet_are_left_out() -> None:
    rng = np.random.default_rng(15)
    rows = seen(rng, WINDOW * WINDOWS)
    watched = watch(rows, WINDOW)
    recent = seen(rng, WINDOW)
    unknown = Seen(recent.probability, recent.value, np.full(WINDOW, np.nan), recent.x, recent.names)
    findings = {finding.name: finding for finding in watched.check(unknown)}
    assert math.isnan(findings["ic"].value)
    assert math.isnan(findings["lost skill"].value)
    assert not findings["lost skill"].drifted
    assert not findings["calibration"].drifted
    assert findings["prediction"].value > 0


def test_too_little_or_other_features_are_refused() -> None:
    rows = seen(np.random.default_rng(16), WINDOW * LEAST_WINDOWS)
    watched = watch(rows, WINDOW)
    with pytest.raises(UsageError, match="7 windows of 500"):
        watch(rows[slice(0, WINDOW * LEAST_WINDOWS - 1)], WINDOW)
    with pytest.raises(UsageError, match="fewer than the window"):
        watched.check(rows[slice(0, WINDOW - 1)])
    with pytest.raises(UsageError, match="other features"):
        watched.check(Seen(rows.probability, rows.value, rows.net, rows.x[:, :5], rows.names[:5]))
