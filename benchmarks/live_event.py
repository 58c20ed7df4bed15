"""A live event: a closed bar comes in, fills and the account's state go out, as a session drives the engine.

Beside it the floor, a call of an empty compiled function with two integers: what any crossing from Python costs. The
events are compared with the compiled run over the same bars before times. Prints medians and 99th percentiles in us.

    python benchmarks/live_event.py [--bars 50000]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from engine_against_floor import market
from numba import njit

from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.engine import Engine
from pregao.simulation.plan import Plan


@njit
def nothing(a, b):
    """The floor."""
    return a + b


def quantiles(ns: list[int]) -> dict[str, float]:
    """Median and 99th percentile, in us."""
    return {"median_us": round(float(np.median(ns)) / 1e3, 2), "p99_us": round(float(np.percentile(ns, 99)) / 1e3, 2)}


def main() -> None:
    """Compare events, then time each of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bars", type=int, default=50_000)
    n = parser.parse_args().bars
    bars = market(n)
    signals = (np.random.default_rng(2).random(n) < 0.02).astype(np.int8)
    plan = Plan.of(bars.instrument, bars.timeframe, cash=1_000_000, entry_value=10_000, take_profit=2, stop_loss=1)
    arrived = [bars.bar(i) for i in range(n)]
    said = signals.tolist()
    engine = Engine(plan)
    events, quiet, filled, floor = [], [], [], []
    nothing(1, 2)
    for i, bar in enumerate(arrived):
        start = time.perf_counter_ns()
        happened = engine.step(bar)
        state = engine.account
        took = time.perf_counter_ns() - start
        start = time.perf_counter_ns()
        nothing(i, i)
        floor.append(time.perf_counter_ns() - start)
        (filled if happened else quiet).append(took)
        events += happened
        if said[i]:
            events += engine.signal(layout.ENTER_LONG)
    result = run_signals(bars, plan, signals)
    assert result.history() == events, "the events differ"
    assert result.engine.to_bytes() == engine.to_bytes(), "the states differ"
    assert state.bars == n
    both = quantiles(quiet + filled)
    print(json.dumps({
        "bars": n, "events": len(events), "bars_with_events": len(filled), "event": both,
        "without_fills": quantiles(quiet), "with_fills": quantiles(filled), "floor": quantiles(floor),
        "event_over_floor": round(both["median_us"] / quantiles(floor)["median_us"], 1),
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
