"""An experiment in several processes, resumed where it was stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pregao.core.errors import PregaoError
from pregao.learning.calibration.experiment import Experiment, Results
from pregao.learning.calibration.markets import Kind
from pregao.learning.calibration.oracle import Edge
from pregao.market.atomic import exclusive

_AHEAD = 2
"""Markets waiting for each process."""
_start = "fork" if sys.platform == "linux" else "spawn"
_experiment: Experiment | None = None
_edges: dict[float, Edge] = {}

Done = Callable[[int, int, list[dict[str, Any]]], None]
"""Called with how many markets are done, of how many, and the rows that this run made."""


def run(experiment: Experiment, root: Path, jobs: int, tell: Callable[[str], None], done: Done) -> list[dict[str, Any]]:
    """Judge all markets that are not judged yet; the rows of all, in the order of `Experiment.tasks`.

    Args:
        root: where results are kept, see `Results`.
        jobs: processes.
        tell: gets a line about what takes time before the first market.

    Raises:
        UsageError: if a planted edge cannot be made.
        PregaoError: if another process works on this very experiment, or a process dies; what is done is kept.
    """
    results = Results(root, experiment)
    results.folder.mkdir(parents=True, exist_ok=True)
    with exclusive(results.folder / ".lock", timeout_s=1.0):
        results.begin()
        found = {task: results.get(*task) for task in experiment.tasks}
        left = [task for task, row in found.items() if row is None]
        edges = _find_edges(experiment, results, {kind.sharpe for kind, _ in left if kind.sharpe}, tell)
        done(len(found) - len(left), len(found), [])
        made: list[dict[str, Any]] = []
        for row in _made(experiment, edges, left, jobs):
            results.put(row)
            found[Kind(row["kind"]), row["index"]] = row
            made.append(row)
            done(len(found) - len(left) + len(made), len(found), made)
        return [row for task in experiment.tasks if (row := found[task]) is not None]


def _find_edges(
    experiment: Experiment, results: Results, sharpes: set[float], tell: Callable[[str], None]
) -> dict[float, Edge]:
    edges = {}
    for sharpe in sorted(sharpes):
        edge = results.edge(sharpe)
        if edge is None:
            tell(f"Looking for the edge that earns an oracle a net Sharpe ratio of {sharpe:g}")
            edge = experiment.edge(sharpe)
            results.put_edge(sharpe, edge)
        edges[sharpe] = edge
        tell(
            f"Planted edge {sharpe:g}: the oracle earns {edge.sharpe:.2f} ± {edge.standard_error:.2f} "
            f"(reversion {edge.reversion:.4f}, enters at {edge.bound:g})"
        )
    return edges


def _made(experiment: Experiment, edges: dict[float, Edge], left: list[tuple[Kind, int]], jobs: int) -> Any:
    if not left:
        return
    context = multiprocessing.get_context(_start)
    pool = ProcessPoolExecutor(min(jobs, len(left)), context, _begin, (experiment, edges, os.getpid()))
    waiting: set[Future[dict[str, Any]]] = set()
    tasks = iter(left)
    try:
        while True:
            while len(waiting) < _AHEAD * jobs and (task := next(tasks, None)) is not None:
                waiting.add(pool.submit(_row, *task))
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool:
        raise PregaoError(
            "A process of the experiment was killed, perhaps for want of memory.",
            "Run the same command again, with fewer --jobs: what is done is kept.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(experiment: Experiment, edges: dict[float, Edge], parent: int) -> None:
    """In a new process: Ctrl-C is its parent's to handle, and it never outlives it."""
    global _experiment, _edges
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _experiment, _edges = experiment, edges


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _row(kind: Kind, index: int) -> dict[str, Any]:
    assert _experiment is not None
    return _experiment.row(kind, index, _edges.get(kind.sharpe))
