"""``python -m pregao.operations.prepare``: done while setting up, so that nobody waits for it at the first start.

Two things take ten seconds and more the first time: compiling the engine and the features, and migrating a new Prefect
database from nothing. The compiled code is cached, and a migrated, empty database is kept in the environment; the
servers of a new folder begin with a copy of it. Without either everything works, only later.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from pregao.core.errors import PregaoError
from pregao.operations.processes import child_environment
from pregao.settings import keep_quiet

DATABASE = "prefect.db"


def template() -> Path:
    """Where the migrated Prefect database is kept: in this environment, one for each version of Prefect."""
    return Path(sys.prefix) / "share" / "pregao" / f"prefect-{version('prefect')}.db"


def migrate() -> Path:
    """Make the template, if there is none yet; its path.

    Raises:
        PregaoError: if Prefect's migrations fail.
        OSError: if the environment cannot be written.
    """
    target = template()
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as home:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"],
            env=child_environment({"PREFECT_HOME": home}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        made = Path(home) / DATABASE
        if done.returncode or not made.exists():
            raise PregaoError(f"Prefect's database could not be made: {done.stdout[-500:].strip()}")
        with closing(sqlite3.connect(made)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.replace(made, target)
    return target


def seed(prefect_home: Path) -> None:
    """Give a folder without a Prefect database a copy of the template; nothing to do if it has one, or none is kept."""
    database = prefect_home / DATABASE
    if database.exists() or not template().exists():
        return
    prefect_home.mkdir(parents=True, exist_ok=True)
    os.replace(shutil.copyfile(template(), database.with_suffix(".new")), database)


def prepare(say: Callable[[str], None]) -> None:
    """Do both at once, the migrations in a process of their own, and say what came of it; does not fail."""
    from concurrent.futures import ThreadPoolExecutor

    from pregao.operations.precompile import precompile

    begun = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as pool:
        migrated = pool.submit(migrate)
        precompile()
        try:
            migrated.result()
        except (PregaoError, OSError) as error:
            say(f"Prefect's database will be made at the first start: {error}")
    say(f"Compiled the engine and the features, prepared Prefect's database: {time.monotonic() - begun:.0f} s")


def main() -> int:
    """`prepare`, as set-up does it."""
    keep_quiet()
    prepare(print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
