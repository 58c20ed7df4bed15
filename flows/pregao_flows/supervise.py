"""Every minute: a session that should be running and that no process attends to is started again."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from pregao.core.errors import PregaoError
from pregao_flows import client
from pregao_flows.messages import said
from pregao_flows.reports import ended_badly, ended_well
from pregao_flows.starting import SETTLE_SECONDS, settling

if TYPE_CHECKING:
    from pregao.sessions.journal import Journal

MANY = 16
"""More sessions than these are given to one host: a process for each would be more than a runner takes at a time."""


@flow(name="supervise")
def supervise() -> State[Any]:
    """Start the sessions again whose heartbeat is stale, and the hosts that have died.

    Sessions that a host has room for are left to it; if more than `MANY` are without a runner, a host is asked for.

    One whose run was cancelled while it could not be told why (the server did not answer, the process was killed) is
    told to stop, and brought to its end. So is one whose run was cancelled before its process began.

    Two runs of one session do no harm, since the journal lets only the latest write; but the older one ends with an
    error that would worry a person, so a run that has just been asked for is waited for.
    """
    from pregao.sessions import hosts
    from pregao.sessions.hosting import CAPACITY
    from pregao.sessions.journal import Journal

    log = get_run_logger()
    client.conclude_unbegun(after_s=SETTLE_SECONDS)
    with closing(Journal()) as journal:
        launched: list[str] = []
        failed: list[str] = []
        for host in hosts.dead(journal):
            hosts.leave(journal, host.name)
            client.run_host(host.capacity)
            log.warning("Host %s is gone: another one was asked for", host.name)
        hosted = hosts.room(journal)
        if not hosted and any(settling(run) for run in client.host_runs()):
            return ended_well(said("host_coming"))
        waiting = [session.id for session in journal.unattended()[hosted:]]
        many = len(waiting) > MANY
        for session_id in waiting:
            try:
                if _start(journal, session_id, alone=not many):
                    launched.append(session_id)
                    log.warning("Session %s had no runner: started again", session_id)
            except client.ServerDownError:
                raise
            except PregaoError as error:  # what is wrong with one of them must not hold up the others
                failed.append(session_id)
                log.error("Session %s could not be started again: %s", session_id, error)
        if many and launched:
            client.run_host(max(len(waiting), CAPACITY))
    told = said("started_again", sessions=", ".join(launched)) if launched else said("all_attended")
    if many and launched:
        told += said("by_a_host")
    if failed:
        return ended_badly(told + said("not_started", sessions=", ".join(failed)))
    return ended_well(told)


def _start(journal: Journal, session_id: str, alone: bool) -> bool:
    """Whether a session needs a runner: none is on its way. One of its own is asked for, or left to a host.

    A session whose run was cancelled is told to stop, which its runner then does.
    """
    if any(settling(run) for run in client.session_runs(session_id)):
        return False
    if client.was_cancelled(session_id):
        journal.command(session_id, "stop")
    if alone:
        client.launch(session_id)
    return True
