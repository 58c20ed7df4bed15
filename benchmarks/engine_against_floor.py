"""How fast the engine runs beside the least that any engine must do: a bare compiled loop of the same rules in floats.

Both trade the same signals over the same bars with the same exits and fees; their trades are compared before their
times. Prints bars a second of each and the ratio, best of five runs in one process.

    python benchmarks/engine_against_floor.py [--bars 500000]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from decimal import Decimal

import numpy as np
from numba import njit

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.plan import Plan

CASH, VALUE, TAKE, STOP, FEE = 1_000_000.0, 10_000.0, 0.02, 0.01, 0.001
TICK, LOT = 0.01, 0.00001


@njit
def floor_engine(o, h, l, c, signal, equity, trades):  # noqa: E741
    """The same rules with floats, nothing recorded but the entries and exits."""
    cash, position, target, stop, count = CASH, 0.0, 0.0, 0.0, 0
    pending = False
    for t in range(len(c)):
        if pending:
            pending = False
            price = o[t]
            position = math.floor(VALUE / price / LOT) * LOT
            cash -= position * price * (1 + FEE)
            target = price + math.floor(price * TAKE / TICK + 0.5) * TICK
            stop = price - math.floor(price * STOP / TICK + 0.5) * TICK
            trades[count, 0] = t
        if position > 0:
            out = 0.0
            if o[t] <= stop + 1e-9 or o[t] > target + 1e-9:
                out = o[t]
            elif l[t] <= stop + 1e-9:
                out = stop
            elif h[t] > target + 1e-9:
                out = target
            if out > 0:
                cash += position * out * (1 - FEE)
                position = 0.0
                trades[count, 1] = t
                count += 1
        equity[t] = cash + position * c[t]
        if signal[t] == 1 and position == 0:
            pending = True
    return count


def market(n: int) -> Bars:
    """A random walk of one-minute bars on the grid, like bitcoin's."""
    instrument = Instrument(
        symbol="BENCH/USD", source="benchmark", venue="benchmark", asset_class="crypto", base="BENCH", quote="USD",
        tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    close = np.rint(3_000_000 * np.exp(np.cumsum(rng.normal(0, 0.0008, n)))).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]]
    high = np.maximum(opened, close) + rng.integers(0, 2_000, n)
    low = np.minimum(opened, close) - rng.integers(0, 2_000, n)
    minute = Timeframe.parse("1m")
    return Bars(instrument, minute, np.arange(n, dtype=np.int64) * minute.ns, opened, high, low, close, np.ones(n))


def best(run, times: int = 5) -> float:
    """Least seconds of several runs."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


def main() -> None:
    """Compare trades, then times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bars", type=int, default=500_000)
    n = parser.parse_args().bars
    bars = market(n)
    signals = (np.random.default_rng(2).random(n) < 0.02).astype(np.int8)
    plan = Plan.of(
        bars.instrument, bars.timeframe, cash=CASH, entry_value=VALUE, take_profit=2, stop_loss=1, slippage=0
    )
    columns = [np.ascontiguousarray(getattr(bars, c) * TICK) for c in ("open", "high", "low", "close")]
    equity, trades = np.empty(n), np.empty((n, 2))

    result = run_signals(bars, plan, signals)
    count = floor_engine(*columns, signals, equity, trades)
    fills = result.events[result.events["kind"] == layout.FILLED]
    # a fill inside a bar is stamped with its close, one at the open with its open
    when = (fills["ts_ns"] - np.where(fills["rule"] == layout.IN_PATH, bars.timeframe.ns, 0)) // bars.timeframe.ns
    same = np.array_equal(when[: 2 * count].reshape(-1, 2), trades[:count].astype(np.int64))
    error = float(np.max(np.abs(result.equity * 1e-8 - equity)))
    assert same, "the trades differ"
    assert error < 0.01, f"equity differs by {error}"

    ours = n / best(lambda: run_signals(bars, plan, signals))
    floor = n / best(lambda: floor_engine(*columns, signals, equity, trades))
    print(json.dumps({
        "bars": n, "trades": count, "same_trades": same, "largest_equity_difference": error,
        "engine_bars_per_s": round(ours), "floor_bars_per_s": round(floor), "engine_over_floor": round(ours / floor, 4),
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
