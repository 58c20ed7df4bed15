"""How likely the way of learning policies overfits, on the combinatorial folds of the platform's own models.

The trials are the seeds; see `pregao.learning.overfitting` for what is counted, and its sources. A policy has an
account, so each stretch of bars is traded by itself, from flat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.learning.bootstrap import sharpe
from pregao.learning.folds import combinatorial, groups_of
from pregao.learning.labels import Examples
from pregao.learning.overfitting import Overfitting, ways
from pregao.learning.params import Params
from pregao.simulation.plan import Plan
from pregao_rl.following import Floats, Ints, returns_on
from pregao_rl.policy import Policy

Train = Callable[[Bars, Ints, int], Policy]
"""Learns from some rows of bars, with a seed; nothing else is looked at."""


def overfitting(
    bars: Bars, plan: Plan, rows: Examples, params: Params, seeds: int, learn: Train, tell: Callable[[str], None]
) -> Overfitting:
    """Learn with each seed on every combination of groups, and count the splits that overfitted.

    Args:
        rows: the examples of these bars; their last rows are the last bars.

    Raises:
        UsageError: if the rows are too few for the groups.
    """
    splits = combinatorial(rows.at_ns, rows.end_ns, params.folds, params.combinations)
    warm = len(bars) - len(rows)
    inside = np.zeros((len(splits), seeds))
    outside = np.zeros_like(inside)
    untaught = 0
    earned: dict[tuple[int, int], Floats] = {}
    for s, split in enumerate(splits):
        for seed in range(seeds):
            tell(f"combination {s + 1} of {len(splits)}, seed {seed + 1} of {seeds}")
            gained = np.zeros(len(bars))
            try:
                policy = learn(bars, warm + split.fold.fit, params.seed + seed)
            except UsageError:
                untaught += 1  # no stretch of bars is long enough for an episode: it stays out
            else:
                inside[s, seed] = sharpe(returns_on(policy, bars, plan, warm + split.fold.stop))
                for span in split.spans:
                    gained[warm + span[1:]] = returns_on(policy, bars, plan, warm + span)
                outside[s, seed] = sharpe(gained[warm + split.fold.test])
            earned[s, seed] = gained
    groups = groups_of(rows.at_ns, params.combinations.groups)

    def path(chosen: Sequence[int]) -> list[float]:
        found = []
        for by in ways(splits, len(groups)):
            parts = [earned[s, chosen[s]][warm + group] for group, s in zip(groups, by, strict=True)]
            found.append(float(sharpe(np.concatenate(parts))))
        return found

    return Overfitting.of(inside, outside, untaught, path)
