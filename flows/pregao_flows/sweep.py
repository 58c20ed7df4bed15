"""A sweep on a Dask cluster: the chunks of `pregao.strategies.sweeping`, one Prefect task each, with the same rows.

The workers of the cluster need Pregão and the strategy's plugin installed, in the same versions, and must reach the
Prefect server; the market data travels with the work, once to the cluster and then among its workers.

What is decorated is sent to the workers by value with all that it names: so it names this module, and nothing in it.
"""

from __future__ import annotations

import hashlib
import pickle
from contextvars import ContextVar
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import as_completed
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.tasks import Task

from pregao.settings import settings
from pregao_flows import client
from pregao_flows.cluster import runner_at, workers_at

if TYPE_CHECKING:
    from pregao.strategies.sweeping.resuming import Give, Make
    from pregao.strategies.sweeping.runs import Row, Runner, Sweep

PARTS = 8
"""Tasks for each worker: enough that none waits long for the last, and few, since each costs the server its time."""

_asked: ContextVar[tuple[Sweep, list[int], int, Give]] = ContextVar("asked")
_one_at_a_time = Lock()
_opened: tuple[str, Runner] | None = None


@task(name="share the data", cache_policy=NO_CACHE, persist_result=False)
def share(work: bytes) -> bytes:
    """The pickled sweep, once on the cluster: its workers give it to one another."""
    return work


def _worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """What a strategy did wrong it does wrong again; a worker that was lost may have been the fault."""
    from pregao.core.errors import PregaoError

    return not isinstance(state.result(raise_on_failure=False), PregaoError)


@task(name="chunk", cache_policy=NO_CACHE, persist_result=False, retries=1, retry_condition_fn=_worth_another_try)
def chunk(work: bytes, runs: list[int]) -> list[Row]:
    """The rows of some runs."""
    from pregao_flows.sweep import rows_of

    return rows_of(work, runs)


def rows_of(work: bytes, runs: list[int]) -> list[Row]:
    """The rows of some runs of a pickled sweep; a worker keeps what its chunks share."""
    global _opened
    from pregao.strategies.sweeping.runs import Runner

    name = hashlib.sha256(work).hexdigest()
    with _one_at_a_time:  # a runner is for one thread; a worker's other threads wait
        if _opened is None or _opened[0] != name:
            _opened = name, Runner(pickle.loads(work))
        return _opened[1].chunk(runs)


@flow(name="sweep")
def sweep(strategy: str, runs: int, cluster: str) -> None:
    """The runs of `on_cluster`, which is asked for more than Prefect could keep as parameters."""
    from pregao_flows.sweep import spread

    get_run_logger().info("%s runs of %s on %s", runs, strategy, cluster)
    spread()


def spread() -> None:
    """Submit what was asked for, and give the rows as they come."""
    work, runs, workers, give = _asked.get()
    shared = share.submit(pickle.dumps(replace(work)))  # without what was worked out here
    parts = work.chunks(runs, PARTS * workers, most=len(runs))
    for done in as_completed([chunk.submit(shared, part) for part in parts]):
        give(done.result())


def on_cluster(work: Sweep, address: str) -> Make:
    """Makes the runs of a sweep on the cluster whose scheduler is at ``address``.

    Raises:
        PregaoError: if no scheduler, no worker or no Prefect server answers.
    """
    if not client.server_alive():
        raise client.ServerDownError(
            f"The Prefect server does not answer at {settings().prefect_api}.", "Start it with `pregao up`."
        )
    workers = workers_at(address)
    on_dask = sweep.with_options(task_runner=runner_at(address))

    def make(runs: list[int], give: Give) -> None:
        _asked.set((work, runs, workers, give))
        with temporary_settings({PREFECT_API_URL: settings().prefect_api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            on_dask(work.space.strategy, len(runs), address)

    return make
