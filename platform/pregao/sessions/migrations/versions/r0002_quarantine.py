"""A place for what is cut off a damaged journal, and the details of a session's state beyond its figures."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | Sequence[str] | None = "0001"


def upgrade() -> None:
    """Add the table and the column; releases without Alembic refuse the database from now on."""
    op.create_table(
        "quarantine",
        sa.Column("session_id", sa.String(80), sa.ForeignKey("sessions.id"), primary_key=True),
        sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ts_ns", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
        sa.Column("cut_ns", sa.BigInteger, nullable=False),
    )
    op.add_column("sessions", sa.Column("details", sa.Text))
    op.execute("UPDATE schema_version SET version = 2")
