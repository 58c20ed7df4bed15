"""The processes that host many sessions, and an index that finds the running ones among all that have ended."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | Sequence[str] | None = "0003"


def upgrade() -> None:
    """Add the table and the index."""
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("runner", sa.Text, nullable=False),
        sa.Column("flow", sa.Boolean, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("started_ns", sa.BigInteger, nullable=False),
        sa.Column("heartbeat_ns", sa.BigInteger, nullable=False),
        sa.Column("ended_ns", sa.BigInteger),
        sa.Column("sessions", sa.Integer, nullable=False),
        sa.Column("memory_bytes", sa.BigInteger, nullable=False),
        sa.Column("cpu_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("sessions_by_status", "sessions", ["status"])
