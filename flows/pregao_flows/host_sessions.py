"""A flow that hosts many sessions in its process, for as long as it runs: one for each machine, or several.

Cancelled, or with its servers shut down, it lets go of its sessions; another host goes on with them, or `supervise`
starts them again. To end a session, stop the session.
"""

from __future__ import annotations

import threading
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from pregao_flows import own_run
from pregao_flows.aside import Aside
from pregao_flows.messages import said
from pregao_flows.reports import ended_well

POLL_SECONDS = 2.0
END_SECONDS = 25.0
"""SIGKILL follows 30 s after a cancel."""


@flow(name="host-sessions", log_prints=False)
def host_sessions(capacity: int = 100) -> State[Any]:
    """Run up to so many sessions until this run is cancelled, suspended or paused."""
    from pregao.sessions.hosting import Host

    log = get_run_logger()
    host, go = Host(capacity=capacity, flow=True), threading.Event()
    hosting = Aside("host", lambda: host.run(go.is_set))
    log.info("Host %s takes up to %s sessions", host.name, capacity)
    try:
        with get_client(sync_client=True) as client:
            while not hosting.join(POLL_SECONDS):
                found = own_run.state(client)
                if found is not None and not (found.is_running() or found.is_cancelling()):
                    break
    finally:
        go.set()
        hosting.join(END_SECONDS)
    if hosting.error is not None:
        raise hosting.error
    return ended_well(said("host_ended"))
