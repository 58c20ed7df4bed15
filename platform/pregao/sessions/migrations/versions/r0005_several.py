"""Further instruments of a session, and to which of them a round trip belongs."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | Sequence[str] | None = "0004"


def upgrade() -> None:
    """Add the columns; what is there has one instrument."""
    op.add_column("sessions", sa.Column("also", sa.Text))
    op.add_column("trades", sa.Column("book", sa.Integer, nullable=False, server_default="0"))
