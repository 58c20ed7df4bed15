"""Work spread over several processes of this machine: answers as they are made; none outlives its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

START = "fork" if sys.platform == "linux" else "spawn"
"""How processes start. One that is forked has what its parent has loaded and compiled already."""

T = TypeVar("T")


class KilledError(Exception):
    """A process was killed, perhaps for want of memory; answers that were given out are not touched by that."""


def spread(
    work: Callable[..., T],
    tasks: Sequence[tuple[Any, ...]],
    jobs: int,
    begin: Callable[..., None],
    given: tuple[Any, ...],
    *,
    ahead: int,
    start: str = START,
) -> Iterator[T]:
    """What ``work(*task)`` returns of each task, in the order in which they end.

    Args:
        jobs: processes, at the most one a task.
        begin: called once in each process, as ``begin(*given)``, before any task.
        ahead: tasks that wait for each process.
        start: ``fork`` or ``spawn``, see `multiprocessing`.

    Raises:
        KilledError: if a process dies.
    """
    if not tasks:
        return
    context = multiprocessing.get_context(start)
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, _begin, (os.getpid(), begin, given))
    waiting: set[Future[T]] = set()
    left = iter(tasks)
    try:
        while True:
            while len(waiting) < ahead * jobs and (task := next(left, None)) is not None:
                waiting.add(pool.submit(work, *task))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise KilledError from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent: int, begin: Callable[..., None], given: tuple[Any, ...]) -> None:
    """In a new process: Ctrl-C is its parent's to handle, and it never outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    begin(*given)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
