"""The compiled trees say what CatBoost says, to the last bit; what they do not cover is left to CatBoost, and told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor, Pool, sum_models

from pregao.core.errors import PregaoError
from pregao.features.sets import feature_set
from pregao.learning.inference import trees as inference
from pregao.learning.inference.trees import (
    NotCoveredError,
    Trees,
    chance,
    chances,
    differences,
    document_of,
    probing_rows,
    proven,
)
from pregao.learning.model import COMPILED, LoadedModel, inference_of
from pregao.learning.train import digest

ROWS = 100_000
SET = feature_set("core25")


def rows_of(width: int, missing: float, seed: int = 1, count: int = 3_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, width)) * 10 ** rng.uniform(-4, 4, width)
    x[rng.random(x.shape) < missing] = np.nan
    return x


@cache
def trained(
    width: int = 25, missing: float = 0.05, loss: str = "Logloss", trees: int = 60, border_count: int = 254, **more: Any
) -> Any:
    """A small CatBoost model of random rows."""
    x = rows_of(width, missing)
    more = {key: list(value) if isinstance(value, tuple) else value for key, value in more.items()}
    known = np.nan_to_num(x / np.nanstd(x, axis=0))
    signal = known[:, 0] + known[:, -1] * known[:, width // 2] + np.random.default_rng(2).normal(size=len(x))
    target = {"Logloss": signal > 0, "CrossEntropy": 1 / (1 + np.exp(-signal)), "Poisson": np.exp(signal / 4)}
    kind = CatBoostClassifier if loss in ("Logloss", "CrossEntropy", "Focal:focal_alpha=0.5;focal_gamma=2") else None
    model = (kind or CatBoostRegressor)(
        iterations=trees, loss_function=loss, border_count=border_count, thread_count=2, random_seed=3,
        allow_writing_files=False, verbose=False, **more,
    )  # fmt: skip
    y = np.asarray(target.get(loss, signal if kind is None else signal > 0), np.float64)
    return model.fit(x, y)


MODELS: dict[str, dict[str, Any]] = {
    **{f"depth {depth}": {"depth": depth, "trees": 60 if depth < 8 else 25} for depth in range(1, 11)},
    "500 trees": {"trees": 500},
    "nothing missing": {"missing": 0.0},
    "missing is high": {"missing": 0.2, "nan_mode": "Max"},
    "one feature": {"width": 1},
    "two features, half missing": {"width": 2, "missing": 0.5},
    "158 features": {"width": 158},
    "few borders": {"border_count": 5},
    "more borders than a byte counts": {"border_count": 1_000},
    "features left out": {"ignored_features": (0, 3, 24)},
    "monotone": {"monotone_constraints": "1:1"},
    "ordered": {"boosting_type": "Ordered"},
    **{loss: {"loss": loss} for loss in ("CrossEntropy", "RMSE", "MAE", "Quantile:alpha=0.9", "Poisson")},
    "focal": {"loss": "Focal:focal_alpha=0.5;focal_gamma=2"},
}


def width_of(model: Any) -> int:
    return len(model.feature_names_)


@pytest.mark.parametrize("name", MODELS)
def test_raw_values_are_catboosts_own_to_the_last_bit(name: str) -> None:
    model = trained(**MODELS[name])
    trees = Trees.of(document_of(model), width_of(model))
    probing = probing_rows(trees, ROWS, 11)
    assert differences(trees, model, probing) == 0
    assert differences(trees, model, rows_of(width_of(model), 0.1, 5)) == 0
    # One row by itself goes another way through CatBoost than many.
    for row in probing[:50]:
        assert trees.raw(row) == model.predict(row.reshape(1, -1), prediction_type="RawFormulaVal")[0]


def test_the_probing_rows_look_where_a_difference_would_be() -> None:
    trees = Trees.of(document_of(trained()), 25)
    rows = probing_rows(trees, ROWS, 11)
    assert rows.shape == (ROWS, 25)
    assert probing_rows(trees, ROWS, 11).tobytes() == rows.tobytes()
    for at, borders in enumerate(trees.borders):
        column = rows[:, at]
        assert np.isnan(column).any()
        assert {np.inf, -np.inf, 1e300, -1e300, 5e-324} <= set(column)
        some = [float(b) for b in borders if abs(b) < 1e30]
        for near in (some, np.nextafter(some, np.inf), np.nextafter(np.float32(some), np.float32(np.inf))):
            assert set(map(float, near)) & set(column)


@pytest.mark.parametrize(("scale", "bias"), [(0.37, 0.123_456_7), (-1e-3, 1e6), (1 / 3, -0.1)])
def test_scale_and_bias_are_applied_alike(scale: float, bias: float) -> None:
    model = trained().copy()
    model.set_scale_and_bias(scale, bias)
    assert proven(model, document_of(model), 25, ROWS).bias == bias


def test_a_model_summed_of_others_and_a_stored_one_are_equal_too(tmp_path: Path) -> None:
    both = sum_models([trained(), trained(depth=3)], weights=[0.25, 0.75])
    proven(both, document_of(both), 25, ROWS)
    both.save_model(str(tmp_path / "model.cbm"))
    stored = CatBoostClassifier().load_model(str(tmp_path / "model.cbm"))
    proven(stored, document_of(stored), 25, ROWS)


def test_one_wrong_bit_is_found() -> None:
    model = trained()
    trees = Trees.of(document_of(model), 25)
    probing = probing_rows(trees, 2_000, 0)
    used = np.bincount(trees.column, minlength=25).argmax()
    border = trees.border.copy()
    border[trees.column == used] = np.nextafter(border[trees.column == used], np.float32(np.inf))
    values = np.nextafter(trees.values, np.inf)
    for wrong in (
        replace(trees, border=border),
        replace(trees, values=values),
        replace(trees, high=~trees.high),
        replace(trees, bias=np.nextafter(0.0, 1.0) + 1e-16),
    ):
        assert differences(wrong, model, probing) > 0
    assert differences(trees, model, probing) == 0


def test_chances_are_the_logistic_function_and_alike_for_one_and_many() -> None:
    raw = np.r_[np.random.default_rng(3).normal(0, 4, 20_000), 0.0, -0.0, 800.0, -800.0, np.inf, -np.inf]
    many = chances(raw)
    assert [chance(float(value)) for value in raw] == many.tolist()
    np.testing.assert_allclose(many[:-6], 1 / (1 + np.exp(-raw[:-6])), rtol=1e-15)
    assert many[-6:].tolist() == [0.5, 0.5, 1.0, 0.0, 1.0, 0.0]
    x = rows_of(25, 0.1)
    np.testing.assert_allclose(
        chances(inference.raw_values(trained(), x)), trained().predict_proba(x)[:, 1], rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("name", ["depth 1", "depth 6", "depth 10", "missing is high", "one feature", "158 features"])
def test_shap_values_are_catboosts_own(name: str) -> None:
    model = trained(**MODELS[name])
    trees = Trees.of(document_of(model), width_of(model))
    assert trees.explains
    rows = probing_rows(trees, 60, 4)
    theirs = model.get_feature_importance(Pool(rows), type="ShapValues")
    ours = np.array([trees.shapley(row) for row in rows])
    np.testing.assert_allclose(ours, theirs[:, :-1], rtol=0, atol=1e-12)
    # Additivity: the expected value and all parts together are the raw value.
    np.testing.assert_allclose(ours.sum(axis=1) + theirs[:, -1], trees.raw_batch(rows), rtol=0, atol=1e-12)


def test_shap_values_of_a_tree_of_two_by_hand() -> None:
    """Shapley's formula over both orders, each coalition's worth a mean over the training rows that agree with it:
    where the features are independent, as here, that is what the paths' weights come to."""
    x = np.array([[a, b] for a in (0.0, 1.0) for b in (0.0, 1.0) for _ in range(100 if a else 300)])
    y = x[:, 0] + 2 * x[:, 1] * x[:, 0]
    model = CatBoostRegressor(
        iterations=1, depth=2, learning_rate=1.0, l2_leaf_reg=0, boost_from_average=False, bootstrap_type="No",
        random_strength=0, allow_writing_files=False, verbose=False,
    ).fit(x, y)  # fmt: skip
    trees = Trees.of(document_of(model), 2)
    told = trees.raw_batch(x)
    np.testing.assert_allclose(told, y, atol=1e-12)

    def worth(known: set[int]) -> float:
        agree = np.all([x[:, i] == 1.0 for i in known], axis=0) if known else np.ones(len(x), bool)
        return float(told[agree].mean())

    first = (worth({0}) - worth(set()) + worth({0, 1}) - worth({1})) / 2
    second = (worth({1}) - worth(set()) + worth({0, 1}) - worth({0})) / 2
    np.testing.assert_allclose(trees.shapley(np.array([1.0, 1.0])), [first, second], atol=1e-12)


