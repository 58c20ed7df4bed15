"""The tables of the sessions' database, one schema for SQLite and PostgreSQL.

Money is in quanta of the instruments' quote currency, prices in ticks, quantities in lots, times in ns since
1970 UTC; all integers. ``journal`` is the only truth; ``sessions`` (but for the epoch and the heartbeat), and
``trades`` are projections of it, written in the same transaction. ``also`` has the further instruments of a session,
each with its model and the version of it, and ``book`` says to which of all a round trip belongs. ``commands`` is the
inbox of each session and ``runs`` tells which process ran it when: facts of the wall clock, which never enter the
chained journal. ``quarantine`` keeps what was cut off a damaged journal. ``broker_orders`` and ``broker_fills``
remember, before it is sent, each order to a broker outside, and what became of it. ``hosts`` are the processes that run
many sessions each.

A change of these tables needs a revision in `pregao.sessions.migrations`; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""The revisions of the schema, oldest first; a database at any other is of a newer Pregão."""
HEAD = REVISIONS[-1]

metadata = MetaData()
_serial = BigInteger().with_variant(Integer(), "sqlite")

revision = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))
"""Which revision the database is at: Alembic's own table."""

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
"""What a release that cannot know later revisions looks at: it refuses a database with more here than it knows."""
VERSION = 2

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("spec", Text, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("model_version", Text),
    Column("also", Text),
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
    Column("details", Text),
    Index("sessions_by_creation", "created_ns"),
    Index("sessions_by_status", "status"),
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("runner", Text, nullable=False),
    Column("flow", Boolean, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("heartbeat_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("sessions", Integer, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("cpu_ms", BigInteger, nullable=False),
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
    Column("book", Integer, nullable=False, server_default="0"),
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

quarantine = Table(
    "quarantine",
    metadata,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("chain", String(64), nullable=False),
    Column("cut_ns", BigInteger, nullable=False),
)

broker_orders = Table(
    "broker_orders",
    metadata,
    Column("client_id", String(36), primary_key=True),
    Column("broker", String(120), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("request", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("stamp_ms", BigInteger),
    Column("broker_id", String(80), nullable=False),
    Column("filled_lots", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("replaces", String(36)),
    Index("broker_orders_by_number", "broker", "number", unique=True),
)

broker_fills = Table(
    "broker_fills",
    metadata,
    Column("broker", String(120), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("broker_id", String(80), nullable=False),
    Column("ts_ms", BigInteger, nullable=False),
    Column("side", Integer, nullable=False),
    Column("qty_lots", BigInteger, nullable=False),
    Column("price_ticks", BigInteger, nullable=False),
    Column("fee", Text, nullable=False),
    Column("fee_currency", String(20), nullable=False),
    Column("maker", Boolean, nullable=False),
)
