"""Backtests of any strategy: over its signals alone, or asking it bar by bar. A session gets the same to the byte."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.sets import FeatureStream, feature_set
from pregao.market.hours import TradingHours
from pregao.simulation.backtest import Result, run_signals
from pregao.simulation.course import Course
from pregao.simulation.engine import Engine
from pregao.simulation.execution import Execution
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import PortfolioResult, check, result_of, run_portfolio
from pregao.strategies.asking import ask_many, ask_one
from pregao.strategies.contract import Model
from pregao.strategies.desk import Desk
from pregao.strategies.seat import Seat, signals_over


def desk_for(
    plan: Plan,
    strategy: Any,
    seed: int = 0,
    model: Model | None = None,
    account: Execution | None = None,
    others: Collection[str] = (),
    book: int = 0,
) -> Desk:
    """A desk with the features that the model, or else the strategy, asks for.

    Args:
        account: what executes its orders; by default a simulated account of its own.
        others: the other instruments whose bars it will be given (`Desk.observe`), by what they are to the features.
        book: the instrument's place in the account.

    Raises:
        UsageError: if the strategy needs a model and there is none, or its features look at an instrument that is not
            among the others.
    """
    return Desk(plan, strategy, seed, _features(plan, strategy, model, others), model, account, book)


def signals_of(strategy: Any, bars: Bars, before: Bars | None = None) -> NDArray[np.int8] | None:
    """The signals of a strategy that trades by them alone, shape ``(n,)``; None if it does not.

    Args:
        before: bars that end where ``bars`` begin, to warm up on.

    Raises:
        StrategyError: if they are not signals.
    """
    if not getattr(strategy, "only_signals", False):
        return None
    return signals_over(strategy, bars, before)


def backtest(
    strategy: Any,
    bars: Bars,
    plan: Plan,
    *,
    seed: int = 0,
    model: Model | None = None,
    before: Bars | None = None,
    finer: Bars | None = None,
    others: Mapping[str, Bars] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a configured strategy over history, deciding at each close and filling from the next open on.

    Args:
        before: bars that end where ``bars`` begin, to warm up on; nothing is traded in them.
        finer: bars of the same instrument with a shorter timeframe, for the path rule ``finer``.
        others: bars of the other instruments that the features look at, by what those are to them (``market``).
        progress: called with (bars done, bars in all) about a hundred times; never for a strategy of signals alone.

    Raises:
        UsageError: if there are no bars, or the strategy needs a model and there is none.
        StrategyError: if it answers nonsense. What the strategy itself raises comes through.
    """
    if len(bars) == 0:
        raise UsageError("There are no bars to run over.")
    features = _beside(_features(plan, strategy, model, others or ()), bars, others)
    signals = signals_of(strategy, bars, before)
    if signals is not None:
        return run_signals(bars, plan, signals, finer)
    engine = Engine(plan)
    course = Course(engine, [bars], [finer])
    ask_one(course, Seat(strategy, plan, bars, before, features, model, seed, course, 0), progress)
    return Result(bars, plan, course.marks, course.events, engine)


def backtest_many(
    strategies: Sequence[Any],
    bars: Sequence[Bars],
    plans: Sequence[Plan],
    *,
    cash: Mapping[str, Decimal] | None = None,
    reporting: str | None = None,
    seed: int = 0,
    models: Sequence[Model | None] | None = None,
    before: Sequence[Bars | None] | None = None,
    finer: Sequence[Bars | None] | None = None,
    others: Sequence[Mapping[str, Bars]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PortfolioResult:
    """The same with several instruments in one account, a strategy object each.

    After each moment the strategies of the instruments that had a bar in it are asked, in the order given. What they
    order can fill from the next moment on, with money that is free then.

    Args:
        bars, plans: one an instrument, all of one timeframe.
        cash: at the start, by currency; by default the first plan's.
        reporting: currency of the equity; by default the first plan's quote currency.
        models, before, finer, others: of each instrument, as in `backtest`.
        progress: called with (moments done, moments in all) about a hundred times.

    Raises:
        UsageError, StrategyError: as `backtest`; if the numbers or timeframes differ, or a currency has no rate.
    """
    count = len(bars)
    models, before = models or [None] * count, before or [None] * count
    check(bars, plans, {"strategies": strategies, "models": models, "bars before": before, "finer bars": finer})
    beside: Sequence[Mapping[str, Bars]] = others or [{}] * count
    features = [
        _beside(_features(plan, strategy, model, theirs), series, theirs)
        for plan, strategy, model, series, theirs in zip(plans, strategies, models, bars, beside, strict=True)
    ]
    signals = [signals_of(*given) for given in zip(strategies, bars, before, strict=True)]
    some = [one for one in signals if one is not None]
    if len(some) == count:
        return run_portfolio(bars, plans, some, cash, reporting, finer)
    engine = Engine(plans, cash, reporting)
    began_with = {name: total for name, (total, _) in engine.cash().items()}
    course = Course(engine, bars, finer)
    parts = zip(strategies, plans, bars, before, features, models, range(count), strict=True)
    seats = [
        Seat(strategy, plan, series, earlier, stream, model, seed, course, b)
        for strategy, plan, series, earlier, stream, model, b in parts
    ]
    ask_many(course, seats, progress)
    return result_of(bars, plans, course, began_with, engine)


def _beside(stream: FeatureStream | None, bars: Bars, others: Mapping[str, Bars] | None) -> FeatureStream | None:
    """The stream with all bars of the other instruments: each counts from the moment on at which it closes."""
    if stream is not None and others:
        stream.extend(bars[:0], {name: others[name] for name in stream.features.others})
    return stream


def _features(plan: Plan, strategy: Any, model: Model | None, others: Collection[str]) -> FeatureStream | None:
    if getattr(strategy, "needs_model", False) and model is None:
        raise UsageError(
            "This strategy needs a trained model and there is none for this instrument and timeframe.",
            "Train one with `pregao retrain`, or choose another strategy.",
        )
    wanted = str(model.meta.get("feature_set", "")) if model is not None else ""
    wanted = wanted or str(getattr(strategy, "feature_set", ""))
    if not wanted:
        return None
    features = feature_set(wanted)
    lacking = [name for name in features.others if name not in others]
    if lacking:
        raise UsageError(
            f"The feature set {wanted!r} looks at another instrument, its {lacking[0]}, whose bars are not given.",
            "Trade it by a model that names the instrument (params.yaml: features), or choose another set.",
        )
    return features.stream(plan.timeframe.seconds, TradingHours(plan.instrument.calendar))
