"""A sweep on a Dask cluster: the chunks of `pregao.strategies.sweeping`, one Prefect task each, with the same rows.

The workers of the cluster need Pregão and the strategy's plugin installed, in the same versions, and must reach the
Prefect server; the market data travels with the work, once to the cluster and then among its workers.
"""

from __future__ import annotations

import hashlib
import pickle
from threading import Lock
from typing import TYPE_CHECKING

from distributed import Client
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect_dask import DaskTaskRunner

from pregao.core.errors import PregaoError
from pregao.settings import settings
from pregao_flows import client

if TYPE_CHECKING:
    from pregao.strategies.sweeping.resuming import Give, Make
    from pregao.strategies.sweeping.runs import Row, Runner, Sweep

TASKS = 64
"""At most: each costs the server some ten milliseconds."""
_CONNECT_S = 10

_one_at_a_time = Lock()
_opened: tuple[str, Runner] | None = None


@task(name="share the data", cache_policy=NO_CACHE, persist_result=False)
def share(work: bytes) -> bytes:
    """The pickled sweep, once on the cluster: its workers give it to one another."""
    return work


@task(name="chunk", cache_policy=NO_CACHE, persist_result=False, retries=1)
def chunk(work: bytes, runs: list[int]) -> list[Row]:
    """The rows of some runs. A worker keeps what its chunks share."""
    global _opened
    from pregao.strategies.sweeping.runs import Runner

    name = hashlib.sha256(work).hexdigest()
    with _one_at_a_time:  # a runner is for one thread; a worker's other threads wait
        if _opened is None or _opened[0] != name:
            _opened = name, Runner(pickle.loads(work))
        return _opened[1].chunk(runs)


def on_cluster(sweep: Sweep, address: str) -> Make:
    """Makes the runs of a sweep on the cluster whose scheduler is at ``address``.

    Raises:
        PregaoError: if no scheduler or no Prefect server answers.
    """
    if not client.server_alive():
        raise client.ServerDownError(
            f"The Prefect server does not answer at {settings().prefect_api}.", "Start it with `pregao up`."
        )
    try:
        with Client(address, timeout=_CONNECT_S, set_as_default=False) as cluster:
            workers = len(cluster.scheduler_info(n_workers=-1)["workers"])
    except (OSError, ValueError) as error:
        raise PregaoError(
            f"No Dask scheduler answers at {address}.", "Start one with `dask scheduler`, and workers with `dask worker`."
        ) from error
    if workers == 0:
        raise PregaoError(f"The Dask cluster at {address} has no workers.", f"Start some: dask worker {address}")

    def make(runs: list[int], give: Give) -> None:
        chunks = sweep.chunks(runs, -(-len(runs) // TASKS))
        runner = DaskTaskRunner(address=address, client_kwargs={"timeout": _CONNECT_S})

        @flow(name="sweep", task_runner=runner)
        def run(strategy: str, runs: int, cluster: str) -> None:
            get_run_logger().info("%s runs of %s in %s chunks on %s", runs, strategy, len(chunks), cluster)
            work = share.submit(pickle.dumps(sweep))
            for future in as_completed([chunk.submit(work, part) for part in chunks]):
                give(future.result())

        with temporary_settings({PREFECT_API_URL: settings().prefect_api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            run(sweep.space.strategy, len(runs), address)

    return make
