"""Starting and steering sessions: what the command line, the API and the panel call."""

from __future__ import annotations

from typing import Any, get_args

from pregao.core.errors import UsageError, unknown
from pregao.sessions.assembly import SpecError, assemble, spec_of
from pregao.sessions.journal import Journal
from pregao.sessions.records import COMMANDS, CommandKind
from pregao.sessions.spec import SessionSpec

__all__ = ["SpecError", "command", "spec_of", "start"]


def start(spec: SessionSpec, journal: Journal | None = None) -> str:
    """Check everything and make the session; a runner (`runtime.run`) still has to take it up.

    What the spec leaves open is decided here and stored: the model and its version, and the span of the replay
    (by default what the model has not seen, or all).

    Returns:
        The session's id.

    Raises:
        SpecError: naming each field that is wrong.
    """
    parts = assemble(spec)
    owned = journal is None
    journal = journal or Journal()
    try:
        return journal.create(
            parts.spec,
            parts.instrument,
            str(parts.model.version) if parts.model is not None else None,
            bars_total=parts.total,
        )
    finally:
        if owned:
            journal.close()


def command(session_id: str, kind: str, body: dict[str, Any] | None = None, journal: Journal | None = None) -> int:
    """Send a command to a session; its runner takes it within a quarter of a second. Returns the command's number.

    Args:
        kind: pause, resume, stop, flatten, approve or reject.
        body: ``{"proposal": number}`` for approve and reject; without it the open proposal is meant.

    Raises:
        NotFoundError: if there is no such session or command.
        UsageError: if the session has ended, or the body is not what the command takes.
    """
    if kind not in get_args(CommandKind):
        raise unknown("command", kind, list(COMMANDS))
    body = body or {}
    proposal = body.get("proposal")
    takes = {"proposal"} if kind in ("approve", "reject") else set()
    if set(body) - takes:
        raise UsageError(f"The command {kind} does not take {', '.join(sorted(set(body) - takes))}.")
    if proposal is not None and (isinstance(proposal, bool) or not isinstance(proposal, int) or proposal < 1):
        raise UsageError(f"A proposal is named by its number, not {proposal!r}.")
    owned = journal is None
    journal = journal or Journal()
    try:
        return journal.command(session_id, kind, body)  # type: ignore[arg-type]
    finally:
        if owned:
            journal.close()
