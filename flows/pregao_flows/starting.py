"""Who runs a session: a host that has room, or a run of its own."""

from __future__ import annotations

import time

from pregao.core.errors import PregaoError
from pregao.sessions import hosts
from pregao.sessions.journal import Journal
from pregao_flows import client
from pregao_flows.serve import LIMIT

CROWDED = LIMIT - 8
"""With so many runs under way, a session goes to a host: what brings data, trains and supervises needs places too."""
SETTLE_SECONDS = 60.0
"""A run that was started this recently may still be importing its libraries."""


def require_runner(journal: Journal) -> None:
    """Raise `PregaoError` unless something would run a session."""
    if not hosts.room(journal) and (not client.server_alive() or not client.served()):
        raise PregaoError(
            "No server answers that could run the session, and no host has room for it.",
            "Start the servers with `pregao up`, a host with `pregao trade host`, or run the session in this terminal "
            "with --here.",
        )


def begin(session_id: str, journal: Journal) -> None:
    """Have a session run: by a host that has room, or in a run of its own; by a host that is asked for, if the runner
    would have no place for another run.

    Raises:
        ServerDownError: if no host has room and no Prefect server answers.
    """
    if hosts.offer(journal, session_id):
        return
    if len(client.active_runs()) < CROWDED:
        client.launch(session_id)
        return
    from pregao.sessions.hosting import CAPACITY

    if not any(settling(run) for run in client.host_runs()):
        client.run_host(CAPACITY)
    hosts.offer(journal, session_id, coming=True)


def settling(run: client.FlowRun) -> bool:
    """Whether a run was asked for or began so recently that it may not do yet what it is for."""
    if run.state_type in ("SCHEDULED", "PENDING") or (run.state_type == "CANCELLING" and run.started is None):
        return True
    return run.state_type == "RUNNING" and run.started is not None and time.time() - run.started < SETTLE_SECONDS
