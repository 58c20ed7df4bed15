"""Retrain many series, a Prefect task for each: in threads here, or spread over a Dask cluster, with the same models.

All learn from one version of the data, that of the moment when the flow began. The workers of a cluster need this
Pregão, a folder (``PREGAO_HOME``) that they share with the flow's, or one with the same data version, and the same
registry; a worker where one of these differs says so and trains nothing.

What is decorated is sent to the workers by value with all that it names: so it names this module, and nothing in it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import as_completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task

from pregao.core.errors import UsageError
from pregao.settings import settings, shown
from pregao_flows.cluster import runner_at, workers_at

AT_ONCE = max(1, (os.cpu_count() or 2) // 2)
"""Trainings side by side in one process: each takes the two threads that params.yaml gives it."""


@dataclass(frozen=True)
class Many:
    """What came of many trainings: reports (`RetrainReport` as JSON) and errors, by ``<instrument> <timeframe>``."""

    done: dict[str, dict[str, Any]]
    failed: dict[str, BaseException]


def _worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """What is wrong with the request or the data stays wrong; a registry or worker that was away may be back."""
    from pregao.core.errors import UsageError

    return not isinstance(state.result(raise_on_failure=False), UsageError)


@task(
    name="retrain one",
    task_run_name="retrain {label}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=_worth_another_try,
)
def one(label: str, instrument: str, timeframe: str, ground: dict[str, str]) -> dict[str, Any]:
    """Train, judge, register and promote the model of one series; the library's own `retrain`, step by step."""
    from pregao_flows.retrain_many import trained

    return trained(instrument, timeframe, ground)


def ground_here() -> dict[str, str]:
    """What all trainings of one flow stand on: the data version, the code, the registry.

    Raises `NotFoundError` if no data was ever ingested.
    """
    from pregao.learning.pipeline import code_version
    from pregao.market.versions import Versions

    return {
        "data version": Versions().current().md5,
        "code": code_version(),
        "registry": shown(settings().tracking_uri),
    }


def trained(instrument: str, timeframe: str, ground: dict[str, str]) -> dict[str, Any]:
    """One training on the flow's ground, as JSON.

    Raises:
        UsageError: if this process has other code or another registry, or lacks the data version.
        PregaoError: as `pregao.learning.retraining.retrain`.
    """
    from pregao.learning.pipeline import code_version
    from pregao.learning.retraining import retrain

    here = {"code": code_version(), "registry": shown(settings().tracking_uri)}
    for what, mine in here.items():
        if mine != ground[what]:
            raise UsageError(
                f"This worker's {what} is {mine}, and the flow's is {ground[what]}: its model would be another.",
                "Start the workers with the same Pregão, PREGAO_HOME and PREGAO_MLFLOW_URI as the flows.",
            )
    return retrain(instrument, timeframe, version=ground["data version"], progress=get_run_logger().info).to_json()


@flow(name="retrain many", task_runner=ThreadPoolTaskRunner(max_workers=AT_ONCE))
def retrain_each(series: list[list[str]], ground: dict[str, str]) -> Many:
    """A task for each ``[instrument, timeframe]``; one that fails stops none of the others."""
    from pregao_flows.retrain_many import gathered

    return gathered(series, ground)


def gathered(series: list[list[str]], ground: dict[str, str]) -> Many:
    """Submit them all, and sort out what became of each."""
    labels = [" ".join(pair) for pair in series]
    futures = {
        one.submit(label, instrument, timeframe, ground): label
        for label, (instrument, timeframe) in zip(labels, series, strict=True)
    }
    done: dict[str, dict[str, Any]] = {}
    failed: dict[str, BaseException] = {}
    for future in as_completed(list(futures)):
        result = future.result(raise_on_failure=False)
        if isinstance(result, BaseException):
            failed[futures[future]] = result
        else:
            done[futures[future]] = result
    return Many(
        {label: done[label] for label in labels if label in done},
        {label: failed[label] for label in labels if label in failed},
    )


def retrain_many(series: list[tuple[str, str]], cluster: str | None) -> Many:
    """Retrain these series, on the cluster whose Dask scheduler is at ``cluster``, or here.

    Raises:
        PregaoError: if no data was ever ingested, or no scheduler or worker answers.
    """
    ground = ground_here()
    spread = retrain_each
    if cluster is not None:
        workers_at(cluster)
        spread = retrain_each.with_options(task_runner=runner_at(cluster))
    return spread([list(pair) for pair in dict.fromkeys(series)], ground)
