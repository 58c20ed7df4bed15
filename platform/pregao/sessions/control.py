"""Starting and steering sessions: what the command line, the API and the panel call."""

from __future__ import annotations

import hashlib
from typing import Any, get_args

from pregao.core.errors import UsageError, unknown
from pregao.sessions.assembly import assemble
from pregao.sessions.journal import Journal, TakenError
from pregao.sessions.problems import SpecError, path_of, spec_of
from pregao.sessions.records import COMMANDS, CommandKind, SessionRow, canonical
from pregao.sessions.spec import ExchangeBroker, SessionSpec

__all__ = ["OtherStartError", "SpecError", "command", "left_alone", "path_of", "place_of", "spec_of", "start"]

ATTENDED_S = 10.0
"""A runner that has not shown itself for so long is taken to be gone, where a person asks for the session."""


class OtherStartError(UsageError):
    """A start was asked for under the key of another one."""


def start(spec: SessionSpec, journal: Journal | None = None, key: str = "") -> str:
    """Check everything and make the session; a runner (`runtime.run`) still has to take it up.

    What the spec leaves open is decided here and stored: the model and its version, and the span of the replay
    (by default what the model has not seen, or all).

    Args:
        key: chosen by who asks. Asked again with the same key, also by another process and after a restart, it is the
            same session: its id is made of the key and of what was asked, so the database keeps a second one out.

    Returns:
        The session's id.

    Raises:
        SpecError: naming each field that is wrong.
        OtherStartError: if the key was used for a session that was asked otherwise.
    """
    owned = journal is None
    journal = journal or Journal()
    mark = hashlib.sha256(key.encode()).hexdigest()[:8] if key else ""
    asked = hashlib.sha256(canonical(spec.model_dump(mode="json")).encode()).hexdigest()[:4] if key else ""
    try:
        before = journal.named(f"%-{mark}____") if key else None
        if before is None:
            parts = assemble(spec)
            _alone(parts.spec, journal)
            first, total = parts.first, len(parts.moments)
            version = str(first.model.version) if first.model is not None else None
            try:
                return journal.create(
                    parts.spec, first.instrument, version, parts.also(), bars_total=total, suffix=mark + asked
                )
            except TakenError:  # by the same key, while this one was being checked
                before = journal.named(f"%-{mark}____")
        if before is None or not before.endswith(asked):
            raise OtherStartError(
                f"This key has started session {before}, which was asked otherwise.", "Take a new key for a new start."
            )
        return before
    finally:
        if owned:
            journal.close()


def _alone(spec: SessionSpec, journal: Journal) -> None:
    """Two sessions that send orders of one market to one exchange would take each other's for their own."""
    if not isinstance(spec.broker, ExchangeBroker):
        return
    wanted = {spec.instrument, *spec.also}
    for row in journal.sessions():
        theirs = row.spec.broker
        if not row.active or not isinstance(theirs, ExchangeBroker):
            continue
        shared = [instrument.symbol for instrument in row.instruments if instrument.key in wanted]
        if shared and (theirs.exchange, theirs.sandbox) == (spec.broker.exchange, spec.broker.sandbox):
            problem = UsageError(
                f"The session {row.id} sends its orders of {', '.join(shared)} to {theirs.exchange} already.",
                "Stop it first: a market of an account has one owner.",
            )
            raise SpecError({"broker": problem})


def command(session_id: str, kind: str, body: dict[str, Any] | None = None, journal: Journal | None = None) -> int:
    """Send a command to a session; its runner takes it within a quarter of a second. Returns the command's number.

    Args:
        kind: pause, resume, stop, flatten, approve or reject.
        body: ``{"proposal": number}`` for approve and reject; without it the oldest open proposal is meant.
            ``{"instrument": name}`` for flatten: a symbol or key of the session; without it all positions are closed.

    Raises:
        NotFoundError: if there is no such session, command or instrument in it.
        UsageError: if the session has ended, or the body is not what the command takes.
    """
    if kind not in get_args(CommandKind):
        raise unknown("command", kind, list(COMMANDS))
    body = body or {}
    proposal = body.get("proposal")
    takes = {"approve": {"proposal"}, "reject": {"proposal"}, "flatten": {"instrument"}}.get(kind, set())
    if set(body) - takes:
        raise UsageError(f"The command {kind} does not take {', '.join(sorted(set(body) - takes))}.")
    if proposal is not None and (isinstance(proposal, bool) or not isinstance(proposal, int) or proposal < 1):
        raise UsageError(f"A proposal is named by its number, not {proposal!r}.")
    owned = journal is None
    journal = journal or Journal()
    try:
        if "instrument" in body:
            body = {"book": place_of(journal.session(session_id), body["instrument"])}
        return journal.command(session_id, kind, body)  # type: ignore[arg-type]
    finally:
        if owned:
            journal.close()


def left_alone(session_id: str, journal: Journal) -> bool:
    """Whether a session that has not ended is run by no process: it failed, or its runner is gone."""
    row = journal.session(session_id)
    return row.status == "failed" or (row.active and not journal.attended(row, ATTENDED_S))


def place_of(row: SessionRow, name: Any) -> int:
    """The place of an instrument in a session, by its symbol or key.

    Raises:
        NotFoundError: if the session does not trade it.
        UsageError: if the symbol is that of more than one.
    """
    places = [n for n, each in enumerate(row.instruments) if name in (each.key, each.symbol)]
    if len(places) == 1:
        return places[0]
    if places:
        keys = ", ".join(row.names[place] for place in places)
        raise UsageError(f"{name} is the symbol of more than one instrument here.", f"Name one by its key: {keys}.")
    raise unknown("instrument", str(name), list(row.names))
