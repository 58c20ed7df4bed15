"""A backtest of any strategy: the desk over history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.sets import feature_set
from pregao.simulation import layout
from pregao.simulation.backtest import Result
from pregao.simulation.engine import Event
from pregao.simulation.plan import Plan
from pregao.strategies.contract import Model
from pregao.strategies.desk import Desk

_CODES = {
    "kind": {v: k for k, v in layout.EVENT_KINDS.items()},
    "order_kind": {v: k for k, v in layout.ORDER_KINDS.items()},
    "role": {v: k for k, v in layout.ROLES.items()},
    "rule": {v: k for k, v in layout.RULE_NAMES.items()},
    "liquidity": {v: k for k, v in layout.LIQUIDITY.items()},
    "reason": {v: k for k, v in layout.REASONS.items()},
}


def desk_for(plan: Plan, strategy: Any, seed: int = 0, model: Model | None = None) -> Desk:
    """A desk with the features that the model, or else the strategy, asks for.

    Raises:
        UsageError: if the strategy needs a model and there is none.
    """
    if getattr(strategy, "needs_model", False) and model is None:
        raise UsageError(
            "This strategy needs a trained model and there is none for this instrument and timeframe.",
            "Train one with `pregao retrain`, or choose another strategy.",
        )
    wanted = str(model.meta.get("feature_set", "")) if model is not None else ""
    wanted = wanted or str(getattr(strategy, "feature_set", ""))
    stream = feature_set(wanted).stream(plan.timeframe.seconds) if wanted else None
    return Desk(plan, strategy, seed, stream, model)


def backtest(
    strategy: Any,
    bars: Bars,
    plan: Plan,
    *,
    seed: int = 0,
    model: Model | None = None,
    before: Bars | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a configured strategy over history, deciding at each close and filling from the next open on.

    Args:
        before: bars that end where ``bars`` begin, to warm up on; nothing is traded in them.
        progress: called with (bars done, bars in all) about a hundred times.

    Raises:
        UsageError: if there are no bars, or the strategy needs a model and there is none.
    """
    n = len(bars)
    if n == 0:
        raise UsageError("There are no bars to run over.")
    desk = desk_for(plan, strategy, seed, model)
    if before is not None:
        tail = before[-desk.history :]
        desk.warm(tail.bar(i) for i in range(len(tail)))
    equity, positions = np.empty(n, np.int64), np.empty(n, np.int64)
    events: list[Event] = []
    stride = max(n // 100, 1)
    for i in range(n):
        happened, _ = desk.on_bar(bars.bar(i))
        events += happened
        account = desk.engine.account
        equity[i], positions[i] = account.equity_quanta, account.position_lots
        if progress is not None and i % stride == 0:
            progress(i, n)
    return Result(bars, plan, equity, positions, _encode(events), desk.engine)


def _encode(events: list[Event]) -> np.ndarray[Any, np.dtype[np.void]]:
    """Events as rows of `layout.EVENT`, the same bytes that the compiled driver writes."""
    rows = np.zeros(len(events), layout.EVENT)
    for i, event in enumerate(events):
        rows[i] = tuple(_CODES[name][value] if name in _CODES else value for name, value in event._asdict().items())
    return rows
