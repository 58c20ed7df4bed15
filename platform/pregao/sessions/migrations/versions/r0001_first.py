"""The tables of Pregão 0.1.0, which made them without Alembic."""

from collections.abc import Sequence

revision = "0001"
down_revision: str | Sequence[str] | None = None


def upgrade() -> None:
    """Nothing to do: every database without a revision has these tables already."""
