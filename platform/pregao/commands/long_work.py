"""Progress of long work on standard error: a bar on a terminal, and in words what the first start compiles."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

_QUIET_S = 1.0
"""Work that is over before this shows no bar."""
_COMPILING = "Compiling what has not run on this machine before; the next start does not wait for it…"


class LongWork:
    """What is going on. On a terminal a bar, else nothing but the sentence about compiling.

    Args:
        what: is counted.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.perf_counter()
        self._bar: Any = None
        self._task: Any = None
        self._told = False
        self._compiling = 0
        self._terminal = sys.stderr.isatty()

    def __call__(self, done: int, of: int) -> None:
        """``done`` of ``of`` are done."""
        if self._terminal and (self._bar is not None or time.perf_counter() - self._began > _QUIET_S):
            self._show(self._what, done, of)

    def compiling(self, started: bool) -> None:
        """A function is about to be compiled, or has been."""
        if not self._told:
            self._told = True
            click.echo(_COMPILING, err=True)
        self._compiling += not started
        if self._terminal:
            self._show("functions compiled", self._compiling, None)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, what: str, done: int, of: int | None) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            columns = (BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", said="", total=of)
            self._bar.start()
        said = f"{done:,} {what}" if of is None else f"{done:,} of {of:,} {what}"
        if of is not None and done:
            said += f", {done / (time.perf_counter() - self._began):,.0f}/s"
        self._bar.update(self._task, completed=done, total=of, said=said)


@contextmanager
def long_work(what: str = "bars") -> Iterator[Callable[[int, int], None]]:
    """Show progress while the block runs; gives what to call with (bars done, bars in all), or of something else."""
    from numba.core import event

    work = LongWork(what)

    class Listener(event.Listener):  # type: ignore[misc]  # numba has no types
        def on_start(self, _: Any) -> None:
            work.compiling(True)

        def on_end(self, _: Any) -> None:
            work.compiling(False)

    with event.install_listener("numba:compile", Listener()):
        try:
            yield work
        finally:
            work.close()
