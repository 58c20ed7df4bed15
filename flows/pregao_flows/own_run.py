"""What the server says of the run that this process is: Pause, Suspend and Cancel reach a flow without tasks so."""

from __future__ import annotations

import time
from typing import Any

import httpx
from prefect import runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException

from pregao_flows.client import SHUTDOWN

ASKS = 3
"""How often, after a termination signal, the server is asked why, before it is taken to be gone."""
_WAIT_S = 2.0


def state(client: SyncPrefectClient) -> State[Any] | None:
    """The state of this run on the server; None if it cannot be told: a session does not end with the server."""
    try:
        return client.read_flow_run(runtime.flow_run.id).state
    except (OSError, PrefectException, httpx.HTTPError):
        return None


def message() -> str:
    """What the run's state says; a server that does not answer for some seconds is taken to shut down."""
    for _ in range(ASKS):
        with get_client(sync_client=True) as client:
            found = state(client)
        if found is not None:
            return found.message or ""
        time.sleep(_WAIT_S)
    return SHUTDOWN.english
