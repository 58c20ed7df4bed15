"""The sessions' database in one file, copied while sessions run, and brought back into a database of either kind.

A backup is a SQLite file with the same tables, whatever the database is: so it is also the way from SQLite to
PostgreSQL and back. All of it is read in one transaction, so it is the database as it was at one moment.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select

from pregao.core.errors import PregaoError, UsageError
from pregao.sessions import schema
from pregao.sessions.database import open_database
from pregao.sessions.journal import DamagedError, Journal

_ROWS = 1_000
_TABLES = [table for table in schema.metadata.sorted_tables if table not in (schema.revision, schema.schema_version)]
Progress = Callable[[str, int, int], None]


def back_up(journal: Journal, file: Path, progress: Progress | None = None) -> dict[str, int]:
    """Copy the whole database to a file; sessions go on meanwhile.

    Args:
        progress: told the table, and how many of its rows of how many are done.

    Returns:
        Rows by table.

    Raises:
        UsageError: if the file exists: a backup never replaces another.
        PregaoError: if it cannot be written.
    """
    if file.exists():
        raise UsageError(f"{file} exists already.", "Name another file.")
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        copy = open_database(f"sqlite:///{part}")
        try:
            with _moment(journal.engine) as source, _writing(copy) as target:
                counts = _copy(source, target, progress)
        finally:
            copy.dispose()
        with closing(sqlite3.connect(part)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PregaoError(
            f"The backup {file} cannot be written: {error.strerror or error}.", "Free disk space, or name another file."
        ) from error
    return counts


def restore(journal: Journal, file: Path, replace: bool = False, progress: Progress | None = None) -> dict[str, int]:
    """Bring a backup back; every session's journal is held against its hash chain first.

    Args:
        replace: delete the sessions that are there. They go, and the backup comes, in one transaction.

    Returns:
        Rows by table.

    Raises:
        UsageError: if there is no such file, it is no backup, sessions are there and ``replace`` is not given, or one
            of them is running.
        DamagedError: if a journal in the backup is damaged; nothing is changed then.
    """
    if not file.is_file():
        raise UsageError(f"There is no backup {file}.")
    if file.read_bytes()[:16] != b"SQLite format 3\0":
        raise UsageError(f"{file} is no backup of sessions.", "Name a file that `pregao backup` made.")
    here = journal.sessions()
    running = [row.id for row in here if journal.attended(row)]
    if running:
        raise UsageError(
            f"{len(running)} sessions are running, {running[0]} for one.", "Stop `pregao up`, or the sessions, first."
        )
    if here and not replace:
        raise UsageError(
            f"The database has {len(here)} sessions, which would be lost.",
            "Keep them with `pregao backup FILE`, then restore with --replace.",
        )
    kept = Journal(f"sqlite:///{file}")
    try:
        for row in kept.sessions():
            for _ in kept.verified(row.id):
                pass
        with _moment(kept.engine) as source, _writing(journal.engine) as target:
            for table in reversed(_TABLES):
                target.execute(table.delete())
            counts = _copy(source, target, progress)
            _continue_numbers(target)
    except DamagedError as error:
        raise PregaoError(
            f"The backup is damaged: {error.message}", "Take an older one; nothing was changed."
        ) from error
    finally:
        kept.engine.dispose()
    return counts


def _moment(engine: Engine) -> Connection:
    """A connection that sees the database as it is now, whatever is written meanwhile."""
    connection = engine.connect()
    if engine.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def _copy(source: Connection, target: Connection, progress: Progress | None) -> dict[str, int]:
    counts = {}
    for table in _TABLES:
        whole = source.scalar(select(func.count()).select_from(table)) or 0
        done = 0
        rows_of = source.execute(select(table).execution_options(yield_per=_ROWS)).mappings()
        for rows in rows_of.partitions():
            target.execute(insert(table), [dict(row) for row in rows])
            done += len(rows)
            if progress is not None:
                progress(table.name, done, whole)
        counts[table.name] = done
    return counts


def _continue_numbers(target: Connection) -> None:
    """PostgreSQL counts on by itself, and does not notice numbers that were given."""
    if target.dialect.name == "postgresql":
        target.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('commands', 'id'), coalesce(max(id), 0) + 1, false) FROM commands"
        )
