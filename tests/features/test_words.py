"""What a person reads of a feature: its name in words, and what a value of it says."""

from __future__ import annotations

import math

import pytest

from pregao.features.sets import FEATURE_SETS, feature_set
from pregao.features.words import clause, noun

USUAL = (-0.02, -0.01, 0.01, 0.02)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("donchian_20", 1.0, "the price is at the top of its 20-bar channel"),
        ("donchian_20", 0.0, "the price is at the bottom of its 20-bar channel"),
        ("donchian_55", 0.5, "the price is in the middle of its 55-bar channel"),
        ("bollinger_20", 1.2, "the price is above its 20-bar Bollinger bands"),
        ("bollinger_20", -0.1, "the price is below its 20-bar Bollinger bands"),
        ("zscore_64", 2.5, "the price is far above its 64-bar mean"),
        ("rsi_14", 81.0, "the 14-bar RSI is overbought"),
        ("rsi_14", 50.0, "the 14-bar RSI is balanced"),
        ("return_8", 0.03, "the price rose unusually much over the last 8 bars"),
        ("return_8", -0.015, "the price did worse than usual over the last 8 bars"),
        ("return_1", -0.03, "the price fell unusually much in the last bar"),
        ("volatility_16", 0.015, "the 16-bar volatility is above usual"),
        ("volume_z_32", 3.0, "the volume is far above its 32-bar mean"),
        ("price_volume_32", -0.9, "volume came with falling prices over the last 32 bars"),
        ("up_down_16", 0.75, "nearly all of the last 16 moves were up"),
        ("day_sin", 0.3, "the time of day"),
        ("return_8", math.nan, "the 8-bar return is missing"),
    ],
)
def test_a_value_is_told_as_a_trader_would(name: str, value: float, said: str) -> None:
    assert clause(name, value, USUAL) == said


def test_without_a_usual_range_the_value_itself_is_told() -> None:
    assert clause("volatility_16", 0.01234567) == "the 16-bar volatility is 0.01235"
    assert clause("volatility_16", 0.01234567, (None, None, None, None)) == "the 16-bar volatility is 0.01235"
    # A natural bound needs none.
    assert clause("rsi_14", 81.0) == "the 14-bar RSI is overbought"


def test_a_feature_without_words_is_told_by_its_formula() -> None:
    assert noun("new_thing_9", "C / C[9]") == "new_thing_9 = C / C[9]"
    assert clause("new_thing_9", 0.03, USUAL, "C / C[9]") == "new_thing_9 = C / C[9] is far above usual"
    assert noun("new_thing_9") == "new_thing_9"


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_every_feature_has_something_to_say_at_every_value(name: str) -> None:
    for feature, formula in feature_set(name).formulas.items():
        assert noun(feature, formula)
        for value in (math.nan, -math.inf, -1.0, 0.0, 0.5, 1.0, math.inf):
            for usual in ((), USUAL):
                said = clause(feature, value, usual, formula)
                assert said
                assert "{" not in said or "{" in formula


def test_the_default_set_is_told_in_words() -> None:
    assert all(noun(feature) != feature for feature in feature_set("core25").names)


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_every_feature_of_ours_has_words(name: str) -> None:
    """And no two of a set have the same, but for those that tell one thing: the time of day."""
    features = feature_set(name)
    told = {feature: noun(feature, formula) for feature, formula in features.formulas.items()}
    assert {feature for feature, words in told.items() if " = " in words} == set()
    alike = [feature for feature in told if list(told.values()).count(told[feature]) > 1]
    assert set(alike) <= {"day_sin", "day_cos", "week_sin", "week_cos"}
