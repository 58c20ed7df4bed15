"""Labels come from the engine and see nothing after the cut; folds never train on what was not yet known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.features.sets import feature_set
from pregao.learning.folds import last_fold, walk_forward
from pregao.learning.labels import Examples, examples, seen_bars
from pregao.learning.params import FoldParams, Params

SET = feature_set("core25")


@pytest.fixture(scope="module")
def rows(market: Callable[..., Bars], params: Params) -> Examples:
    bars = market(bars=1_500)
    return examples(bars, params.plan.plan(bars.instrument, bars.timeframe), SET)


def test_a_row_is_the_bar_that_it_names(rows: Examples, market: Callable[..., Bars]) -> None:
    bars = market(bars=1_500)
    assert len(rows) == len(bars) - SET.warmup + 1
    np.testing.assert_array_equal(rows.at_ns, bars.close_ns[SET.warmup - 1 :])
    np.testing.assert_array_equal(rows.x, SET.batch(bars)[SET.warmup - 1 :])
    assert rows.names == SET.names


def test_an_outcome_is_known_after_the_entry_and_within_the_horizon(rows: Examples, params: Params) -> None:
    known = rows.known
    bars_later = (rows.end_ns[known] - rows.at_ns[known]) // (900 * 10**9)
    assert bars_later.min() >= 1
    # Entered at the next open and closed at the open after the horizon at the latest.
    assert bars_later.max() <= params.plan.horizon + 1
    assert (rows.end_ns[~known] == -1).all()
    assert not known[-1]
    assert 0.1 < rows.win[known].mean() < 0.9


def test_a_win_pays_the_take_profit_less_costs(rows: Examples, params: Params) -> None:
    costs = 2 * float(params.plan.fee + params.plan.slippage) / 100
    best = float(params.plan.take_profit) / 100
    # A gap over the target fills at the open, better than the target, so only most wins lie just here.
    wins = rows.net[rows.win]
    assert np.median(wins) == pytest.approx(best - costs, abs=5e-4)
    assert rows.net[rows.known & ~rows.win].max() <= 0


def test_labels_do_not_look_past_the_last_bar(rows: Examples, market: Callable[..., Bars], params: Params) -> None:
    bars = market(bars=1_500)
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    for cut in (300, 777, 1_200):
        early = examples(bars[:cut], plan, SET)
        ended = early.known
        assert (early.end_ns[ended] <= bars.close_ns[cut - 1]).all()
        np.testing.assert_array_equal(early.net[ended], rows.net[: len(early)][ended])
        np.testing.assert_array_equal(early.x, rows.x[: len(early)])


def test_examples_survive_parquet(rows: Examples, tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "examples.parquet"
    rows.write(path)
    again = Examples.read(path)
    assert again.names == rows.names
    for name in ("x", "at_ns", "end_ns", "net"):
        assert getattr(again, name).tobytes() == getattr(rows, name).tobytes()


def test_the_newest_bars_are_held_out(market: Callable[..., Bars]) -> None:
    bars = market(bars=1_500)
    assert len(seen_bars(bars, 0.25)) == 1_125
    assert len(seen_bars(bars, 0.0)) == 1_500


def test_flat_prices_and_short_histories_are_refused(market: Callable[..., Bars], params: Params) -> None:
    bars = market(bars=1_500)
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    flat = replace(bars, **{name: np.full_like(bars.open, 100_000) for name in ("open", "high", "low", "close")})
    with pytest.raises(UsageError, match="never moves"):
        examples(flat, plan, SET)
    with pytest.raises(UsageError, match="too few to learn from"):
        examples(bars[:100], plan, SET)
    coarse = Instrument.model_validate({**bars.instrument.model_dump(), "lot_size": Decimal(10)})
    poor = params.plan.plan(coarse, bars.timeframe)
    with pytest.raises(UsageError, match="could be opened"):
        examples(replace(bars, instrument=coarse), poor, SET)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_training_ends_before_scoring_begins(data: st.DataObject) -> None:
    """On a panel of instruments with shared timestamps, holes, and labels of any length."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    n = data.draw(st.integers(200, 500))
    params = FoldParams(
        blocks=data.draw(st.integers(1, 5)),
        first_train=data.draw(st.floats(0.4, 0.6)),
        stop_share=data.draw(st.floats(0.1, 0.4)),
        embargo=data.draw(st.integers(0, 5)),
    )
    at = np.sort(rng.integers(0, n // 2, n)) * 10
    end = np.where(rng.random(n) < 0.05, -1, at + rng.integers(1, 60, n))
    times = np.unique(at)
    folds = walk_forward(at, end, params)
    assert len(folds) == params.blocks
    scored = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(scored, np.flatnonzero(at >= at[folds[0].test[0]]))
    for fold in folds:
        start = at[fold.test[0]]
        before_test = times[np.searchsorted(times, start) - params.embargo]
        before_stop = times[max(np.searchsorted(times, at[fold.stop[0]]) - params.embargo, 0)]
        assert (end[fold.stop] < before_test).all()
        assert (end[fold.fit] < before_stop).all()
        assert (end[np.r_[fold.fit, fold.stop]] >= 0).all()
        assert at[fold.fit].max() < at[fold.stop].min() < at[fold.stop].max() < start
        # No timestamp is on both sides of a cut.
        assert not set(at[fold.test]) & set(at[np.setdiff1d(np.arange(n), fold.test)])
    kept = last_fold(at, end, params)
    assert not len(kept.test)
    assert kept.stop[-1] == np.flatnonzero(end >= 0)[-1]
    assert (end[kept.fit] < at[kept.stop].min()).all()


def test_too_few_rows_for_the_folds() -> None:
    params = FoldParams(blocks=4, first_train=0.4, stop_share=0.2, embargo=16)
    for n in (0, 1, 3, 20):
        with pytest.raises(UsageError, match="too few"):
            walk_forward(np.arange(n), np.arange(n) + 1, params)
