"""Compile the engine and the features once, while setting up.

numba compiles a function when it is first called, some ten seconds in all, and keeps the machine code on disk. Here
each is called on a few bars, so that no person and no flow waits for it later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pregao.core.bars import Bar, Bars
from pregao.core.timeframe import Timeframe
from pregao.features.sets import FEATURE_SETS
from pregao.learning.inference.trees import Trees, chance, chances
from pregao.learning.labels import examples
from pregao.market.calendars import ALWAYS
from pregao.market.hours import TradingHours
from pregao.market.sources import Request
from pregao.market.sources.synthetic import Synthetic, SyntheticOptions
from pregao.simulation.backtest import run_signals
from pregao.simulation.baselines import buy_and_hold, random_entries
from pregao.simulation.engine import Engine
from pregao.simulation.layout import LEAVE
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import run_portfolio
from pregao.simulation.sweeping import Decisions, Track
from pregao.strategies.backtest import backtest, backtest_many
from pregao.strategies.contract import Context, Enter, Exit, Intent, JsonDict

BARS = 500


class _Asked:
    """A strategy that is asked at its bars, as those are that do not trade by signals alone."""

    def warmup(self) -> int:
        return 2

    def on_bar(self, context: Context, _: Bar) -> Iterable[Intent]:
        return (Exit(),) if context.account.position else (Enter(),)

    def save(self) -> JsonDict:
        return {}

    def load(self, _: JsonDict) -> None:
        return


def precompile() -> None:
    """Call everything that is compiled, with the types that it is called with at work."""
    timeframe = Timeframe.parse("15m")
    request = Request(("EDGE/USDT",), timeframe, None, None, SyntheticOptions(bars=BARS))
    series = next(iter(Synthetic().fetch(request)))
    bars = Bars.from_frame(series.frame, series.instrument, timeframe)
    # numba compiles for read-only arrays, as some of a frame's are, apart from writeable ones, as the store's are.
    bars = replace(bars, open_ns=bars.open_ns.copy(), volume=bars.volume.copy())
    plan = Plan.of(
        series.instrument, timeframe, cash=10_000, entry_value=1_000, take_profit=2, stop_loss=1,
        horizon=48, fee="0.1", slippage="0.02",
    )  # fmt: skip
    engine = Engine(plan)
    engine.step(bars.bar(0))
    engine.signal(1)
    engine.step(bars.bar(1))
    engine.signal(LEAVE)
    engine.step(bars.bar(2))
    signals = np.ones(len(bars), dtype=np.int8)
    run_signals(bars, plan, signals).metrics()
    track = Track(bars)
    track.run(track.start(plan), Decisions.of(signals))
    backtest(_Asked(), bars, plan)
    other = replace(plan, instrument=plan.instrument.model_copy(update={"symbol": "OTHER/USDT"}))
    both, plans = [bars, replace(bars, instrument=other.instrument)], [plan, other]
    run_portfolio(both, plans, [signals, signals])
    backtest_many([_Asked(), _Asked()], both, plans)
    buy_and_hold(bars, plan)
    random_entries(bars, plan, 5, 0, 2)
    for features in FEATURE_SETS.values():
        stream = features.stream(timeframe.seconds, TradingHours(ALWAYS))
        stream.update(bars.bar(0))
        examples(bars, plan, features, dict.fromkeys(features.others, bars))
    nothing = {"features_info": {"float_features": []}, "oblivious_trees": [], "scale_and_bias": [1, [0]]}
    trees = Trees.of(nothing, 1)
    trees.raw(np.zeros(1))
    trees.raw_batch(np.zeros((1, 1)))
    trees.shapley(np.zeros(1))
    chance(0.0)
    chances(np.zeros(1))
