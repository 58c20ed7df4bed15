"""The tables of the sessions' database, one schema for SQLite and PostgreSQL, and how to open it.

Money is in quanta of the instrument's quote currency, prices in ticks, quantities in lots, times in ns since
1970 UTC; all integers. ``journal`` is the only truth; ``sessions`` (but for the epoch and the heartbeat), and
``trades`` are projections of it, written in the same transaction. ``commands`` is the inbox of each session and
``runs`` tells which process ran it when: facts of the wall clock, which never enter the chained journal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from pregao.core.errors import PregaoError, UsageError

VERSION = 1
"""Version of the schema; a database with a higher one is refused."""

_LOCK = 0x50524547
"""Key of the PostgreSQL advisory lock under which the tables are made."""

metadata = MetaData()
_serial = BigInteger().with_variant(Integer(), "sqlite")

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("spec", Text, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("model_version", Text),
    Column("status", String(20), nullable=False),
    Column("error", Text),
    Column("epoch", BigInteger, nullable=False),
    Column("runner", Text, nullable=False),
    Column("heartbeat_ns", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("chain", String(64), nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    Column("bars", BigInteger, nullable=False),
    Column("bars_total", BigInteger, nullable=False),
    Column("bar_ns", BigInteger, nullable=False),
    Column("equity_quanta", BigInteger, nullable=False),
    Column("pnl_quanta", BigInteger, nullable=False),
    Column("fees_quanta", BigInteger, nullable=False),
    Column("position_lots", BigInteger, nullable=False),
    Column("trades_count", BigInteger, nullable=False),
    Column("win_count", BigInteger, nullable=False),
    Column("proposal", Text),
    Index("sessions_by_creation", "created_ns"),
)

journal = Table(
    "journal",
    metadata,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("chain", String(64), nullable=False),
    sqlite_with_rowid=False,
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("state", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("session_id", ForeignKey("sessions.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("done_ns", BigInteger),
    Column("outcome", Text),
    Index("commands_of_session", "session_id", "done_ns"),
)

runs = Table(
    "runs",
    metadata,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("runner", Text, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("from_seq", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("outcome", Text),
)

trades = Table(
    "trades",
    metadata,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("entry_ns", BigInteger, nullable=False),
    Column("exit_ns", BigInteger, nullable=False),
    Column("side", Integer, nullable=False),
    Column("lots", BigInteger, nullable=False),
    Column("paid_quanta", BigInteger, nullable=False),
    Column("received_quanta", BigInteger, nullable=False),
    Column("fees_quanta", BigInteger, nullable=False),
    Column("pnl_quanta", BigInteger, nullable=False),
    Column("exit_role", String(20), nullable=False),
    Column("exit_rule", String(20), nullable=False),
    Column("ambiguous", Boolean, nullable=False),
)


def open_database(url: str) -> Engine:
    """An engine on the sessions' database, its tables made if it is new.

    Args:
        url: an SQLAlchemy URL; ``postgresql://`` means the psycopg driver. A SQLite file's folder is made.

    Raises:
        UsageError: if the URL is not one, or of another kind of database.
        PregaoError: if the database cannot be opened, or was written by a newer Pregão.
    """
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            fresh = not inspect(connection).has_table(schema_version.name)
            if not fresh:
                _check(connection)
        if fresh:
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                _make(connection)
    except DBAPIError as error:
        engine.dispose()
        raise _unreachable(engine, error) from error
    except PregaoError:
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
        engine = create_engine(parsed, connect_args={"timeout": 30})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if family == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    raise UsageError(f"Sessions cannot be kept in {family}.", "Use SQLite or PostgreSQL.")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # None hands the transactions to `_begin_sqlite`: the driver would begin them late, and deferred.
    connection.isolation_level = None
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgraded later, it could fail with "locked" without waiting.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make(connection: Connection) -> None:
    """Make the tables of a new database; of several processes that try at once, the first does."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    metadata.create_all(connection)
    if connection.scalar(select(schema_version.c.version)) is None:
        connection.execute(schema_version.insert().values(version=VERSION))


def _check(connection: Connection) -> None:
    found = connection.scalar(select(schema_version.c.version))
    if found is not None and found > VERSION:
        raise PregaoError(
            f"The sessions' database was written by a newer Pregão (schema {found}; this one knows {VERSION}).",
            "Update Pregão, or set PREGAO_DATABASE_URL to another database.",
        )


def _unreachable(engine: Engine, error: DBAPIError) -> PregaoError:
    reason = str(error.orig).strip().split("\n")[0]
    where = engine.url.render_as_string(hide_password=True)
    return PregaoError(
        f"The sessions' database {where} cannot be opened: {reason}.",
        "Check PREGAO_DATABASE_URL, and that its server runs or its disk can be written.",
    )
