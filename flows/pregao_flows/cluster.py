"""A Dask cluster that was started elsewhere: whether it is there, and flows whose tasks run on it."""

from __future__ import annotations

from distributed import Client
from prefect_dask import DaskTaskRunner

from pregao.core.errors import PregaoError

_CONNECT_S = 10


def workers_at(address: str) -> int:
    """How many workers the cluster has whose scheduler is at ``address``.

    Raises:
        PregaoError: if no scheduler answers, or it has no workers.
    """
    try:
        with Client(address, timeout=_CONNECT_S, set_as_default=False) as cluster:
            workers = len(cluster.scheduler_info(n_workers=-1)["workers"])
    except (OSError, ValueError) as error:
        raise PregaoError(
            f"No Dask scheduler answers at {address}.",
            "Start one with `dask scheduler`, and workers with `dask worker`.",
        ) from error
    if workers == 0:
        raise PregaoError(f"The Dask cluster at {address} has no workers.", f"Start some: dask worker {address}")
    return workers


def runner_at(address: str) -> DaskTaskRunner:
    """The task runner of that cluster."""
    return DaskTaskRunner(address=address, client_kwargs={"timeout": _CONNECT_S})
