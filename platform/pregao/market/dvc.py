"""DVC as the data folder uses it: repositories, their one remote, errors in a sentence. Nothing else imports DVC."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pregao.core.errors import PregaoError, UsageError
from pregao.settings import keep_quiet, settings, shown

REMOTE = "storage"
"""What the remote is called in a repository's own configuration."""


@contextmanager
def opened(root: Path) -> Iterator[Any]:
    """A DVC repository, quiet on standard output, its errors as `PregaoError`."""
    keep_quiet()
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)
    try:
        repo = Repo(str(root), _wait_for_lock=True)
        try:
            yield repo
        finally:
            repo.close()
    except DvcException as error:
        raise PregaoError(f"DVC failed in {root}: {_reason(error)}.", "The bars themselves are unharmed.") from error


def init(root: Path, *, no_scm: bool, remote: str = "") -> None:
    """Make a folder a DVC repository that tells nobody, with a default remote if one is given."""
    keep_quiet()
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)
    repo = Repo.init(str(root), no_scm=no_scm)
    try:
        with repo.config.edit() as config:
            config["core"] |= {"analytics": False, "check_update": False}
        if remote:
            set_remote(repo, remote)
    finally:
        repo.close()


def set_remote(repo: Any, url: str) -> None:
    """Make an address the default remote of a repository."""
    with repo.config.edit() as config:
        config["remote"][REMOTE] = {"url": url}
        config["core"]["remote"] = REMOTE


def _reason(error: BaseException) -> str:
    """The innermost reason of a chain of errors: DVC wraps what a person needs to know."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().rstrip(".") or type(error).__name__


def remote_url() -> str:
    """The DVC remote of the settings; a folder is made absolute, for DVC reads it as relative to its own.

    Raises `UsageError` for an address that holds a password: it would be committed with the data.
    """
    remote = settings().dvc_remote
    if shown(remote) != remote:
        raise UsageError(
            "PREGAO_DVC_REMOTE holds a password, which would be kept in the history of the data.",
            "Leave it out, and give it by the environment, such as AWS_SECRET_ACCESS_KEY.",
        )
    return remote if not remote or "://" in remote else str(Path(remote).expanduser().resolve())
