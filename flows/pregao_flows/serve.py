"""Serve all flows from this process: ``python -m pregao_flows.serve``. `pregao up` starts it.

It may be started together with the server: it waits for it, its imports meanwhile done.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime

from pregao.settings import keep_quiet, settings
from pregao_flows import client
from pregao_flows.messages import said

QUERY_SECONDS = 1.0
"""How often the runner asks for work: a run that was asked for starts within this and the time of its imports."""

LIMIT = 32
"""Runs at once: each session is one."""

WAIT_SECONDS = 180.0


def main() -> int:
    """Serve until a signal."""
    keep_quiet()
    os.environ.setdefault("PREFECT_API_URL", settings().prefect_api)
    os.environ.setdefault("PREFECT_HOME", str(settings().var / "prefect"))
    from prefect import serve
    from prefect.client.orchestration import get_client

    from pregao_flows.deployments import deployments
    from pregao_flows.limits import DVC_LIMIT

    served = deployments()
    deadline = time.monotonic() + WAIT_SECONDS
    while not client.server_alive():
        if time.monotonic() > deadline:
            print(f"No Prefect server at {settings().prefect_api} after {WAIT_SECONDS:.0f} s.", file=sys.stderr)
            return 1
        time.sleep(0.1)
    with get_client(sync_client=True) as prefect:
        prefect.upsert_global_concurrency_limit_by_name(DVC_LIMIT, 1)
    tidy()
    serve(*served, limit=LIMIT, query_seconds=QUERY_SECONDS, prefetch_seconds=1, pause_on_shutdown=False)
    return 0


def tidy() -> None:
    """Put right what a runner that was killed has left on the server. Only one runner serves a folder at a time.

    Runs that still look active have lost their process: they become Crashed, which also frees their concurrency
    slots. Scheduled runs whose time has passed while nobody served are dropped: a hundred missed minutes need one
    supervision, not a hundred. What a person asked for stays and starts now.
    """
    client.crash_active(said("process_gone"))
    client.drop_missed(datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
