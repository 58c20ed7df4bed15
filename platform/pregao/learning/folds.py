"""Purged and embargoed folds over unique timestamps, with the times at which labels became known.

**Walk-forward**: time runs one way; a fold learns from the past and is scored on the block after it. A row may train a
fold only if its outcome was known before the scored block began, an embargo earlier still.

**Combinatorial**: the history is cut into groups and every choice of some of them is scored once, by a model that
learns from all the others, older and newer. A row trains only if the span from its decision to its outcome, an embargo
added on both sides, touches no span of a scored row (M. López de Prado, *Advances in Financial Machine Learning*,
Wiley 2018, chapters 7 and 12).

In both, the newest part of what may train is set apart to stop the boosting and to choose the threshold, purged in the
same way; it is never scored.

Rows of several instruments may share timestamps: the cuts fall between timestamps, never inside one, so a row never
trains on what another instrument's row at the same moment is scored on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.learning.params import CombinationParams, FoldParams

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers, ascending: ``fit`` grows the trees, ``stop`` ends the growing, ``test`` is scored (may be empty)."""

    fit: Ints
    stop: Ints
    test: Ints


def walk_forward(at_ns: Ints, end_ns: Ints, params: FoldParams) -> list[Fold]:
    """The folds, oldest first; their test blocks follow each other without a gap up to the end.

    Args:
        at_ns: when each row was decided, shape ``(n,)``.
        end_ns: when its outcome was known, shape ``(n,)``; -1 if never: such a row is scored but never trains.

    Raises:
        UsageError: if the rows are too few for the folds asked for.
    """
    times = np.unique(at_ns)
    edges = np.linspace(len(times) * params.first_train, len(times), params.blocks + 1).astype(int)
    if len(np.unique(edges)) <= params.blocks or edges[0] == 0:
        raise too_few(len(times))
    folds = []
    for start, end in pairwise(edges):
        train = _known_before(at_ns, end_ns, times, int(start), params.embargo)
        test = np.flatnonzero((at_ns >= times[start]) & (at_ns <= times[end - 1]))
        folds.append(_fold(at_ns, end_ns, times, train, test, params))
    return folds


@dataclass(frozen=True, eq=False)
class Combination:
    """One split of the combinatorial folds.

    Attributes:
        scored: numbers of the scored groups, ascending, from 0, the oldest.
        fold: ``test`` has the rows of all scored groups.
        spans: rows of each run of scored groups that touch each other; together they are ``fold.test``.
    """

    scored: tuple[int, ...]
    fold: Fold
    spans: tuple[Ints, ...]


def groups_of(at_ns: Ints, groups: int) -> list[Ints]:
    """Rows of equally many timestamps each, oldest first; each row is in one group.

    Raises:
        UsageError: if there are fewer timestamps than groups.
    """
    times = np.unique(at_ns)
    if len(times) < groups:
        raise too_few(len(times))
    starts = times[np.linspace(0, len(times), groups + 1).astype(int)[:-1]]
    group = np.searchsorted(starts, at_ns, side="right") - 1
    return [np.flatnonzero(group == number) for number in range(groups)]


def combinatorial(at_ns: Ints, end_ns: Ints, params: FoldParams, splits: CombinationParams) -> list[Combination]:
    """Every choice of ``splits.test_groups`` of ``splits.groups`` groups, in lexical order.

    Args:
        at_ns, end_ns: as in `walk_forward`; a row whose outcome was never known is scored but never trains.

    Raises:
        UsageError: if the rows are too few for the groups asked for.
    """
    times = np.unique(at_ns)
    groups = groups_of(at_ns, splits.groups)
    found = []
    for scored in combinations(range(splits.groups), splits.test_groups):
        spans: list[Ints] = []
        for number in scored:
            if spans and number - 1 in scored:
                spans[-1] = np.union1d(spans[-1], groups[number])
            else:
                spans.append(groups[number])
        free = end_ns >= 0
        for span in spans:
            first = int(np.searchsorted(times, at_ns[span].min()))
            # The last outcome of the scored rows, or the last decision where none of them ever ended.
            last = int(np.searchsorted(times, max(at_ns[span].max(), end_ns[span].max()), side="right"))
            before = end_ns < times[first - params.embargo] if first >= params.embargo else np.zeros(len(at_ns), bool)
            after = at_ns > times[last - 1 + params.embargo] if last - 1 + params.embargo < len(times) else False
            free &= before | after
        fold = _fold(at_ns, end_ns, times, np.flatnonzero(free), np.concatenate(spans), params)
        found.append(Combination(scored, fold, tuple(spans)))
    return found


def last_fold(at_ns: Ints, end_ns: Ints, params: FoldParams) -> Fold:
    """The fold of the model that is kept: every row whose outcome is known may train, none is left to score."""
    return _fold(at_ns, end_ns, np.unique(at_ns), np.flatnonzero(end_ns >= 0), np.empty(0, np.int64), params)


def too_few(rows: int) -> UsageError:
    """The error for a history too short to learn from."""
    return UsageError(
        f"{rows} usable bars are too few to learn from and to judge what was learnt.",
        "Ingest more history (some thousands of bars), or choose a shorter timeframe.",
    )


def _fold(at_ns: Ints, end_ns: Ints, times: Ints, train: Ints, test: Ints, params: FoldParams) -> Fold:
    """Set the newest of the rows that may train apart, and purge the others against it."""
    if not len(train):
        raise too_few(len(times))
    trained = np.unique(at_ns[train])
    stop_time = trained[int(len(trained) * (1 - params.stop_share))]
    known = _known_before(at_ns, end_ns, times, int(np.searchsorted(times, stop_time)), params.embargo)
    fit = np.intersect1d(known, train, assume_unique=True)
    if not len(fit):
        raise too_few(len(times))
    return Fold(fit, train[at_ns[train] >= stop_time], test)


def _known_before(at_ns: Ints, end_ns: Ints, times: Ints, start: int, embargo: int) -> Ints:
    """Rows whose outcome was known before ``times[start]``, ``embargo`` timestamps earlier."""
    if start >= embargo:
        return np.flatnonzero((end_ns >= 0) & (end_ns < times[start - embargo]))
    return np.empty(0, np.int64)
