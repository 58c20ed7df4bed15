"""The search for knobs: every trial is kept, the gate counts them, and the first is what no search would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.sets import feature_set
from pregao.learning.assess import Assessment, assess
from pregao.learning.gate import judge
from pregao.learning.labels import Examples, examples
from pregao.learning.params import CombinationParams, Params, SearchParams
from pregao.simulation.plan import Plan
from pregao.simulation.significance import Sample, Trials, deflated_sharpe

TRIALS = 2


def market_of(market: Callable[..., Bars], params: Params) -> tuple[Bars, Plan, Examples]:
    bars = market("EDGE/USDT", bars=3_000)
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    return bars, plan, examples(bars, plan, feature_set("core25"))


@pytest.fixture(scope="module")
def small(params: Params) -> Params:
    return params.model_copy(
        update={
            "model": params.model.model_copy(update={"iterations": 25}),
            "combinations": CombinationParams(groups=4, test_groups=1),
            "search": SearchParams(trials=TRIALS),
            "random_runs": 20,
        }
    )


@pytest.fixture(scope="module")
def searched(market: Callable[..., Bars], small: Params) -> Assessment:
    return assess(*market_of(market, small), small)


def test_every_trial_is_kept_with_its_knobs_and_its_returns(searched: Assessment, small: Params) -> None:
    trials = searched.report["trials"]
    assert [trial["number"] for trial in trials] == list(range(TRIALS + 1))
    assert trials[0]["model"] == small.model.model_dump(mode="json")
    assert len({str(trial["model"]) for trial in trials}) == TRIALS + 1
    assert list(searched.returns.columns) == [str(i) for i in range(TRIALS + 1)]
    for trial in trials:
        returns = searched.returns[str(trial["number"])]
        assert trial["sharpe_per_bar"] == pytest.approx(Sample.of(returns).sharpe)
        assert trial["net_return"] == pytest.approx((1 + returns).prod() - 1)
    np.testing.assert_array_equal(searched.returns.index, searched.trading.bars.close_ns[1:])


def test_the_best_is_chosen_and_reported(searched: Assessment) -> None:
    sharpes = [trial["sharpe_per_bar"] for trial in searched.report["trials"]]
    best = searched.report["chosen"]
    assert sharpes[best] == max(sharpes)
    assert searched.report["significance"]["sharpe_per_bar"] == pytest.approx(max(sharpes))
    assert searched.model.model_dump(mode="json") == searched.report["trials"][best]["model"]
    assert len(searched.predictions) == len(searched.trading.bars)


def test_the_gate_deflates_by_all_trials(searched: Assessment, small: Params) -> None:
    returns = searched.returns[str(searched.report["chosen"])]
    trials = Trials.of([Sample.of(searched.returns[column]).sharpe for column in searched.returns])
    reason = judge(searched.report, small.gate).reasons[0]
    assert (reason.name, trials.count) == ("deflated_sharpe", TRIALS + 1)
    assert reason.value == pytest.approx(deflated_sharpe(Sample.of(returns), trials).value)
    assert f"{TRIALS + 1} tried" in reason.text
    assert len(searched.report["overfitting"]["chosen"]) == 4


def test_the_same_seed_tries_the_same_and_without_a_search_it_is_the_first_trial(
    market: Callable[..., Bars], small: Params, searched: Assessment
) -> None:
    again = assess(*market_of(market, small), small, combinations=False)
    assert again.report["trials"] == searched.report["trials"]
    pd.testing.assert_frame_equal(again.returns, searched.returns)
    alone = assess(*market_of(market, small), small.model_copy(update={"search": SearchParams()}), combinations=False)
    assert alone.report["trials"] == searched.report["trials"][:1]
    pd.testing.assert_series_equal(alone.returns["0"], searched.returns["0"])


def test_combinations_are_left_out_only_where_the_verdict_is_known(market: Callable[..., Bars], small: Params) -> None:
    """On noise the gate refuses without them; where all else passes they are made."""
    calm = small.model_copy(update={"search": SearchParams()})
    bars = market("NOISE/USDT", bars=3_000)
    plan = calm.plan.plan(bars.instrument, bars.timeframe)
    rows = examples(bars, plan, feature_set("core25"))
    found = assess(bars, plan, rows, calm, combinations=False)
    assert found.report["overfitting"] is None
    verdict = judge(found.report, calm.gate)
    assert {"deflated_sharpe", "overfitting"} <= verdict.failed
    (reason,) = (r for r in verdict.reasons if r.name == "overfitting")
    assert "had failed already" in reason.text
    assert judge(assess(bars, plan, rows, calm).report, calm.gate).passed is verdict.passed
    loose = {
        "min_deflated_sharpe": 0.01, "max_random_p": 0.99, "min_trades": 1, "max_drawdown": 1.0, "min_net_return": -1.0,
        "min_net_return_doubled_costs": -1.0, "max_calibration_error": 1.0, "min_skill": -9.0,
    }  # fmt: skip
    easy = calm.model_copy(update={"gate": calm.gate.model_copy(update=loose)})
    lazy, full = (assess(*market_of(market, easy), easy, combinations=all_of_them) for all_of_them in (False, True))
    assert lazy.report["overfitting"] is not None
    assert lazy.report == full.report


def test_what_cannot_be_learnt_is_told(market: Callable[..., Bars], small: Params) -> None:
    bars, plan, rows = market_of(market, small)
    lost = replace(rows, net=np.where(rows.known, -0.01, np.nan))
    with pytest.raises(UsageError, match="end in loss: there is nothing to tell apart"):
        assess(bars, plan, lost, small)
    won = replace(rows, net=np.where(rows.known, 0.01, np.nan))
    with pytest.raises(UsageError, match="end in profit"):
        assess(bars, plan, won, small)
    with pytest.raises(UsageError, match="too few to learn from"):
        assess(bars[:120], plan, examples(bars[:120], plan, feature_set("core25")), small)
