"""Compile the engine and the features once, while setting up.

numba compiles a function when it is first called, some ten seconds in all, and keeps the machine code on disk. Here
each is called on a few bars, so that no person and no flow waits for it later.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.features.sets import FEATURE_SETS, feature_set
from pregao.learning.labels import examples
from pregao.market.sources import Request
from pregao.market.sources.synthetic import Synthetic, SyntheticOptions
from pregao.simulation.backtest import run_signals
from pregao.simulation.baselines import buy_and_hold, random_entries
from pregao.simulation.engine import Engine
from pregao.simulation.layout import LEAVE
from pregao.simulation.plan import Plan
from pregao.simulation.sweeping import Decisions, Track

BARS = 400


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
    run_signals(bars, plan, np.ones(len(bars), dtype=np.int8)).metrics()
    track = Track(bars)
    track.run(track.start(plan), Decisions.of(np.ones(len(bars), dtype=np.int8)))
    buy_and_hold(bars, plan)
    random_entries(bars, plan, 5, 0, 2)
    for name in FEATURE_SETS:
        features = feature_set(name)
        stream = features.stream(timeframe.seconds)
        stream.update(bars.bar(0))
        examples(bars, plan, features)
