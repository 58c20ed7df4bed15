"""Pregão itself, under one of the profiles; the variant is the profile's name.

Prices lie on a grid of 1e-8, so that no level is rounded where the other engine does not round. Signals are an array,
and the run is wholly compiled; making the frame of trades from its events counts too (``engine_cpu_s``: without it).
The time of the first run, with loading or making the compiled code, is told apart. Variants ending in ``+callback`` ask
a Python strategy at every bar instead, those ending in ``+waits`` one that waits for its next signal or a fill.
"""

from __future__ import annotations

import time

began = time.perf_counter()
from dataclasses import replace  # noqa: E402
from decimal import Decimal  # noqa: E402

import numpy as np  # noqa: E402

import pregao  # noqa: E402
from pregao.core.bars import Bars  # noqa: E402
from pregao.core.instrument import Instrument  # noqa: E402
from pregao.core.timeframe import Timeframe  # noqa: E402
from pregao.simulation import layout  # noqa: E402
from pregao.simulation.backtest import run_signals  # noqa: E402
from pregao.simulation.fees import FeeSchedule  # noqa: E402
from pregao.simulation.plan import Plan  # noqa: E402
from pregao.simulation.terms import profile  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers.job import FAST, SLOW, Job  # noqa: E402
from benchmarks.peers.runners.timed import Timed, report, rows, task  # noqa: E402

PROFILES = ("backtesting_py", "vectorbt", "backtrader", "nautilus", "jesse", "freqtrade", "realistic")
DECIMALS = 8


def market(job: Job, s: int) -> Bars:
    """One instrument's bars on the fine grid."""
    instrument = Instrument(
        symbol=f"S{s}/USD", source="benchmark", venue="benchmark", asset_class="crypto", base=f"S{s}", quote="USD",
        tick_size=Decimal(1).scaleb(-DECIMALS), lot_size=Decimal(1), allow_short=True,
    )  # fmt: skip
    finer = 10 ** (DECIMALS - job.decimals)
    columns = (getattr(job, k)[s] * finer for k in ("open", "high", "low", "close"))
    return Bars(instrument, Timeframe.parse("1m"), job.time_s * 10**9, *columns, job.volume[s])


def plan_for(job: Job, bars: Bars, name: str) -> Plan:
    """The job's plan under a profile."""
    terms = replace(profile(name), fees=FeeSchedule(maker_ppm=job.fee_ppm, taker_ppm=job.fee_ppm))
    return Plan.of(
        bars.instrument, bars.timeframe, cash=Decimal(str(job.cash)), entry_value=Decimal(str(job.value)),
        take_profit=Decimal(job.take_ppm) / 10_000, stop_loss=Decimal(job.stop_ppm) / 10_000, terms=terms,
    )  # fmt: skip


def signals_for(job: Job, s: int, name: str) -> np.ndarray:
    """The job's signals, as the profile's engine takes them."""
    signal = job.signal[s].astype(np.int8)
    if name == "freqtrade":  # it enters nothing in the last bar, which is no rule of filling
        signal[-2:] = 0
    return signal


def trades_of(job: Job, s: int, bars: Bars, events: np.ndarray) -> list[tuple[float, ...]]:
    """Round trips from the fills, in the form of `job.TRADE`."""
    fills = events[events["kind"] == layout.FILLED]
    # what happens at an open is stamped with it, anything later in a bar with its close
    at_open = (fills["rule"] == layout.AT_OPEN) | (fills["rule"] == layout.AT_GAP)
    span = bars.timeframe.ns
    bar = (fills["ts_ns"] - bars.open_ns[0] - np.where(at_open, 0, span)) // span
    price = fills["price_ticks"] / 10**DECIMALS
    unit = float(bars.instrument.quantum)
    fee = fills["fee"] * unit
    size = fills["side"] * fills["qty_lots"].astype(np.float64)
    found = []
    if (fills["position_lots"][1::2] != 0).any():
        raise RuntimeError("a round trip of more than two fills")
    for i in range(0, len(fills) - 1, 2):
        gain = float(size[i] * (price[i + 1] - price[i]) - fee[i] - fee[i + 1])
        found.append((s, bar[i], bar[i + 1], price[i], price[i + 1], size[i], gain))
    if len(fills) % 2:
        last = job.prices("close")[s, -1]
        found.append((s, bar[-1], -1, price[-1], last, size[-1], float(size[-1] * (last - price[-1]) - fee[-1])))
    return found


def main() -> None:
    """Run the job and report."""
    given = task(tuple(name + how for how in ("", "+callback", "+waits") for name in PROFILES))
    job = given.job
    name, _, asked = given.variant.partition("+")
    markets = [market(job, s) for s in range(job.instruments)]
    plans = [plan_for(job, bars, name) for bars in markets]
    signals = [signals_for(job, s, name) for s in range(job.instruments)]
    if asked:
        from pregao.strategies.backtest import backtest
        from pregao.strategies.contract import Enter, StrategyConfig, Wait

        class Average:
            """Finds the crosses by itself, from each new close."""

            api, title, Config = 1, "Crosses", StrategyConfig

            def __init__(self):
                self.fast = self.slow = 0.0
                self.above = False
                self.seen = 0

            def warmup(self):
                return 1

            def on_bar(self, ctx, bar):
                close = bar.close / 10**DECIMALS
                self.seen += 1
                if self.seen == 1:
                    self.fast = self.slow = close
                    return ()
                self.fast += 2 / (FAST + 1) * (close - self.fast)
                self.slow += 2 / (SLOW + 1) * (close - self.slow)
                was, self.above = self.above, self.fast > self.slow
                return (Enter(),) if self.above and not was and self.seen > SLOW else ()

            def save(self):
                return {}

            def load(self, state):
                pass

        class Waiting(Average):
            """Knows the crosses beforehand; waits for the next while flat, and in the market for a fill."""

            def __init__(self, crosses):
                self.crosses = crosses

            def signals(self, history):
                return self.crosses

            def on_bar(self, ctx, bar):
                if ctx.account.position:
                    return hold
                return enter if ctx.signal else wait

        enter, wait, hold = (Enter(), Wait()), (Wait(signal=True, event=False),), (Wait(),)

        def run(_):
            made = [Average() for _ in markets] if asked == "callback" else [Waiting(own) for own in signals]
            return [backtest(*work) for work in zip(made, markets, plans, strict=True)]
    else:

        def run(_):
            return [run_signals(*work) for work in zip(markets, plans, signals, strict=True)]

    def run_and_tell(_):
        results = run(None)
        for result in results:
            len(result.trades)
        return results

    first, timed, alone = Timed(), Timed(), Timed()
    first.repeat(1, lambda: None, run_and_tell)
    results = timed.repeat(given.repeats, lambda: None, run_and_tell)
    alone.repeat(given.repeats, lambda: None, run)
    found, equity = [], job.cash
    for s, (bars, result) in enumerate(zip(markets, results, strict=True)):
        found += trades_of(job, s, bars, result.events)
        equity += float(result.final_equity) - job.cash
    title = f"Pregão, {given.variant}"
    report(
        given, title, pregao.__version__, timed, rows(found), equity, import_s=took, first_run_s=first.run_wall_s[0],
        engine_cpu_s=alone.run_cpu_s,
    )  # fmt: skip


if __name__ == "__main__":
    main()
