"""Who runs a session: a host that has room, or a run of its own."""

from __future__ import annotations

from pregao.core.errors import PregaoError
from pregao.sessions import hosts
from pregao.sessions.journal import Journal
from pregao_flows import client


def require_runner(journal: Journal) -> None:
    """Raise `PregaoError` unless something would run a session."""
    if not hosts.room(journal) and (not client.server_alive() or not client.served()):
        raise PregaoError(
            "No server answers that could run the session, and no host has room for it.",
            "Start the servers with `pregao up`, a host with `pregao trade host`, or run the session in this terminal "
            "with --here.",
        )


def begin(session_id: str, journal: Journal) -> None:
    """Have a session run.

    Raises:
        ServerDownError: if no host has room and no Prefect server answers.
    """
    if not hosts.offer(journal, session_id):
        client.launch(session_id)
