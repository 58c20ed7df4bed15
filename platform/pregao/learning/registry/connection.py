"""The way to MLflow: by default SQLite in ``mlruns/``, or any server by setting; its errors as ours."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pregao.core.errors import PregaoError
from pregao.market.atomic import exclusive
from pregao.settings import keep_quiet, settings, shown

_QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""A server that is gone is said to be gone within seconds; standard output is for results."""
MEND = "Check that MLflow runs (`pregao doctor`), then do it again."
STAYS = f"The champion is as it was. {MEND}"
_CONNECT_S = 5
"""A database server that does not answer within this is said to be gone; MLflow would try ten times."""
_ready: set[str] = set()
"""Addresses of databases whose tables this process knows to be there."""


def remote() -> bool:
    """Whether the registry is a server."""
    return settings().tracking_uri.startswith(("http://", "https://"))


def exists() -> bool:
    """Whether there can be a model at all: asking must not create the database."""
    uri = settings().tracking_uri
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()


def failures() -> tuple[type[Exception], ...]:
    """What MLflow raises when it fails or cannot be reached; its transfers of files let the transport's through."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    return MlflowException, RequestException


def failed(error: Exception, mend: str) -> PregaoError:
    """An error of MLflow's in one sentence."""
    said = " ".join(str(error).split())
    gone = any(mark in said for mark in ("Max retries exceeded", "Connection aborted", "Connection refused"))
    reason = "it does not answer" if gone else said[:300]
    return PregaoError(shown(f"MLflow at {settings().tracking_uri} failed: {reason}."), mend)


@contextmanager
def talking(mend: str = MEND) -> Iterator[None]:
    """Turn MLflow's errors into a `PregaoError` with this mend; a driver that is missing is named."""
    keep_quiet()
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    try:
        yield
    except failures() as error:
        raise failed(error, mend) from error
    except ModuleNotFoundError as error:
        where = shown(settings().tracking_uri)
        raise PregaoError(
            f"MLflow at {where} needs the Python package {error.name}, which is not installed.",
            "Install it, or set PREGAO_MLFLOW_URI to a server, to postgresql:// or to sqlite:///FILE.",
        ) from error


def alone(name: str, timeout_s: float = 600) -> AbstractContextManager[None]:
    """One at a time registers or promotes versions of a model from this folder."""
    return exclusive(settings().var / "locks" / f"registry.{name}.lock", timeout_s=timeout_s)


@contextmanager
def impatient(seconds: int = 10) -> Iterator[None]:
    """Ask an MLflow server once and wait so long at the most, where a person only wants to know whether it is there."""
    asked = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    before = {key: os.environ.get(key) for key in asked}
    os.environ.update(asked)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def client(progress: Callable[[str], None] | None = None) -> Any:
    """A client of the registry, its database made if there is none yet."""
    import mlflow
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    uri = settings().tracking_uri
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if remote() or (uri in _ready and exists()):
        return MlflowClient()
    _reach(uri)
    if not exists() and progress is not None:
        progress("Creating the registry's database; this takes some seconds, once")
    with exclusive(settings().mlruns / ".database.lock"):
        made = MlflowClient()
        made.search_experiments(max_results=1)
        made.search_registered_models(max_results=1)
    _ready.add(uri)
    return made


def _reach(uri: str) -> None:
    """Raise `PregaoError` if the database's server does not answer."""
    if not uri.startswith("postgresql"):
        return
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError

    engine = create_engine(uri, connect_args={"connect_timeout": _CONNECT_S})
    try:
        engine.connect().close()
    except DBAPIError as error:
        reason = str(error.orig).strip().split("\n")[0]
        raise PregaoError(
            shown(f"MLflow's database {uri} cannot be opened: {reason}."),
            "Check PREGAO_MLFLOW_URI, and that its server runs.",
        ) from error
    finally:
        engine.dispose()
