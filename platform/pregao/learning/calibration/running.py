"""An experiment in several processes, resumed where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pregao.core.errors import PregaoError
from pregao.learning.calibration.experiment import Experiment, Results
from pregao.learning.calibration.markets import Kind
from pregao.learning.calibration.oracle import Edge
from pregao.market.atomic import exclusive
from pregao.spreading import KilledError, spread

_AHEAD = 2
"""Markets waiting for each process."""
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
        for new in _made(experiment, edges, left, jobs):
            results.put(new)
            found[Kind(new["kind"]), new["index"]] = new
            made.append(new)
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


def _made(
    experiment: Experiment, edges: dict[float, Edge], left: list[tuple[Kind, int]], jobs: int
) -> Iterator[dict[str, Any]]:
    try:
        yield from spread(_row, left, jobs, _begin, (experiment, edges), ahead=_AHEAD)
    except KilledError:
        raise PregaoError(
            "A process of the experiment was killed, perhaps for want of memory.",
            "Run the same command again, with fewer --jobs: what is done is kept.",
        ) from None


def _begin(experiment: Experiment, edges: dict[float, Edge]) -> None:
    global _experiment, _edges
    _experiment, _edges = experiment, edges


def _row(kind: Kind, index: int) -> dict[str, Any]:
    assert _experiment is not None
    return _experiment.row(kind, index, _edges.get(kind.sharpe))
