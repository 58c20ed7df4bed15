"""A session run in a process of its own, to be killed: from outside at any moment, or by itself at a named point."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pregao.sessions.runtime", "pregao.learning", "warm_engine"])


class Point(NamedTuple):
    """Where a runner kills itself: at the ``nth`` time that it comes there, from 1."""

    name: str
    nth: int


STATEMENTS = {
    "taking the session over": "INSERT INTO runs",
    "in the projection": "UPDATE sessions SET",
    "in the journal's rows": "INSERT INTO journal",
    "in the trades": "INSERT INTO trades",
    "in the answer to a command": "UPDATE commands",
    "in a snapshot": "INSERT INTO snapshots",
    "letting old snapshots go": "DELETE FROM snapshots",
    "in the quarantine": "INSERT INTO quarantine",
    "in a cut": "DELETE FROM journal",
}
"""Points in the middle of a transaction, each after a statement of it."""
CALLS = {
    "before a transaction": ("pregao.sessions.writer", "Writer.append", False),
    "after a commit": ("pregao.sessions.writer", "Writer._commit", True),
    "while the strategy is asked": ("pregao.sessions.runtime", "ask", False),
    "while it recovers": ("pregao.sessions.recovery", "relive", False),
    "while a model takes over": ("pregao.sessions.machine", "Machine.offered", True),
    "letting go": ("pregao.sessions.writer", "Writer.release", False),
}
"""Points before or after a call."""
ORDERS = {
    "before an order is written down": ("pregao.sessions.brokers.orders", "Orders.write_down", False),
    "after an order was written down": ("pregao.sessions.brokers.orders", "Orders.write_down", True),
    "before an order is sent": ("pregao.sessions.brokers.exchange", "Exchange.place", False),
    "after an order was sent": ("pregao.sessions.brokers.exchange", "Exchange.place", True),
    "after an answer was kept": ("pregao.sessions.brokers.orders", "Orders.settle", True),
    "before an order is cancelled": ("pregao.sessions.brokers.exchange", "Exchange.cancel", False),
    "after an order was cancelled": ("pregao.sessions.brokers.exchange", "Exchange.cancel", True),
    "before fills are kept": ("pregao.sessions.brokers.orders", "Orders.add_fills", False),
    "after fills were kept": ("pregao.sessions.brokers.orders", "Orders.add_fills", True),
    "before what was told is journaled": ("pregao.sessions.machine", "Machine.broker", True),
}
"""Points of a session whose orders go to an exchange."""
COMMIT = "before a commit"
RARE = ("in the quarantine", "in a cut", "while a model takes over")
"""Points that a session does not come to by itself."""
POINTS = tuple(name for name in (*STATEMENTS, *CALLS, COMMIT) if name not in RARE)


def live(home: str, url: str, session_id: str, point: Point | None, environment: dict[str, str]) -> None:
    """Run a session to its end, or to the point; the server that forks has the environment of its own beginning."""
    os.environ.update(environment)
    os.environ["PREGAO_HOME"] = home
    os.environ["PREGAO_DATABASE_URL"] = url
    from pregao.settings import settings

    settings.cache_clear()
    from pregao.sessions.journal import Journal
    from pregao.sessions.runtime import run
    from pregao.sessions.writer import FencedError

    journal = Journal(url)
    if point is not None:
        _arm(journal, point)
    try:
        run(session_id, journal)
    except FencedError:
        os._exit(3)


def _arm(journal: Any, point: Point) -> None:
    """Make this process kill itself at the point."""
    import importlib

    from sqlalchemy import event

    left = point.nth

    def come() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if point.name in STATEMENTS:
        begins = STATEMENTS[point.name]

        def executed(_c: Any, _u: Any, statement: str, *_rest: Any) -> None:
            if statement.startswith(begins):
                come()

        event.listen(journal.engine, "after_cursor_execute", executed)
    elif point.name == COMMIT:
        event.listen(journal.engine, "commit", lambda _connection: come())
    else:
        module, path, after = (CALLS | ORDERS)[point.name]
        *owners, name = path.split(".")
        owner: Any = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, _watched(getattr(owner, name), come, after))


def _watched(call: Callable[..., Any], come: Callable[[], None], after: bool) -> Callable[..., Any]:
    def watched(*args: Any, **named: Any) -> Any:
        if not after:
            come()
        found = call(*args, **named)
        if after:
            come()
        return found

    return watched


def runner(home: str, url: str, session_id: str, point: Point | None = None, by: int = signal.SIGKILL) -> BaseProcess:
    """A real process that runs a session; its exit code is 3 if another one took the session over, -9 if killed."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("PREGAO_")}
    process = _context.Process(target=live, args=(home, url, session_id, point, environment), daemon=True)
    process.start()
    return process
