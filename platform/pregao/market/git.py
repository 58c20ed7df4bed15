"""Running git in the data folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from pathlib import Path

from pregao.core.errors import PregaoError
from pregao.market.atomic import lent_locks

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "commit.gpgSign=false",
    "core.autocrlf=false",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
)


def git(root: Path, *arguments: str, stdin: str | None = None, accept: Collection[int] = (0,)) -> str:
    """Run git on one folder alone, untouched by the user's hooks, signing and surrounding repository.

    Args:
        root: the folder.
        arguments: the command and its options.
        stdin: text for its standard input.
        accept: exit statuses that are no failure.

    Returns the standard output, stripped. Raises `PregaoError` if git is missing or fails.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    # A folder that is no repository yet must not be taken for a part of the one around it.
    environment["GIT_CEILING_DIRECTORIES"] = str(root.resolve().parent)
    guard = [part for setting in _SETTINGS for part in ("-c", setting)]
    try:
        # Killed, we leave git behind for a moment: whoever waits for our locks then waits for it too.
        with lent_locks() as locks:
            done = subprocess.run(
                ["git", *guard, *arguments],
                cwd=root,
                env=environment,
                input=stdin,
                capture_output=True,
                text=True,
                encoding="utf-8",
                check=False,
                pass_fds=locks,
            )
    except FileNotFoundError:
        raise PregaoError("git is not installed; the data folder needs it.", "Install git.") from None
    if done.returncode not in accept:
        raise PregaoError(
            f"git {arguments[0]} failed in {root}: {done.stderr.strip()[-300:]}",
            "Look into that folder with git; the bars themselves are unharmed.",
        )
    return done.stdout.strip()