def meta_of(model: Any, **more: Any) -> dict[str, Any]:
    return {
        "features": list(model.feature_names_), "feature_set": SET.name, "feature_hash": SET.hash,
        "digest": digest(model), "threshold": 0.002, "payoff": {"win": 0.02, "loss": -0.01},
        "instrument": "test/test/TEST-USDT", "timeframe": "15m",
    } | more  # fmt: skip


def named(**how: Any) -> Any:
    """A model of the platform's own features."""
    x = rows_of(25, 0.05)
    options = {"iterations": 40, "allow_writing_files": False, "verbose": False, "thread_count": 2} | how
    y = np.nan_to_num(x[:, 0]) > 0 if "loss_function" not in how else np.random.default_rng(1).integers(0, 3, len(x))
    return CatBoostClassifier(**options).fit(Pool(x, np.asarray(y, np.int8), feature_names=list(SET.names)))


def test_a_loaded_model_goes_through_the_compiled_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = named()
    model = LoadedModel("m", "1", meta_of(classifier), classifier)
    assert model.inference == COMPILED == inference_of(classifier, 25)
    rows = rows_of(25, 0.2, 9)[:200]
    many = model.probabilities(rows)
    told = [model.explain(row, 25) for row in rows[:5]]

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("CatBoost was asked about a single row")

    for method in ("predict", "predict_proba", "get_feature_importance"):
        monkeypatch.setattr(classifier, method, never)
    assert [model.probability(row) for row in rows] == many.tolist()
    assert [model.explain(row, 25) for row in rows[:5]] == told
    frozen = rows[0].copy()
    frozen.flags.writeable = False
    assert model.probability(frozen) == model.probability(np.repeat(rows[0], 2)[::2]) == many[0]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"grow_policy": "Depthwise"}, "its trees are not oblivious"),
        ({"grow_policy": "Lossguide"}, "its trees are not oblivious"),
    ],
)
def test_what_is_not_covered_is_left_to_catboost_and_told(
    how: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = named(**how)
    with caplog.at_level(logging.WARNING, "pregao.model"):
        model = LoadedModel("m", "1", meta_of(classifier), classifier)
    assert reason in model.inference
    assert reason in caplog.text
    assert model.inference == inference_of(classifier, 25)
    rows = rows_of(25, 0.2, 9)[:20]
    assert [model.probability(row) for row in rows] == model.probabilities(rows).tolist()
    np.testing.assert_allclose(model.probabilities(rows), classifier.predict_proba(rows)[:, 1], atol=1e-15)
    assert dict(model.explain(rows[0], 25)).keys() == set(SET.names)


def test_what_else_is_not_covered_has_its_reason() -> None:
    several = named(loss_function="MultiClass")
    with pytest.raises(NotCoveredError, match="3 outputs"):
        proven(several, document_of(several), 25, 100)
    x = pd.DataFrame(rows_of(3, 0.0))
    x["c"] = np.random.default_rng(1).choice(list("abc"), len(x))
    quiet = {"iterations": 5, "allow_writing_files": False, "verbose": False}
    categories = CatBoostClassifier(**quiet).fit(x, x[0] > 0, cat_features=["c"])
    with pytest.raises(NotCoveredError, match="categories"):
        proven(categories, document_of(categories), 4, 100)
    with pytest.raises(NotCoveredError, match="25 features, and rows have 24"):
        proven(trained(), document_of(trained()), 24, 100)
    x["c"] = [" ".join(words) for words in np.random.default_rng(1).choice(["up", "down"], (len(x), 3))]
    texts = CatBoostClassifier(**quiet).fit(x, x[0] > 0, text_features=["c"])
    with pytest.raises(PregaoError, match="cannot tell what this model computes"):
        document_of(texts)


def test_trees_that_came_out_differently_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = named()
    right = Trees.of

    def wrong(document: dict[str, Any], width: int) -> Trees:
        made = right(document, width)
        return replace(made, values=made.values + 1e-9)

    monkeypatch.setattr("pregao.learning.model._PROVEN", set())
    monkeypatch.setattr(Trees, "of", wrong)
    model = LoadedModel("m", "1", meta_of(classifier), classifier)
    assert "rows came out differently" in model.inference
    row = rows_of(25, 0.1)[0]
    assert model.probability(row) == pytest.approx(classifier.predict_proba(row.reshape(1, -1))[0, 1], abs=1e-15)


def test_every_model_is_compared_on_100_000_rows_once_a_process_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []

    def counted(trees: Trees, classifier: Any, rows: Any) -> int:
        compared.append(len(rows))
        return differences(trees, classifier, rows)

    monkeypatch.setattr("pregao.learning.model._PROVEN", set())
    monkeypatch.setattr("pregao.learning.inference.trees.differences", counted)
    one, other = named(), named(random_seed=5)
    for classifier in (one, one, other):
        assert LoadedModel("m", "1", meta_of(classifier), classifier).inference == COMPILED
    assert compared == [100_000, 100_000]


def test_rows_of_another_width_are_refused() -> None:
    classifier = named()
    model = LoadedModel("m", "1", meta_of(classifier), classifier)
    for wrong in (np.zeros(24), np.zeros((1, 25)), np.zeros(0)):
        for asked in (model.probability, model.explain):
            with pytest.raises(PregaoError, match="takes 25 features, and was given"):
                asked(wrong)


def test_features_in_another_order_are_refused() -> None:
    classifier = named()
    with pytest.raises(PregaoError, match="not the one that was registered"):
        LoadedModel("m", "1", meta_of(classifier, features=list(SET.names[::-1])), classifier)


def test_reasons_are_told_in_words_with_both_names() -> None:
    classifier = named()
    usual = {name: [-1.0, -0.5, 0.5, 1.0] for name in SET.names}
    model = LoadedModel("m", "1", meta_of(classifier, usual=usual), classifier)
    row = rows_of(25, 0.0, 9)[0]
    row[SET.names.index("return_1")] = 7.0
    found = {reason.name: reason for reason in model.reasons(row, 25)}
    assert found["return_1"].words == "the price rose unusually much in the last bar"
    assert found["return_1"].value == 7.0
    assert str(found["return_1"]).endswith(f"(return_1, {found['return_1'].weight:+.2f})")
    sizes = [abs(r.weight) for r in model.reasons(row, 25)]
    assert sizes == sorted(sizes, reverse=True)


def test_features_that_say_the_same_are_one_reason_with_their_weights_added_up() -> None:
    """The time of the week is told once, though its sine and its cosine are two features; nothing of it is lost."""
    classifier = named()
    model = LoadedModel("m", "1", meta_of(classifier), classifier)
    for row in rows_of(25, 0.0, 9)[:20]:
        parts, told = dict(model.explain(row, 25)), model.reasons(row, 25)
        assert len({reason.words for reason in told}) == len(told) == 23
        for what, of in (("the time of day", "day"), ("the time of the week", "week")):
            (one,) = [reason for reason in told if reason.words == what]
            sine, cosine = parts[f"{of}_sin"], parts[f"{of}_cos"]
            assert one.weight == pytest.approx(sine + cosine)
            assert one.name == (f"{of}_sin" if abs(sine) >= abs(cosine) else f"{of}_cos")
        assert sum(reason.weight for reason in told) == pytest.approx(sum(parts.values()))
        assert model.reasons(row, 3) == told[:3]


def test_the_live_step_is_much_faster_than_catboost() -> None:
    """A coarse floor, so that a lost compilation is noticed; benchmarks/inference.py has the figures."""
    import time

    classifier = trained(trees=500)
    trees = Trees.of(document_of(classifier), 25)
    row = rows_of(25, 0.1)[0]

    def best(ask: Callable[[], object]) -> float:
        spent = []
        for _ in range(200):
            start = time.perf_counter()
            ask()
            spent.append(time.perf_counter() - start)
        return min(spent)

    assert best(lambda: trees.raw(row)) * 3 < best(lambda: classifier.predict_proba(row.reshape(1, -1)))
