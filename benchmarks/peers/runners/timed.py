"""What every runner shares: reading the job, timing, and writing what came of it. Needs numpy only."""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.peers.job import TRADE, Job


@dataclass
class Task:
    """What the driver asks of a runner."""

    job: Job
    job_file: Path
    out: Path
    repeats: int
    variant: str


def task(variants: tuple[str, ...] = ("",)) -> Task:
    """Read ``JOB.npz OUT [--repeats N] [--variant NAME]`` from the command line; the first variant is the default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--variant", choices=variants, default=variants[0])
    given = parser.parse_args()
    return Task(Job.load(given.job), given.job.absolute(), given.out.absolute(), given.repeats, given.variant)


def peak_mb() -> float:
    """The most memory that this process has had, in MB (Linux counts KB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Timed:
    """Times of several repetitions, CPU seconds of this process and seconds on the wall."""

    def __init__(self) -> None:
        self.setup_cpu_s: list[float] = []
        self.run_cpu_s: list[float] = []
        self.run_wall_s: list[float] = []

    def repeat(self, times: int, setup: Callable[[], Any], run: Callable[[Any], Any]) -> Any:
        """Set up and run ``times`` times, each timed apart; the last result."""
        result = None
        for _ in range(times):
            result = None
            gc.collect()
            start = time.process_time()
            state = setup()
            ready, wall = time.process_time(), time.perf_counter()
            result = run(state)
            self.run_wall_s.append(time.perf_counter() - wall)
            self.run_cpu_s.append(time.process_time() - ready)
            self.setup_cpu_s.append(ready - start)
        return result


def report(
    given: Task, engine: str, version: str, timed: Timed, trades: np.ndarray, equity: float, **more: Any
) -> None:
    """Write ``OUT.npz`` (the trades, sorted by instrument and entry) and ``OUT.json`` (everything else)."""
    trades = np.sort(np.asarray(trades, TRADE), order=["symbol", "entry", "exit"])
    np.savez(given.out.with_suffix(".npz"), trades=trades)
    document = {
        "engine": engine,
        "version": version,
        "job": given.job.name,
        "bars": given.job.bars * given.job.instruments,
        "variant": given.variant,
        "trades": int((trades["exit"] >= 0).sum()),
        "open": int((trades["exit"] < 0).sum()),
        "final_equity": float(equity),
        "python": platform.python_version(),
        "setup_cpu_s": timed.setup_cpu_s,
        "run_cpu_s": timed.run_cpu_s,
        "run_wall_s": timed.run_wall_s,
        "peak_mb": peak_mb(),
        **more,
    }
    given.out.with_suffix(".json").write_text(json.dumps(document))


def rows(trades: list[tuple[Any, ...]]) -> np.ndarray:
    """Tuples in the order of `TRADE` as an array."""
    return np.array(trades, dtype=TRADE)
