"""Transactions of many sessions as one: who comes while the disk writes waits, and shares the next write.

A transaction costs an fsync, and a database on SQLite has one writer: a hundred sessions whose bars close at the same
second would wait for a hundred of them. Each session's rows, its place in its chain and its fencing are what they are
alone; only the commit is shared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection

from pregao.core.errors import PregaoError

Write = Callable[[Connection], None]


@dataclass(eq=False)
class _Waiting:
    write: Write
    done: bool = False
    error: BaseException | None = None


class Together:
    """Runs what several threads want to write, as many at a time as wait. The first of them does it for all.

    Args:
        writing: opens a transaction.

    Attributes:
        commits, writes: how many transactions were made, of how many.
    """

    def __init__(self, writing: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._writing = writing
        self._queue: list[_Waiting] = []
        self._queued = threading.Lock()
        self._turn = threading.Lock()
        self.commits = self.writes = 0

    def run(self, write: Write) -> None:
        """Commit a write, alone or with others; raises what it raised, and then nothing of it is written.

        A write that raises `PregaoError` must have changed nothing by then: the others are committed without it. Where
        the transaction itself fails, all of its writes get the error: whether it was committed each finds out for
        itself. One that fails for a reason of its own does not hold the others up: each is tried alone then.
        """
        mine = _Waiting(write)
        with self._queued:
            self._queue.append(mine)
        with self._turn:
            if not mine.done:
                with self._queued:
                    group, self._queue = self._queue, []
                self._commit(group)
        if mine.error is not None:
            raise mine.error

    def _commit(self, group: list[_Waiting]) -> None:
        at: _Waiting | None = None
        try:
            with self._writing() as connection:
                for at in group:
                    try:
                        at.write(connection)
                    except PregaoError as error:
                        at.error = error
                at = None
        except BaseException as error:
            for one in group:
                one.error = error
            if at is not None and len(group) > 1 and isinstance(error, Exception):
                for one in group:
                    one.error = None
                    self._commit([one])
        else:
            self.commits += 1
            self.writes += len(group)
        for one in group:
            one.done = True
