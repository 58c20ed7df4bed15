"""Carrying a sweep through: only what is missing is run, and what has been run is kept."""

from __future__ import annotations

import time
from collections.abc import Callable

from pregao.strategies.sweeping.results import Folder
from pregao.strategies.sweeping.runs import Row, Sweep

Give = Callable[[list[Row]], None]
Make = Callable[[list[int], Give], None]
"""Makes the runs of these numbers and gives their rows, some at a time, as they are made."""

_KEEP_S = 2.0
"""At most so much work is lost when the process is killed, besides the runs that are on."""


def carry_out(
    sweep: Sweep, make: Make, folder: Folder | None = None, progress: Callable[[int, int], None] | None = None
) -> list[Row]:
    """All rows of a sweep, ascending.

    Args:
        make: makes runs, here or on a cluster.
        folder: where rows are kept, and what was made before; None keeps nothing.
        progress: called with (runs that are done, runs in all), first with those made before.
    """
    rows = {} if folder is None else dict(folder.rows())
    missing = [run for run in sweep.runs if run not in rows]
    unkept: list[Row] = []
    kept_at = time.monotonic()

    def give(made: list[Row]) -> None:
        nonlocal kept_at
        rows.update(made)
        unkept.extend(made)
        if time.monotonic() - kept_at > _KEEP_S:
            keep()
        if progress is not None:
            progress(len(rows), len(sweep.runs))

    def keep() -> None:
        nonlocal kept_at
        if folder is not None:
            folder.keep(unkept)
        unkept.clear()
        kept_at = time.monotonic()

    if progress is not None:
        progress(len(rows), len(sweep.runs))
    try:
        if missing:
            make(missing, give)
    finally:
        keep()
    found = sorted(rows.items())
    if folder is not None:
        folder.finish(found)
    return found
