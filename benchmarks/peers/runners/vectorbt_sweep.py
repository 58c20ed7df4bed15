"""vectorbt over many settings at once: one column each, as its documentation teaches, and ``from_signals`` over all.

The averages are made by its own ``MA.run`` with ``ewm`` (the same formula, and the same crosses), also over many
windows at once. Timed apart: making the crosses; simulation with the final values and the trades of every column; and
the same with the other figures that a sweep is ranked by, which our own sweep always has.
"""

from __future__ import annotations

import time

began = time.perf_counter()
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import vectorbt as vbt  # noqa: E402
from vectorbt.portfolio.enums import StopEntryPrice, StopExitPrice  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers import sweep  # noqa: E402
from benchmarks.peers.job import SLOW, TRADE  # noqa: E402
from benchmarks.peers.runners.timed import Timed, report, task  # noqa: E402
from benchmarks.peers.runners.vectorbt_ import later  # noqa: E402


def main() -> None:
    """Run the sweep and report."""
    given = task(("numba", "rust"))
    job, wanted = sweep.load(given.job_file)
    opens, highs, lows, closes = (job.prices(k)[0][:, None] for k in ("open", "high", "low", "close"))
    size = later(job.size.T)
    frame = pd.Series(closes[:, 0], index=pd.to_datetime(job.time_s, unit="s"))
    spans = sorted({*wanted.fast.tolist(), *wanted.slow.tolist()})
    order = sweep.pairs(wanted)
    column = {pair: i for i, pair in enumerate(order)}
    of = np.array([column[pair] for pair in zip(wanted.fast.tolist(), wanted.slow.tolist(), strict=True)])

    def signals():
        made = vbt.MA.run(frame, spans, ewm=True).ma.to_numpy()
        at = {span: made[:, i] for i, span in enumerate(spans)}
        fast, slow = (np.column_stack([at[pair[k]] for pair in order]) for k in (0, 1))
        above = fast > slow
        crossed = np.zeros_like(above)
        crossed[1:] = above[1:] & ~above[:-1]
        crossed[:SLOW] = False
        return later(crossed)[:, of]

    def run(entries):
        portfolio = vbt.Portfolio.from_signals(
            frame, entries=entries, exits=False, size=size, price=opens, open=opens, high=highs, low=lows,
            fees=job.fee, sl_stop=wanted.stop_ppm[None, :] / 1e6, tp_stop=wanted.take_ppm[None, :] / 1e6,
            stop_entry_price=StopEntryPrice.FillPrice, stop_exit_price=StopExitPrice.StopLimit,
            init_cash=job.cash, direction="longonly", freq="1min", engine=given.variant,
        )  # fmt: skip
        return portfolio, np.asarray(portfolio.final_value()), np.asarray(portfolio.trades.closed.count())

    def run_alone(entries):
        return run(entries)[1:]

    def run_and_judge(entries):
        portfolio, values, counts = run(entries)
        sharpe = np.asarray(portfolio.sharpe_ratio()) / portfolio.get_returns_acc().ann_factor ** 0.5
        return values, counts, sharpe, -np.asarray(portfolio.max_drawdown()), portfolio.trades.closed.win_rate()

    first, timed, judged = Timed(), Timed(), Timed()
    first.repeat(1, signals, run_and_judge)
    timed.repeat(given.repeats, signals, run_alone)
    values, counts, sharpe, drawdown, hits = judged.repeat(given.repeats, signals, run_and_judge)
    results = np.zeros(len(wanted), sweep.RESULT)
    results["final_equity"], results["trades"], results["drawdown"] = values, counts, drawdown
    results["bar_sharpe"], results["hit_rate"] = sweep.without_first(sharpe, len(closes)), hits
    name = "vectorbt" if given.variant == "numba" else "vectorbt, Rust engine"
    report(
        given, name, vbt.__version__, timed, np.zeros(0, TRADE), float(values.max()), import_s=took,
        first_run_s=first.run_wall_s[0], settings=len(wanted), crosses=int(np.unique(of).size),
        figures_cpu_s=judged.run_cpu_s, figures_wall_s=judged.run_wall_s,
    )  # fmt: skip
    np.save(given.out.with_suffix(".sweep.npy"), results)


if __name__ == "__main__":
    main()
