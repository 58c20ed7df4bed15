"""A Python strategy asked at every bar, beside the least that Python can do: the same strategy in a bare loop.

Both find the same moving-average crosses over the same bars; the entries are compared before the times. Prints bars a
second of each and the ratio, best of three runs in one process.

    python benchmarks/desk_against_python.py [--bars 100000]
"""

from __future__ import annotations

import argparse
import json

from engine_against_floor import best, market

from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest
from pregao_classics.ma_cross import MovingAverageCross, MovingAverageCrossConfig

FAST, SLOW = 12, 26


class Counted(MovingAverageCross):
    """Keeps count of the entries that it asks for."""

    asked = 0

    def on_bar(self, ctx, bar):
        """As the strategy itself."""
        intents = super().on_bar(ctx, bar)
        self.asked += sum(1 for intent in intents if type(intent).__name__ == "Enter")
        return intents


def bare(closes: list[float], warmup: int) -> int:
    """The crosses upwards, in a loop without anything else."""
    fast = slow = closes[0]
    above = False
    crosses = 0
    for i in range(1, len(closes)):
        fast += 2 / (FAST + 1) * (closes[i] - fast)
        slow += 2 / (SLOW + 1) * (closes[i] - slow)
        was, above = above, fast > slow
        if i >= warmup and above and not was:
            crosses += 1
    return crosses


def main() -> None:
    """Compare the crosses, then the times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bars", type=int, default=100_000)
    n = parser.parse_args().bars
    bars = market(n)
    plan = Plan.of(bars.instrument, bars.timeframe, cash=1_000_000, entry_value=10_000)
    config = MovingAverageCrossConfig(fast=FAST, slow=SLOW)
    closes = (bars.close * 0.01).tolist()
    strategy = Counted(config)
    result = backtest(strategy, bars, plan)
    crosses = bare(closes, strategy.warmup())
    assert strategy.asked == crosses, f"{strategy.asked} entries asked for, {crosses} crosses"
    desk = n / best(lambda: backtest(MovingAverageCross(config), bars, plan), 3)
    loop = n / best(lambda: bare(closes, strategy.warmup()), 3)
    print(json.dumps({
        "bars": n, "trades": len(result.trades), "crosses": crosses, "desk_bars_per_s": round(desk),
        "bare_python_bars_per_s": round(loop), "desk_over_bare": round(desk / loop, 4),
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
