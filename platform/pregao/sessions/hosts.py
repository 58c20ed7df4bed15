"""The hosts of a database: which processes run many sessions each, and which sessions wait for one.

A host writes a row and keeps its heartbeat fresh. Sessions are not handed out: each host takes what nobody attends to,
as many as are its share, and a session's epoch decides where two reach for the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sqlalchemy import delete, insert, select, tuple_, update

from pregao.sessions import schema
from pregao.sessions.journal import Journal
from pregao.sessions.records import ACTIVE, OFFERED, SessionRow

LIVE_S = 15.0
"""A host that has not shown itself for so long is taken to be gone."""
SILENT_S = 4.0
"""A session whose runner has shown itself since is not looked at more closely."""
_KEPT_S = 7 * 86_400.0
_h = schema.hosts.c
_s = schema.sessions.c


class HostRow(NamedTuple):
    """One host.

    Attributes:
        name: of the host, unique in its database.
        runner: machine and process id.
        flow: it runs under Prefect, which can start it again.
        capacity: sessions that it takes at most.
        started_ns, heartbeat_ns, ended_ns: wall clock; ``ended_ns`` is None unless it ended by itself.
        sessions: how many it runs.
        memory_bytes, cpu_ms: of the process and all its strategies' processes; shared pages are counted once.
    """

    name: str
    runner: str
    flow: bool
    capacity: int
    started_ns: int
    heartbeat_ns: int
    ended_ns: int | None
    sessions: int
    memory_bytes: int
    cpu_ms: int


def hosts(journal: Journal) -> list[HostRow]:
    """Every host of the last week, newest first."""
    query = select(*(_h[name] for name in HostRow._fields)).order_by(_h.started_ns.desc())
    with journal.reading() as connection:
        return [HostRow(*row) for row in connection.execute(query)]


def is_live(host: HostRow, now_ns: int) -> bool:
    """Whether a host has shown itself of late."""
    return host.ended_ns is None and now_ns - host.heartbeat_ns <= LIVE_S * 1e9


def live_hosts(journal: Journal) -> list[HostRow]:
    """The hosts that run now."""
    return [host for host in hosts(journal) if is_live(host, journal.clock())]


def dead(journal: Journal) -> list[HostRow]:
    """The hosts under Prefect that have not ended by themselves and have not shown themselves of late."""
    now = journal.clock()
    return [host for host in hosts(journal) if host.flow and host.ended_ns is None and not is_live(host, now)]


def room(journal: Journal) -> int:
    """How many more sessions the hosts that run now would take."""
    return sum(max(host.capacity - host.sessions, 0) for host in live_hosts(journal))


def offer(journal: Journal, session_id: str, coming: bool = False) -> bool:
    """Let a host take a session; false, and nothing is done, if no host has room or a runner has it already.

    Args:
        coming: a host that will have room was asked for.
    """
    row = journal.session(session_id)
    if not (coming or room(journal)) or (journal.attended(row) and row.runner):
        return False
    with journal.writing() as connection:
        waiting = update(schema.sessions).where(_s.id == session_id, _s.epoch == row.epoch)
        return connection.execute(waiting.values(runner=OFFERED, heartbeat_ns=0)).rowcount == 1


def enter(journal: Journal, host: HostRow) -> None:
    """A host begins; rows of long ago go."""
    with journal.writing() as connection:
        connection.execute(delete(schema.hosts).where(_h.heartbeat_ns < host.heartbeat_ns - int(_KEPT_S * 1e9)))
        connection.execute(delete(schema.hosts).where(_h.name == host.name))
        connection.execute(insert(schema.hosts).values(**host._asdict()))


def leave(journal: Journal, name: str) -> None:
    """A host ends by itself, or is known to be gone and replaced."""
    with journal.writing() as connection:
        gone = update(schema.hosts).where(_h.name == name)
        connection.execute(gone.values(ended_ns=journal.clock(), sessions=0))


def beat(journal: Journal, host: HostRow, epochs: dict[str, int]) -> set[str]:
    """Show that a host and its sessions live, in one transaction.

    Args:
        epochs: the epoch of each session whose loop turns.

    Returns:
        The sessions that another runner has taken.
    """
    now = journal.clock()
    with journal.writing() as connection:
        mine = update(schema.hosts).where(_h.name == host.name)
        figures = {"sessions": host.sessions, "memory_bytes": host.memory_bytes, "cpu_ms": host.cpu_ms}
        connection.execute(mine.values(heartbeat_ns=now, **figures))
        if not epochs:
            return set()
        held = select(_s.id, _s.epoch).where(_s.id.in_(list(epochs)))
        kept = [(id_, epoch) for id_, epoch in connection.execute(held) if epochs[id_] == epoch]
        alive = update(schema.sessions).where(tuple_(_s.id, _s.epoch).in_(kept))
        connection.execute(alive.values(heartbeat_ns=now))
        return set(epochs) - {id_ for id_, _epoch in kept}


def called(journal: Journal, sessions: list[str]) -> set[str]:
    """Those of some sessions for which commands wait."""
    c = schema.commands.c
    query = select(c.session_id).distinct().where(c.session_id.in_(sessions), c.done_ns.is_(None))
    with journal.reading() as connection:
        return set(connection.scalars(query))


def free(journal: Journal, only: frozenset[str] | None, after_s: float) -> list[SessionRow]:
    """The sessions that a host may take, oldest first: offered, or without a runner for so long.

    Args:
        only: those that it was told to run; None is any.
    """
    silent = _s.heartbeat_ns < journal.clock() - int(SILENT_S * 1e9)
    with journal.reading() as connection:  # most of the time every session has a runner, and none need be read
        if connection.scalar(select(_s.id).where(_s.status.in_(ACTIVE), silent).limit(1)) is None:
            return []
    found = journal.unattended(after_s)
    return [row for row in reversed(found) if only is None or row.id in only]


def share(live: list[HostRow], name: str, capacity: int, waiting: int) -> int:
    """How many sessions a host should have when all that wait are taken, each host having as many.

    Args:
        live: the hosts that run now, with ``name`` itself or without it.
        waiting: the sessions that nobody runs.
    """
    others = [host for host in live if host.name != name]
    own = next((host.sessions for host in live if host.name == name), 0)
    every = own + sum(host.sessions for host in others) + waiting
    return min(capacity, math.ceil(every / (len(others) + 1)))
