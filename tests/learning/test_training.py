"""Training is repeatable, its digest means the model and nothing else, and hopeless data is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.sets import feature_set
from pregao.learning.decision import choose_threshold, enters, expected_value
from pregao.learning.folds import Fold, last_fold
from pregao.learning.labels import Examples, examples
from pregao.learning.params import Params
from pregao.learning.train import Fitted, digest, fit, save, summary


@pytest.fixture(scope="module")
def rows(market: Callable[..., Bars], params: Params) -> Examples:
    bars = market(bars=3_000)
    return examples(bars, params.plan.plan(bars.instrument, bars.timeframe), feature_set("core25"))


@pytest.fixture(scope="module")
def fold(rows: Examples, params: Params) -> Fold:
    return last_fold(rows.at_ns, rows.end_ns, params.folds)


@pytest.fixture(scope="module")
def fitted(rows: Examples, fold: Fold, params: Params) -> Fitted:
    return fit(rows, fold, params.model, 7)


def test_the_same_rows_and_seed_give_the_same_file(
    rows: Examples, fold: Fold, fitted: Fitted, params: Params, tmp_path: Path
) -> None:
    again = fit(rows, fold, params.model, 7)
    save(fitted, tmp_path / "a.cbm")
    save(again, tmp_path / "b.cbm")
    assert (tmp_path / "a.cbm").read_bytes() == (tmp_path / "b.cbm").read_bytes()
    assert summary(fitted) == summary(again)
    other = fit(rows, fold, params.model, 8)
    assert digest(other.classifier) != digest(fitted.classifier)


def test_the_digest_survives_saving_and_loading(fitted: Fitted, tmp_path: Path) -> None:
    from catboost import CatBoostClassifier

    save(fitted, tmp_path / "a.cbm")
    loaded = CatBoostClassifier().load_model(str(tmp_path / "a.cbm"))
    assert digest(loaded) == digest(fitted.classifier)


def test_training_leaves_no_files_behind(
    rows: Examples, fold: Fold, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(rows, fold, params.model, 7)
    assert not list(tmp_path.iterdir())


def test_one_row_at_a_time_gives_the_same_bits(rows: Examples, fitted: Fitted) -> None:
    x = rows.x[-300:].copy()
    x[::7, 3] = np.nan
    x[5] = np.nan
    batch = fitted.probability(x)
    single = [fitted.probability(row.reshape(1, -1))[0] for row in x]
    assert np.array(single).tobytes() == batch.tobytes()
    scalar = [expected_value(float(p), fitted.payoff.win, fitted.payoff.loss) for p in single]
    assert np.array(scalar).tobytes() == fitted.value(x).tobytes()


def test_payoffs_are_those_of_the_rows_that_grew_the_trees(rows: Examples, fold: Fold, fitted: Fitted) -> None:
    net = rows.net[fold.fit]
    assert fitted.payoff.win == pytest.approx(net[net > 0].mean())
    assert fitted.payoff.loss == pytest.approx(net[net <= 0].mean())
    assert fitted.payoff.win > 0 > fitted.payoff.loss
    assert fitted.base_rate == pytest.approx((net > 0).mean())


def test_the_scored_rows_are_not_looked_at(rows: Examples, fold: Fold, fitted: Fitted, params: Params) -> None:
    half = len(fold.stop) // 2
    shorter = Fold(fold.fit, fold.stop[:half], fold.stop[half:])
    net, x = rows.net.copy(), rows.x.copy()
    net[shorter.test] *= -1
    x[shorter.test] = 1e9
    one = fit(rows, shorter, params.model, 7)
    two = fit(replace(rows, net=net, x=x), shorter, params.model, 7)
    assert summary(one) == summary(two)


def test_outcomes_all_alike_are_refused(rows: Examples, fold: Fold, params: Params) -> None:
    for net, ending in ((np.abs(rows.net) + 1e-6, "in profit"), (-np.abs(rows.net), "in loss")):
        with pytest.raises(UsageError, match=f"end {ending}"):
            fit(replace(rows, net=net), fold, params.model, 7)


def test_too_few_rows_are_refused(rows: Examples, fold: Fold, params: Params) -> None:
    with pytest.raises(UsageError, match="too few"):
        fit(rows, Fold(fold.fit[:50], fold.stop, fold.test), params.model, 7)


def test_expected_value_is_the_mean_of_the_payoffs() -> None:
    assert expected_value(0.4, 0.02, -0.01) == pytest.approx(0.002)
    assert expected_value(1.0, 0.02, -0.01) == 0.02
    assert expected_value(0.0, 0.02, -0.01) == -0.01


def test_the_threshold_is_where_trades_paid_most_surely() -> None:
    value = np.linspace(-0.01, 0.01, 2_000)
    rng = np.random.default_rng(1)
    paid = np.where(value > 0.006, 0.004, -0.004) + rng.normal(0, 0.001, 2_000)
    assert choose_threshold(value, paid) == pytest.approx(0.006, abs=3e-4)


def test_the_threshold_is_never_below_zero() -> None:
    value = np.linspace(-0.01, 0.01, 500)
    assert choose_threshold(value, np.full(500, 0.01)) >= 0
    for net in (0.01, -0.01):
        assert choose_threshold(value - 1, np.full(500, net)) == 0


def test_where_nothing_paid_only_as_much_certainty_as_ever_enters() -> None:
    value = np.linspace(-0.01, 0.01, 500)
    threshold = choose_threshold(value, np.full(500, -0.001))
    assert threshold == value.max()
    assert enters(value, threshold).sum() == 1
