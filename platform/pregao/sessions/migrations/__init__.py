"""Migrations of the sessions' database, by Alembic: one file in ``versions`` a revision, see `schema.REVISIONS`.

They run when a database is opened (`pregao.sessions.database`), never by Alembic's own command.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from pregao.sessions import schema


def upgrade(connection: Connection, found: str) -> None:
    """Bring a database from revision ``found`` to the newest, within the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    schema.revision.create(connection, checkfirst=True)
    command.stamp(config, found)  # a database of 0.1.0 does not say where it is
    command.upgrade(config, "head")
