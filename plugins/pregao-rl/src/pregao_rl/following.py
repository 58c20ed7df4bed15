"""Policies traded over history: what the engine makes of the decisions of one, or of one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.features.sets import feature_set
from pregao.simulation.backtest import Result
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest
from pregao.strategies.contract import Context, Intent, JsonDict
from pregao_rl.policy import Policy
from pregao_rl.strategy import stand

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Following:
    """Trades by the policy of the fold that a bar lies in.

    Args:
        policies: one a fold.
        starts: close of the first bar of each fold, ns, ascending.
    """

    only_signals = False

    def __init__(self, policies: Sequence[Policy], starts: Sequence[int]) -> None:
        self._policies, self._starts = policies, np.array(starts, np.int64)
        self.feature_set = policies[0].feature_set

    def warmup(self) -> int:
        """The bars that the features need."""
        return feature_set(self.feature_set).warmup

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Ask the policy whose fold it is, which has learnt from older bars alone."""
        fold = int(np.searchsorted(self._starts, bar.close_ns, side="right")) - 1
        return stand(self._policies[max(fold, 0)], ctx)

    def save(self) -> JsonDict:
        """It keeps nothing."""
        return {}

    def load(self, state: JsonDict) -> None:
        """It keeps nothing."""


def traded(policies: Sequence[Policy], starts: Sequence[int], bars: Bars, plan: Plan, first: int) -> Result:
    """The decisions on the bars from ``first`` on, the features warmed up on those before."""
    return backtest(Following(policies, starts), bars[first:], plan, before=bars[:first])


def returns_on(policy: Policy, bars: Bars, plan: Plan, rows: Ints) -> Floats:
    """Net returns per bar of a policy on each stretch of rows that follow each other, one after the other.

    Each stretch begins with an account of its own, flat.
    """
    found: list[Any] = []
    for stretch in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        first, last = int(stretch[0]), int(stretch[-1]) + 1
        money = traded([policy], [0], bars[:last], plan, first).money
        found.append(np.diff(money) / money[:-1])
    return np.concatenate(found)
