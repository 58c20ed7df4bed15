"""Combinatorial folds on panels of instruments: no outcome of a training row touches what is scored."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.core.errors import UsageError
from pregao.learning.folds import Combination, combinatorial, groups_of, walk_forward
from pregao.learning.params import CombinationParams, FoldParams

FOLDS = FoldParams(blocks=4, first_train=0.4, stop_share=0.2, embargo=3)


def panel(data: st.DataObject) -> tuple[np.ndarray, np.ndarray]:
    """Rows of up to three instruments that share timestamps, with holes; some outcomes are never known."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    times = np.arange(data.draw(st.integers(150, 300))) * 10
    longest = data.draw(st.integers(1, 12))
    at, end = [], []
    for _ in range(data.draw(st.integers(1, 3))):
        mine = times[rng.random(len(times)) < 0.9]
        at.append(mine)
        end.append(np.where(rng.random(len(mine)) < 0.03, -1, mine + 10 * rng.integers(1, longest + 1, len(mine))))
    order = np.argsort(np.concatenate(at), kind="stable")
    return np.concatenate(at)[order], np.concatenate(end)[order]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_training_outcome_touches_what_is_scored(data: st.DataObject) -> None:
    at, end = panel(data)
    groups = data.draw(st.integers(4, 7))
    splits = CombinationParams(groups=groups, test_groups=data.draw(st.integers(1, min(2, groups - 2))))
    params = FOLDS.model_copy(update={"embargo": data.draw(st.integers(0, 4))})
    times = np.unique(at)
    found = combinatorial(at, end, params, splits)
    assert [c.scored for c in found] == list(combinations(range(groups), splits.test_groups))
    for split in found:
        train = np.r_[split.fold.fit, split.fold.stop]
        assert not set(train) & set(split.fold.test)
        assert not set(split.fold.fit) & set(split.fold.stop)
        assert (end[train] >= 0).all()
        assert end[split.fold.fit].max() < at[split.fold.stop].min()
        for span in split.spans:
            first = np.searchsorted(times, at[span].min())
            last = np.searchsorted(times, max(at[span].max(), end[span].max()), side="right") - 1
            low = times[max(first - params.embargo, 0)]
            high = times[min(last + params.embargo, len(times) - 1)]
            # Whoever decided before knew the outcome before, an embargo earlier; who comes after decided after all of
            # the scored outcomes were known, an embargo later.
            before = at[train] < at[span].min()
            assert (end[train][before] < low).all()
            assert (at[train][~before] > high).all()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_moment_is_never_on_both_sides_and_every_row_is_scored_equally_often(data: st.DataObject) -> None:
    at, end = panel(data)
    found = combinatorial(at, end, FOLDS, CombinationParams(groups=6, test_groups=2))
    times_scored = np.zeros(len(at), int)
    for split in found:
        train = np.r_[split.fold.fit, split.fold.stop]
        assert not set(at[train]) & set(at[split.fold.test])
        times_scored[split.fold.test] += 1
        np.testing.assert_array_equal(np.sort(np.concatenate(split.spans)), split.fold.test)
    assert len(found) == comb(6, 2)
    assert set(times_scored) == {comb(5, 1)}


def test_groups_cut_between_moments_and_are_of_equal_length() -> None:
    at = np.repeat(np.arange(60), 3)
    groups = groups_of(at, 6)
    assert [len(group) for group in groups] == [30] * 6
    np.testing.assert_array_equal(np.concatenate(groups), np.arange(180))


def test_neighbouring_groups_are_one_span() -> None:
    at = np.arange(600)
    found: dict[tuple[int, ...], Combination] = {
        c.scored: c for c in combinatorial(at, at + 5, FOLDS, CombinationParams(groups=6, test_groups=2))
    }
    assert [len(s) for s in found[0, 1].spans] == [200]
    assert [len(s) for s in found[0, 5].spans] == [100, 100]
    # Scored at both ends: the middle is left, less the outcomes (5) and the embargo (3) at its two edges.
    train = np.sort(np.r_[found[0, 5].fold.fit, found[0, 5].fold.stop])
    # Decided after the last scored outcome (99 + 5 = 104) and three more, known before 500 - 3.
    assert (train.min(), train.max()) == (108, 491)


def test_combinatorial_training_may_use_what_came_later_and_the_walk_forward_never_does() -> None:
    at = np.arange(600)
    first = combinatorial(at, at + 5, FOLDS, CombinationParams(groups=6, test_groups=1))[0]
    assert at[first.fold.fit].min() > at[first.fold.test].max()
    for fold in walk_forward(at, at + 5, FOLDS):
        assert at[np.r_[fold.fit, fold.stop]].max() < at[fold.test].min()


def test_too_few_rows_and_senseless_choices_are_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        combinatorial(np.arange(4), np.arange(4) + 1, FOLDS, CombinationParams(groups=6, test_groups=2))
    with pytest.raises(UsageError, match="too few"):
        combinatorial(np.arange(40), np.full(40, -1), FOLDS, CombinationParams(groups=6, test_groups=2))
    with pytest.raises(ValueError, match="at least two of the 6 groups"):
        CombinationParams(groups=6, test_groups=5)
