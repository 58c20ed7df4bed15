"""Purged walk-forward folds over unique timestamps, with the times at which labels became known.

Time runs one way: a fold learns from the past and is scored on the block after it. A row may train a fold only if
its outcome was known before the scored block began, an embargo earlier still. The newest part of what may train is
set apart to stop the boosting and to choose the threshold, purged in the same way; it is never scored.

Rows of several instruments may share timestamps: the cuts fall between timestamps, never inside one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.learning.params import FoldParams

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
    fit = _known_before(at_ns, end_ns, times, int(np.searchsorted(times, stop_time)), params.embargo)
    if not len(fit):
        raise too_few(len(times))
    return Fold(fit, train[at_ns[train] >= stop_time], test)


def _known_before(at_ns: Ints, end_ns: Ints, times: Ints, start: int, embargo: int) -> Ints:
    """Rows whose outcome was known before ``times[start]``, ``embargo`` timestamps earlier."""
    if start >= embargo:
        return np.flatnonzero((end_ns >= 0) & (end_ns < times[start - embargo]))
    return np.empty(0, np.int64)
