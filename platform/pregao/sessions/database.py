"""Opening the sessions' database: made if it is new, migrated if it is old, refused if it is newer than this code."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from pregao.core.errors import PregaoError, UsageError
from pregao.sessions import schema

_LOCK = 0x50524547
"""Key of the PostgreSQL advisory lock under which the tables are made and changed."""
LOCKED_S = 30.0
"""A SQLite file that others write to is waited for so long."""


def open_database(url: str) -> Engine:
    """An engine on the sessions' database, at this code's revision of the schema.

    A new database gets its tables. An older one is migrated in one transaction; of a SQLite file a copy is made
    before, beside it, with the old revision in its name.

    Args:
        url: an SQLAlchemy URL; ``postgresql://`` means the psycopg driver. A SQLite file's folder is made.

    Raises:
        UsageError: if the URL is not one, or of another kind of database.
        PregaoError: if the database cannot be opened or migrated, or was written by a newer Pregão.
    """
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            found = _revision(connection)
        if found != schema.HEAD:
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                _bring_up(connection, url)
    except DBAPIError as error:
        engine.dispose()
        raise _unreachable(engine, error) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError(
            f"{url!r} is not a database URL.",
            "Set PREGAO_DATABASE_URL to sqlite:///FILE or postgresql://USER@HOST/NAME, or leave it out.",
        ) from None
    family = parsed.get_backend_name()
    if family == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise UsageError("The sessions' database must be a file, not memory.", "Use sqlite:///FILE.")
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PregaoError(
                f"The folder of {parsed.database} cannot be made: {error.strerror}.", "Choose another PREGAO_HOME."
            ) from error
        engine = create_engine(parsed, connect_args={"timeout": LOCKED_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if family == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    raise UsageError(f"Sessions cannot be kept in {family}.", "Use SQLite or PostgreSQL.")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # None hands the transactions to `_begin_sqlite`: the driver would begin them late, and deferred.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={LOCKED_S * 1_000:.0f}", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """Keep a write-ahead log. Of several that turn it on in a new file at once SQLite refuses some without waiting."""
    until = time.monotonic() + LOCKED_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgraded later, it could fail with "locked" without waiting.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection) -> str | None:
    """The revision that the database is at; None for one without tables. Raises `PregaoError` for a newer one."""
    tables = inspect(connection)
    if not tables.has_table(schema.schema_version.name):
        return None
    found = schema.REVISIONS[0]  # 0.1.0 had no Alembic
    if tables.has_table(schema.revision.name):
        found = connection.scalar(select(schema.revision.c.version_num)) or found
    version = connection.scalar(select(schema.schema_version.c.version)) or 1
    if found not in schema.REVISIONS or version > schema.VERSION:
        raise PregaoError(
            f"The sessions' database was written by a newer Pregão (schema {max(found, f'{version:04d}')}; this one "
            f"knows {schema.HEAD}).",
            "Update Pregão, or set PREGAO_DATABASE_URL to another database.",
        )
    return found


def _bring_up(connection: Connection, url: str) -> None:
    """Make or migrate the tables, in a transaction that no other process can share; who comes second finds it done."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = _revision(connection)
    if found is None:
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.revision).values(version_num=schema.HEAD))
        connection.execute(insert(schema.schema_version).values(version=schema.VERSION))
    elif found != schema.HEAD:
        if connection.dialect.name == "sqlite":
            _back_up(Path(str(make_url(url).database)), found)
        from pregao.sessions.migrations import upgrade

        upgrade(connection, found)


def _back_up(file: Path, revision: str) -> None:
    """Copy a SQLite database as it was last committed; the migration that waits for it holds the writers' lock."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = file.with_name(f"{file.name}.schema-{revision}.{stamp}.backup")
    part = target.with_name(target.name + ".part")
    try:
        source, copy = sqlite3.connect(file), sqlite3.connect(part)
        try:
            source.backup(copy)
        finally:
            copy.close()
            source.close()
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise PregaoError(
            f"The sessions' database {file} is of an older Pregão and cannot be copied before it is migrated: {error}.",
            "Free disk space, or copy it yourself and set PREGAO_DATABASE_URL to the copy.",
        ) from error


def _unreachable(engine: Engine, error: DBAPIError) -> PregaoError:
    reason = str(error.orig).strip().split("\n")[0]
    where = engine.url.render_as_string(hide_password=True)
    return PregaoError(
        f"The sessions' database {where} cannot be opened: {reason}.",
        "Check PREGAO_DATABASE_URL, and that its server runs or its disk can be written.",
    )
