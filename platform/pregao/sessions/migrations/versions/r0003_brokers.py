"""What a broker outside is asked to do, remembered before it is asked, and what it did."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | Sequence[str] | None = "0002"


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "broker_orders",
        sa.Column("client_id", sa.String(36), primary_key=True),
        sa.Column("broker", sa.String(120), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("stamp_ms", sa.BigInteger),
        sa.Column("broker_id", sa.String(80), nullable=False),
        sa.Column("filled_lots", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("replaces", sa.String(36)),
    )
    op.create_index("broker_orders_by_number", "broker_orders", ["broker", "number"], unique=True)
    op.create_table(
        "broker_fills",
        sa.Column("broker", sa.String(120), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("broker_id", sa.String(80), nullable=False),
        sa.Column("ts_ms", sa.BigInteger, nullable=False),
        sa.Column("side", sa.Integer, nullable=False),
        sa.Column("qty_lots", sa.BigInteger, nullable=False),
        sa.Column("price_ticks", sa.BigInteger, nullable=False),
        sa.Column("fee", sa.Text, nullable=False),
        sa.Column("fee_currency", sa.String(20), nullable=False),
        sa.Column("maker", sa.Boolean, nullable=False),
    )
