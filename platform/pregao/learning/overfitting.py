"""How likely the way of choosing a model overfits: the probability of backtest overfitting, on combinatorial folds.

D. H. Bailey, J. M. Borwein, M. López de Prado, Q. J. Zhu, "The Probability of Backtest Overfitting", Journal of
Computational Finance 20 (2017) 4: choose what did best in sample, again and again on other parts of the history, and
count how often it does worse out of sample than the median of all that could have been chosen. They split one record of
returns, since their strategies are given rules. A model is not a given rule: it is learnt from its sample, so here each
part of the history is scored by models that were trained on all the rest, purged and embargoed (combinatorial purged
cross-validation, M. López de Prado, *Advances in Financial Machine Learning*, 2018, chapter 12).

What is chosen among are the trials of the search, each with its own trees and decision threshold, by what their
decisions earned on the window that stopped the boosting: in sample, since the threshold is set there. Where nothing was
searched there is one trial and no median to fall below; what can still overfit is the learning itself, and then the
choice is between trading and staying out, which earns nothing. So a split counts as overfitted if the chosen trial

- earned less, out of sample and net of costs, than the median of the trials, or
- earned nothing or lost (their "probability of loss").

Both count, whatever the number of trials. Earning is measured by the Sharpe ratio per bar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.learning.bootstrap import sharpe
from pregao.learning.decision import enters
from pregao.learning.folds import Combination, combinatorial, groups_of
from pregao.learning.labels import Examples
from pregao.learning.params import ModelParams, Params
from pregao.learning.train import fit
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.plan import Plan

Floats = NDArray[np.float64]
Trade = Callable[[NDArray[np.int64], NDArray[np.bool_]], Floats]
"""Returns per bar of entering at some of the rows that follow each other."""


@dataclass(frozen=True)
class Overfitting:
    """What the combinatorial folds say.

    Attributes:
        probability: share of the splits that overfitted, see above; what the gate asks.
        below_median: share in which the chosen trial fell below the median of the trials: the published figure; 0 with
            one trial.
        losses: share in which the chosen trial earned nothing or lost: the published probability of loss.
        splits: how many.
        untaught: trainings from whose groups nothing could be learnt, all their trades having ended alike: such a trial
            stays out.
        chosen: number of the trial chosen in each split.
        in_sample, out_of_sample: its Sharpe ratio per bar in each.
        paths: Sharpe ratio per bar of each way through the whole history that the out-of-sample parts make up, of the
            chosen trials.
    """

    probability: float
    below_median: float
    losses: float
    splits: int
    untaught: int
    chosen: list[int]
    in_sample: list[float]
    out_of_sample: list[float]
    paths: list[float]

    @classmethod
    def of(
        cls, in_sample: Floats, out_of_sample: Floats, untaught: int, path: Callable[[Sequence[int]], list[float]]
    ) -> Overfitting:
        """What the Sharpe ratios per bar say, shape ``(splits, trials)``.

        Args:
            path: gives ``paths`` for the trial chosen in each split.
        """
        chosen, below, losses = chosen_and_overfitted(in_sample, out_of_sample)
        return cls(
            probability=float(np.maximum(below, losses).mean()),
            below_median=float(below.mean()),
            losses=float(losses.mean()),
            splits=len(in_sample),
            untaught=untaught,
            chosen=[int(c) for c in chosen],
            in_sample=[float(in_sample[s, c]) for s, c in enumerate(chosen)],
            out_of_sample=[float(out_of_sample[s, c]) for s, c in enumerate(chosen)],
            paths=path([int(c) for c in chosen]),
        )


def chosen_and_overfitted(in_sample: Floats, out_of_sample: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Which trial is chosen in each split, and whether it fell below the median, and whether it lost.

    Args:
        in_sample, out_of_sample: figures, more is better, shape ``(splits, trials)``.

    Returns:
        The chosen trials (the first of equals), and two arrays of 0 and 1, all of shape ``(splits,)``.
    """
    chosen = np.argmax(in_sample, axis=1)
    got = np.take_along_axis(out_of_sample, chosen[:, None], axis=1)[:, 0]
    below = (got < np.median(out_of_sample, axis=1)).astype(np.float64)
    return chosen, below, (got <= 0).astype(np.float64)


def overfitting(
    bars: Bars,
    plan: Plan,
    rows: Examples,
    trials: Sequence[ModelParams],
    params: Params,
    progress: Callable[[str], None] | None = None,
) -> Overfitting:
    """Train every trial on every combination of groups and count the splits that overfitted.

    Args:
        bars: those that ``rows`` are of; their last rows are the last bars.
        trials: knobs of each trial, in the order of the search.

    Raises:
        UsageError: if the rows are too few for the groups.
    """
    splits = combinatorial(rows.at_ns, rows.end_ns, params.folds, params.combinations)
    trade = _trading(bars, plan, rows)
    inside = np.empty((len(splits), len(trials)))
    outside = np.empty_like(inside)
    untaught = 0
    entered: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for s, split in enumerate(splits):
        if progress is not None:
            progress(f"combination {s + 1} of {len(splits)}")
        for t, knobs in enumerate(trials):
            decided = np.zeros(len(rows), bool)
            try:
                fitted = fit(rows, split.fold, knobs, params.seed)
            except UsageError:
                # Nothing can be learnt from these groups, so nothing is traded: a loss of the way of learning.
                untaught += 1
            else:
                for part in (split.fold.stop, split.fold.test):
                    decided[part] = rows.own[part] & enters(fitted.value(rows.x[part]), fitted.threshold)
            inside[s, t] = sharpe(trade(split.fold.stop, decided[split.fold.stop]))
            outside[s, t] = sharpe(np.concatenate([trade(span, decided[span]) for span in split.spans]))
            entered[s, t] = decided
    groups = groups_of(rows.at_ns, params.combinations.groups)

    def path(chosen: Sequence[int]) -> list[float]:
        return _paths(splits, [entered[s, c] for s, c in enumerate(chosen)], trade, groups)

    return Overfitting.of(inside, outside, untaught, path)


def _trading(bars: Bars, plan: Plan, rows: Examples) -> Trade:
    bar_of = np.searchsorted(bars.close_ns, rows.at_ns)

    def trade(part: NDArray[np.int64], entered: NDArray[np.bool_]) -> Floats:
        own = rows.own[part]
        at = bar_of[part[own]]
        signals = np.zeros(int(at[-1]) + 1 - int(at[0]), np.int8)
        signals[at - at[0]] = np.where(entered[own], layout.ENTER_LONG, 0)
        result = run_signals(bars[int(at[0]) : int(at[-1]) + 1], plan, signals)
        return np.asarray(np.diff(result.money) / result.money[:-1], np.float64)

    return trade


def _paths(
    splits: Sequence[Combination],
    entered: Sequence[NDArray[np.bool_]],
    trade: Trade,
    groups: Sequence[NDArray[np.int64]],
) -> list[float]:
    n = len(entered[0])
    found = []
    for by in ways(splits, len(groups)):
        decided = np.zeros(n, bool)
        for group, split in zip(groups, by, strict=True):
            decided[group] = entered[split][group]
        found.append(float(sharpe(trade(np.arange(n), decided))))
    return found


def ways(splits: Sequence[Combination], groups: int) -> list[list[int]]:
    """The ways through the whole history: the split by which each group is scored; way ``j`` takes the ``j``-th."""
    scored_by = [[s for s, split in enumerate(splits) if number in split.scored] for number in range(groups)]
    return [[by[j] for by in scored_by] for j in range(len(scored_by[0]))]
