"""Every minute: a session that should be running and that no process attends to is started again."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from pregao_flows import client

SETTLE_SECONDS = 60.0
"""A run that was started this recently may still be importing its libraries."""


@flow(name="supervise")
def supervise() -> State[Any]:
    """Start the sessions again whose heartbeat is stale, and the hosts that have died.

    Sessions that a host has room for are left to it.

    One whose run was cancelled while it could not be told why (the server did not answer, the process was killed) is
    told to stop, and brought to its end. So is one whose run was cancelled before its process began.

    Two runs of one session do no harm, since the journal lets only the latest write; but the older one ends with an
    error that would worry a person, so a run that has just been asked for is waited for.
    """
    from pregao.sessions import hosts
    from pregao.sessions.journal import Journal

    log = get_run_logger()
    client.conclude_unbegun(after_s=SETTLE_SECONDS)
    with closing(Journal()) as journal:
        launched = []
        for host in hosts.dead(journal):
            hosts.leave(journal, host.name)
            client.run_host(host.capacity)
            log.warning("Host %s is gone: another one was asked for", host.name)
        hosted = hosts.room(journal)
        if not hosted and any(_settling(run) for run in client.host_runs()):
            return Completed(message="A host is starting; it takes the sessions that nobody runs.")
        for session in journal.unattended()[hosted:]:
            if any(_settling(run) for run in client.session_runs(session.id)):
                continue
            if client.was_cancelled(session.id):
                journal.command(session.id, "stop")
            client.launch(session.id)
            launched.append(session.id)
            log.warning("Session %s had no runner: started again", session.id)
    return Completed(message=f"Started again: {', '.join(launched) or 'none'}.")


def _settling(run: client.FlowRun) -> bool:
    if run.state_type in ("SCHEDULED", "PENDING") or (run.state_type == "CANCELLING" and run.started is None):
        return True
    return run.state_type == "RUNNING" and run.started is not None and time.time() - run.started < SETTLE_SECONDS
