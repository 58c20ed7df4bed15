"""Our sweep, as `pregao sweep` runs it, under the profile of vectorbt: in one process, or in ``--variant`` many.

The averages are made before the clock runs, as vectorbt's are; signals, runs, all figures and the digest of every run
are in the time. Beside it stands how long two whole sweeps take, each in a process of its own, at the same time
(``side_by_side_wall_s``): what the machine's cores are together is told by that.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

began = time.perf_counter()
from decimal import Decimal  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

import pregao  # noqa: E402
from pregao.strategies.sweeping.local import run  # noqa: E402
from pregao.strategies.sweeping.runs import Market, Sweep  # noqa: E402
from pregao.strategies.sweeping.space import Setting, Space  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers import sweep  # noqa: E402
from benchmarks.peers.job import TRADE  # noqa: E402
from benchmarks.peers.runners.pregao_ import market, plan_for  # noqa: E402
from benchmarks.peers.runners.timed import Timed, report, task  # noqa: E402

PLUGIN = Path(__file__).parents[1] / "plugin"


def asked(job, wanted: sweep.Settings) -> Sweep:
    """The settings over the job's bars."""
    bars = market(job, 0)
    plan = {
        "cash": Decimal(str(job.cash)), "entry_value": Decimal(str(job.value)),
        "terms": plan_for(job, bars, "vectorbt").terms,
    }  # fmt: skip
    rows = zip(*(column.tolist() for column in vars(wanted).values()), strict=True)
    settings = tuple(
        Setting({"fast": fast, "slow": slow}, {"take_profit": take / 10_000, "stop_loss": stop / 10_000})
        for fast, slow, take, stop in rows
    )
    return Sweep(Space("peers-crosses", (), settings), (Market(bars, plan),))


def cpu_s() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def side_by_side(work: Sweep) -> float:
    """Seconds that two processes need for a whole sweep each, from when both are there."""
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(3)

    def whole() -> None:
        ready.wait()
        for _ in run(work, work.runs, 1):
            pass

    both = [context.Process(target=whole) for _ in range(2)]
    for process in both:
        process.start()
    ready.wait()
    began = time.perf_counter()
    for process in both:
        process.join()
    return time.perf_counter() - began


def main() -> None:
    """Run the sweep and report."""
    sys.path.insert(0, str(PLUGIN))
    given = task(("1", "2", "4", "8"))
    work = asked(*sweep.load(given.job_file))

    cpu: list[float] = []

    def averages() -> None:
        """The plugin keeps them, and processes that are started inherit them."""
        for setting in work.space.settings:
            work.configured(setting).signals(work.markets[0].bars)

    def made(_):
        before = cpu_s()
        rows = sorted(row for rows in run(work, work.runs, int(given.variant)) for row in rows)
        cpu.append(cpu_s() - before)
        return rows

    first, timed = Timed(), Timed()
    first.repeat(1, lambda: None, made)
    rows = timed.repeat(given.repeats, averages, made)
    beside = [side_by_side(work) for _ in range(given.repeats)] if given.variant == "2" else []
    results = np.array(
        [(f.final_equity, f.trades, f.bar_sharpe, f.max_drawdown, f.hit_rate) for _, f in rows], sweep.RESULT
    )
    report(
        given, "Pregão", pregao.__version__, timed, np.zeros(0, TRADE), float(results["final_equity"].max()),
        import_s=took, first_run_s=first.run_wall_s[0], settings=len(results), all_cpu_s=cpu[1:],
        digests=[f.digest for _, f in rows], side_by_side_wall_s=beside,
    )  # fmt: skip
    np.save(given.out.with_suffix(".sweep.npy"), results)


if __name__ == "__main__":
    main()
