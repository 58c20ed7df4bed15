"""Figures against scikit-learn, SciPy and plain arithmetic; the gate refuses luck and passes foresight."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError
from pregao.features.sets import feature_set
from pregao.learning import gate_words
from pregao.learning.gate import judge
from pregao.learning.gate_words import told
from pregao.learning.labels import examples
from pregao.learning.params import Params
from pregao.learning.report import auc, calibration, finite, log_loss, report, statistics
from pregao.learning.rivalry import Rivalry

RUNS = 60


def predictions(bars: Bars, params: Params, chance: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Any:
    """Out-of-sample predictions of a made-up model, over the last two thirds of the bars."""
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    rows = examples(bars, plan, feature_set("core25"))
    first = len(rows) // 3
    net = rows.net[first:]
    probability = chance(net, np.random.default_rng(5))
    frame = pd.DataFrame({"at_ns": rows.at_ns[first:], "fold": 1, "probability": probability, "net": net})
    frame["expected_value"] = probability * 0.017 + (1 - probability) * -0.012
    frame["threshold"] = 0.004
    frame["enter"] = frame["expected_value"] >= 0.004
    return plan, frame


def foresight(net: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(np.where(net > 0, 0.95, 0.05) + rng.normal(0, 0.03, len(net)), 0.01, 0.99)


def guess(net: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(rng.normal(0.35, 0.15, len(net)), 0.01, 0.99)


def with_folds(document: dict[str, Any], probability: float = 0.0) -> dict[str, Any]:
    """The report as `assess` completes it."""
    return document | {"overfitting": {"probability": probability, "splits": 15}}


@pytest.fixture(scope="module")
def good(market: Callable[..., Bars], params: Params) -> dict[str, Any]:
    bars = market("NOISE/USDT", bars=5_000)
    plan, frame = predictions(bars, params, foresight)
    return with_folds(report(bars, plan, frame, [], 7, RUNS)[0])


def test_classification_figures_equal_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    chance = np.round(rng.random(5_000), 2)
    net = np.where(rng.random(5_000) < 0.3 + 0.3 * chance, 0.017, -0.012) + rng.normal(0, 0.001, 5_000)
    win = net > 0
    frame = pd.DataFrame({"probability": chance, "expected_value": chance * 0.03 - 0.01, "net": net})
    found = statistics(frame)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(win, chance))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(win, chance))
    assert log_loss(np.clip(chance, 0.01, 0.99), win) == pytest.approx(
        metrics.log_loss(win, np.clip(chance, 0.01, 0.99))
    )
    assert found["ic"] == pytest.approx(stats.pearsonr(frame["expected_value"], net).statistic)
    assert found["rank_ic"] == pytest.approx(stats.spearmanr(frame["expected_value"], net).statistic)


def test_rows_that_never_ended_do_not_count() -> None:
    frame = pd.DataFrame({"probability": [0.2, 0.8, 0.5], "expected_value": [0.0, 1.0, 0.5], "net": [-1, 1, math.nan]})
    assert statistics(frame)["rows"] == 2
    assert statistics(frame)["auc"] == 1.0


def test_auc_of_one_class_has_no_value() -> None:
    assert math.isnan(auc(np.array([0.1, 0.2]), np.array([True, True])))


def test_calibration_bins_are_of_equal_size_and_true() -> None:
    rng = np.random.default_rng(4)
    chance = rng.random(20_000)
    bins = calibration(chance, rng.random(20_000) < chance)
    assert [b["rows"] for b in bins] == [2_000] * 10
    assert max(abs(b["predicted"] - b["won"]) for b in bins) < 0.04


def test_foresight_passes_the_gate(good: dict[str, Any], params: Params) -> None:
    verdict = judge(good, params.gate)
    assert verdict.passed, [r.text for r in verdict.reasons]
    assert good["prediction"]["auc"] > 0.9
    assert good["trading"]["net_return"] > good["doubled_costs"]["net_return"] > 0
    assert good["random"]["p"] == pytest.approx(1 / (1 + RUNS))
    assert good["random"]["mean"] < 0


def test_guessing_is_refused(market: Callable[..., Bars], params: Params) -> None:
    bars = market("NOISE/USDT", bars=5_000)
    plan, frame = predictions(bars, params, guess)
    verdict = judge(with_folds(report(bars, plan, frame, [], 7, RUNS)[0]), params.gate)
    failed = {r.name for r in verdict.reasons if not r.passed}
    assert not verdict.passed
    assert {"costs", "doubled_costs", "random_entries", "skill"} <= failed


def test_a_model_that_never_enters_is_refused(market: Callable[..., Bars], params: Params) -> None:
    bars = market("NOISE/USDT", bars=5_000)
    plan, frame = predictions(bars, params, guess)
    document, trading = report(bars, plan, frame.assign(enter=False), [], 7, RUNS)
    assert trading.metrics()["trades"] == 0
    assert document["random"]["p"] is None
    verdict = judge(with_folds(document), params.gate)
    assert {"costs", "buy_and_hold", "random_entries", "trades"} <= {r.name for r in verdict.reasons if not r.passed}


def test_random_entries_make_as_many_trades(market: Callable[..., Bars], params: Params) -> None:
    bars = market("NOISE/USDT", bars=5_000)
    plan, frame = predictions(bars, params, guess)
    document, trading = report(bars, plan, frame, [], 7, RUNS)
    from pregao.simulation import layout
    from pregao.simulation.backtest import run_signals

    made = []
    for seed in range(5):
        signals = np.zeros(len(trading.bars), np.int8)
        chosen = np.random.default_rng(seed).choice(len(signals), document["random"]["entries"], replace=False)
        signals[chosen] = layout.ENTER_LONG
        made.append(len(run_signals(trading.bars, plan, signals).trades))
    assert np.mean(made) == pytest.approx(document["trading"]["trades"], rel=0.15)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("significance.sharpe_per_bar", 0.001, "deflated_sharpe"),
        ("significance.sharpe_per_bar", None, "deflated_sharpe"),
        ("significance.trials", [0.3, -0.3, 0.31], "deflated_sharpe"),
        ("overfitting.probability", 0.21, "overfitting"),
        ("overfitting", None, "overfitting"),
        ("trading.net_return", -0.001, "costs"),
        ("trading.net_return", 0.0, "costs"),
        ("doubled_costs.net_return", -0.001, "doubled_costs"),
        ("trading.sharpe", -99.0, "buy_and_hold"),
        ("trading.sharpe", None, "buy_and_hold"),
        ("buy_and_hold.sharpe", None, "buy_and_hold"),
        ("random.p", 0.05, "random_entries"),
        ("random.p", None, "random_entries"),
        ("trading.trades", 19.0, "trades"),
        ("trading.max_drawdown", 0.21, "drawdown"),
        ("prediction.calibration_error", 0.11, "calibration"),
        ("prediction.calibration_error", None, "calibration"),
        ("prediction.skill", -0.001, "skill"),
        ("prediction.skill", None, "skill"),
    ],
)
def test_each_reason_refuses_on_its_own(
    good: dict[str, Any], params: Params, path: str, value: Any, reason: str
) -> None:
    document = copy.deepcopy(good)
    *sections, key = path.split(".")
    place = document[sections[0]] if sections else document
    place[key] = value
    verdict = judge(document, params.gate)
    assert not verdict.passed
    failed = [r for r in verdict.reasons if not r.passed]
    assert [r.name for r in failed] == [reason]
    assert "must be" in failed[0].text
    # What it means and what could be done, in a sentence or two.
    assert failed[0].advice.endswith(".")
    assert not any(r.advice for r in verdict.reasons if r.passed)


@pytest.mark.parametrize(
    ("rivalry", "passes", "says"),
    [
        (None, True, "There is no champion yet"),
        (Rivalry("3", same=True), True, "It is the champion itself, version 3"),
        (Rivalry("3", False, 900, 0, 2.0, 1.0, 0.04), True, "Sharpe ratio 2.00 against 1.00 of champion 3 on 900 bars"),
        (Rivalry("3", False, 900, 0, 2.0, 1.9, 0.4), False, "chance of that by luck 0.400; must be under 0.10"),
        (Rivalry("3", False, 20), False, "Only 20 bars"),
        (Rivalry("3", False, unusable="It is of other features."), True, "nothing to beat: It is of other features."),
    ],
)
def test_a_champion_must_be_beaten_on_bars_that_neither_has_seen(
    good: dict[str, Any], params: Params, rivalry: Rivalry | None, passes: bool, says: str
) -> None:
    verdict = judge(good, params.gate, rivalry)
    assert verdict.passed is passes
    assert verdict.failed == (frozenset() if passes else {"champion"})
    (reason,) = (r for r in verdict.reasons if r.name == "champion")
    assert says in reason.text


def test_the_deflated_ratio_counts_the_trials_and_the_attempts_of_before(good: dict[str, Any], params: Params) -> None:
    """Against the formulas of `pregao.simulation.significance`, which are held to the papers in their own tests."""
    document = copy.deepcopy(good)
    figures = document["significance"] = {
        "bars": 1_250, "sharpe": 2.5, "sharpe_per_bar": 2.5 / 250**0.5, "skew": -3.0, "kurtosis": 10.0, "trials": [0.1],
    }  # fmt: skip

    def value(attempts: tuple[float | None, ...]) -> tuple[float | None, str]:
        reason = judge(document, params.gate, None, attempts).reasons[0]
        return reason.value, reason.text

    # The example of Bailey and Lopez de Prado (2014): 100 trials with annual ratios of variance 1/2 leave 0.900.
    spread = np.random.default_rng(1).normal(size=100)
    spread = (spread - spread.mean()) / spread.std(ddof=1) * (0.5 / 250) ** 0.5
    figures["trials"] = list(spread[:60])
    deflated, text = value(tuple(spread[60:]))
    assert deflated == pytest.approx(0.9004, abs=1e-3)
    assert "Sharpe ratio 2.50, 100 tried" in text
    # One that never traded earned nothing, and counts too.
    assert "101 tried" in value((*spread[60:], None))[1]
    figures["trials"] = [figures["sharpe_per_bar"]]
    alone = value(())[0]
    assert alone is not None
    assert alone > 0.99
    assert value((None,)) == value((0.0,))
    assert value((None,))[0] < alone


def test_report_and_verdict_are_plain_json(good: dict[str, Any], params: Params) -> None:
    assert json.loads(json.dumps(good, allow_nan=False)) == good
    verdict = judge(good, params.gate).to_json()
    assert json.loads(json.dumps(verdict, allow_nan=False))["reasons"][0]["name"] == "deflated_sharpe"
    assert finite({"a": [math.inf, 1.0], "b": math.nan}) == {"a": [None, 1.0], "b": None}


def test_the_report_trades_the_bars_that_were_predicted(market: Callable[..., Bars], params: Params) -> None:
    bars = market("NOISE/USDT", bars=5_000)
    plan, frame = predictions(bars, params, foresight)
    document, trading = report(bars, plan, frame, [], 7, RUNS)
    assert document["span"]["bars"] == len(frame) == len(trading.equity)
    assert document["span"]["end_ns"] == int(bars.close_ns[-1])
    entries = set(trading.trades["entry_ns"])
    # Decided at a close, filled at the next open, which here is the same moment.
    assert entries <= set(frame.loc[frame["enter"], "at_ns"])


def test_every_reason_has_its_words_in_each_language(good: dict[str, Any], params: Params) -> None:
    """Made of code and figures in one place; what an older Pregão registered keeps the English that it has."""
    bad = copy.deepcopy(good)
    bad["trading"] |= {"net_return": -0.5, "sharpe": -9.0, "max_drawdown": 0.9, "trades": 1.0}
    bad["overfitting"] = None
    rivals = [None, Rivalry("3", same=True), Rivalry("3", False, 9), Rivalry("3", False, 900, 0, 2.0, 1.9, 0.4),
              Rivalry("3", False, unusable="gone")]  # fmt: skip
    told_of = set()
    for document in (good, bad):
        for rivalry in rivals:
            for reason in judge(document, params.gate, rivalry).reasons:
                stored = json.loads(json.dumps(reason.to_json()))
                assert told(stored) == (reason.text, reason.advice)
                text, advice = told(stored, "pt-BR")
                assert text != reason.text
                assert text[0].isupper() or text[0].isdigit()
                assert bool(advice) is not reason.passed
                assert not re.search(r"\d\.\d", text)
                told_of.add(reason.code)
    assert told_of == set(gate_words.TEXTS)
    assert told({"name": "costs", "text": "old words", "advice": "old advice"}, "pt-BR") == ("old words", "old advice")
    with pytest.raises(NotFoundError, match="language"):
        told(stored, "fr")
