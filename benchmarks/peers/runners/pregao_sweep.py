"""Our core over many settings: one compiled run a setting, under the profile of vectorbt."""

from __future__ import annotations

import time

began = time.perf_counter()
from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402

import pregao  # noqa: E402
from pregao.simulation import layout  # noqa: E402
from pregao.simulation.backtest import run_signals  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers import sweep  # noqa: E402
from benchmarks.peers.job import TRADE  # noqa: E402
from benchmarks.peers.runners.pregao_ import market, plan_for  # noqa: E402
from benchmarks.peers.runners.timed import Timed, report, task  # noqa: E402


def main() -> None:
    """Run the sweep and report."""
    given = task()
    job, wanted = sweep.load(given.job_file)
    bars = market(job, 0)
    base = plan_for(job, bars, "vectorbt")
    column = {pair: i for i, pair in enumerate(sweep.pairs(wanted))}
    plans = [
        replace(base, take_profit_ppm=take, stop_loss_ppm=stop)
        for take, stop in zip(wanted.take_ppm.tolist(), wanted.stop_ppm.tolist(), strict=True)
    ]
    rows = [column[pair] for pair in zip(wanted.fast.tolist(), wanted.slow.tolist(), strict=True)]

    def run(crossed):
        results = np.zeros(len(wanted), sweep.RESULT)
        for k, (plan, row) in enumerate(zip(plans, rows, strict=True)):
            result = run_signals(bars, plan, crossed[row])
            fills = result.events[result.events["kind"] == layout.FILLED]
            results[k] = result.final_equity, np.count_nonzero(fills["position_lots"] == 0)
        return results

    def signals():
        return sweep.crosses(job.prices("close")[0], wanted).astype(np.int8)

    first, timed = Timed(), Timed()
    first.repeat(1, signals, run)
    results = timed.repeat(given.repeats, signals, run)
    report(
        given, "Pregão", pregao.__version__, timed, np.zeros(0, TRADE), float(results["final_equity"].max()),
        import_s=took, first_run_s=first.run_wall_s[0], settings=len(wanted),
    )  # fmt: skip
    np.save(given.out.with_suffix(".sweep.npy"), results)


if __name__ == "__main__":
    main()
