"""A new model beside the present champion, on bars that neither has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.features.sets import feature_set
from pregao.learning.bootstrap import annual, better, sharpe
from pregao.learning.decision import enters, expected_value
from pregao.learning.labels import vectors
from pregao.learning.others import bars_of, keys_of
from pregao.market.store import Store
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.plan import Plan
from pregao.simulation.report import periods_per_year

Floats = NDArray[np.float64]
DRAWS = 2_000
LEAST_BLOCKS = 5
"""Fewer blocks than these cannot tell two models apart."""


class Judge(Protocol):
    """A model that gives the chance of a profitable bracket trade for each row of features."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """What it was trained for, see `pregao.learning.stages`."""

    def probabilities(self, x: Floats) -> Floats:
        """For ``x`` of shape ``(n, k)``, shape ``(n,)``."""


@dataclass(frozen=True)
class Rivalry:
    """What the unseen bars say of a new model and the champion.

    Attributes:
        champion: its version.
        same: whether the new model is the champion itself.
        bars: how many bars neither has seen; ``start_ns`` their first moment.
        sharpe, champion_sharpe: annualised, costs paid; None without bars.
        unusable: why the champion cannot be used any more, so that there is nothing to beat; empty if it can.
        p: of the paired stationary bootstrap, see `pregao.learning.bootstrap.better`; None if there are too few bars.
    """

    champion: str
    same: bool
    bars: int = 0
    start_ns: int | None = None
    sharpe: float | None = None
    champion_sharpe: float | None = None
    p: float | None = None
    unusable: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)


def compare(
    bars: Bars, plan: Plan, candidate: Judge, champion: Judge, version: str, seed: int, store: Store | None = None
) -> Rivalry:
    """Let both trade the bars after the last that either has learnt from, each with its own features and brackets.

    Money, costs and rules are the plan's for both. Blocks of the bootstrap are as long, on average, as a trade may be.

    Args:
        bars: all there are, the held-out ones too.
        version: of the champion.
        store: where the bars are that a model's features look at besides; None if neither looks at any.
    """
    unseen_ns = max(int(candidate.meta["train_end_ns"]), int(champion.meta["train_end_ns"]))
    start = int(np.searchsorted(bars.close_ns, unseen_ns, side="right"))
    unseen = len(bars) - start
    block = max(int(candidate.meta["horizon_bars"]), int(champion.meta["horizon_bars"]), 1)
    if unseen < 3:
        return Rivalry(version, same=False, bars=unseen)
    one, other = (_returns(bars, plan, judge, start, store) for judge in (candidate, champion))
    per_year = periods_per_year(bars[start:])
    return Rivalry(
        champion=version,
        same=False,
        bars=unseen,
        start_ns=int(bars.open_ns[start]),
        sharpe=annual(float(sharpe(one)), per_year),
        champion_sharpe=annual(float(sharpe(other)), per_year),
        p=better(one, other, block, DRAWS, seed) if unseen >= LEAST_BLOCKS * block else None,
    )


def _returns(bars: Bars, plan: Plan, judge: Judge, start: int, store: Store | None) -> Floats:
    """Per bar, from bar ``start`` on, of trading as the model says."""
    meta = judge.meta
    beside = bars_of(keys_of(meta), bars.timeframe, store) if store is not None else None
    x = vectors(bars, feature_set(meta["feature_set"]), beside)[start:]
    value = expected_value(judge.probabilities(x), meta["payoff"]["win"], meta["payoff"]["loss"])
    own = replace(
        plan,
        take_profit_ppm=int(meta["take_profit_ppm"]),
        stop_loss_ppm=int(meta["stop_loss_ppm"]),
        horizon_bars=int(meta["horizon_bars"]),
    )
    signals = np.where(enters(value, meta["threshold"]), layout.ENTER_LONG, 0).astype(np.int8)
    money = run_signals(bars[start:], own, signals).money
    return np.asarray(np.diff(money) / money[:-1], np.float64)
