"""``pregao trade stop``, ``pause``, ``resume``, ``flatten``, ``approve``, ``reject``: what a person tells a session."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.attend import attend
from pregao.commands.output import json_option, print_json, progress
from pregao.core.errors import PregaoError

if TYPE_CHECKING:
    from pregao.sessions.journal import Journal

ANSWER_S = 5.0
"""How long a command waits for the session's runner to take it."""


@click.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def stop(session_id: str, as_json: bool) -> None:
    """Close the position and end the session for good: live at the last price heard, of a replay at the next open."""
    from pregao.sessions.control import left_alone
    from pregao.sessions.journal import Journal

    with closing(Journal()) as journal:
        if left_alone(session_id, journal):
            progress("No runner attends this session: it is brought to its end here.")
            _send(journal, session_id, "stop", {}, wait=False)
            attend(journal, session_id, as_json)
            return
        told = _send(journal, session_id, "stop", {})
        _tell(told | _left(journal, session_id), as_json)


@click.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def pause(session_id: str, as_json: bool) -> None:
    """Stop asking the strategy; take profit, stop loss and the horizon go on working."""
    _command(session_id, "pause", {}, as_json)


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--here", is_flag=True, help="If nothing runs it, run it in this terminal, without the servers.")
@json_option
def resume(session_id: str, here: bool, as_json: bool) -> None:
    """Go on with a paused session, or with one whose runner has gone."""
    from pregao.sessions.control import left_alone
    from pregao.sessions.journal import Journal
    from pregao_flows.starting import begin, require_runner

    with closing(Journal()) as journal:
        row = journal.session(session_id)
        if not left_alone(session_id, journal):
            _tell(_send(journal, session_id, "resume", {}), as_json)
            return
        if not here:
            require_runner(journal)
        if row.status == "paused":
            _send(journal, session_id, "resume", {}, wait=False)
        if here:
            attend(journal, session_id, as_json)
            return
        begin(session_id, journal)
    _tell({"session": session_id, "command": "resume", "outcome": "a runner was asked for"}, as_json)


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--instrument", metavar="NAME", default=None, help="Only this one's, by symbol or key; default all.")
@json_option
def flatten(session_id: str, instrument: str | None, as_json: bool) -> None:
    """Close the positions and go on: live at the last price heard, of a replay at the next bar's open."""
    _command(session_id, "flatten", {} if instrument is None else {"instrument": instrument}, as_json)


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--proposal", type=int, default=None, help="Its number; default the oldest that waits.")
@json_option
def approve(session_id: str, proposal: int | None, as_json: bool) -> None:
    """Accept the entry that waits for you."""
    _command(session_id, "approve", {} if proposal is None else {"proposal": proposal}, as_json)


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--proposal", type=int, default=None, help="Its number; default the oldest that waits.")
@json_option
def reject(session_id: str, proposal: int | None, as_json: bool) -> None:
    """Refuse the entry that waits for you."""
    _command(session_id, "reject", {} if proposal is None else {"proposal": proposal}, as_json)


def _command(session_id: str, kind: str, body: dict[str, Any], as_json: bool) -> None:
    from pregao.sessions.journal import Journal

    with closing(Journal()) as journal:
        told = _send(journal, session_id, kind, body)
        _tell(told | (_left(journal, session_id, body.get("instrument")) if kind == "flatten" else {}), as_json)


def _left(journal: Journal, session_id: str, name: str | None = None) -> dict[str, Any]:
    """What a session that was told to close its positions, or that of one instrument, still holds of them, and what it
    warns of."""
    row = journal.session(session_id)
    lots = [body["pos"] for body in row.details.get("books", ())] or [row.position_lots]
    held = {
        called: float(each.quantity(own))
        for called, each, own in zip(row.names, row.instruments, lots, strict=False)
        if name in (None, each.symbol, each.key)
    }
    return {"status": row.status, "held": held, "notices": row.details.get("notices", {})}


def _send(journal: Journal, session_id: str, kind: str, body: dict[str, Any], wait: bool = True) -> dict[str, Any]:
    """Send a command and wait for its outcome. Raises `PregaoError` if the session refuses it."""
    from pregao.sessions.control import command, left_alone

    number = command(session_id, kind, body, journal)
    told = {"session": session_id, "command": kind, "number": number, "outcome": "waiting"}
    until = time.monotonic() + (ANSWER_S if wait else 0)
    while time.monotonic() < until:
        outcome = journal.answer(number).outcome
        if outcome == "done":
            return told | {"outcome": "done"}
        if outcome is not None:
            raise PregaoError(f"Session {session_id} refuses {kind}: {outcome}.")
        if left_alone(session_id, journal):
            break
        time.sleep(0.05)
    return told


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(told)
    elif told["outcome"] == "waiting":
        session_id = told["session"]
        click.echo(f"Session {session_id} has no runner now; it takes the {told['command']} when it goes on.")
        click.echo(f"Go on with `pregao trade resume {session_id}`.")
    else:
        click.echo(f"Session {told['session']}: {told['command']}, {told['outcome']}.")
        held = ", ".join(f"{quantity:.12g} {symbol}" for symbol, quantity in told.get("held", {}).items() if quantity)
        if held:
            click.echo(f"It still holds {held}: that is closed as soon as it can be.")
            for notice in told["notices"].values():
                click.echo(f"Note: {notice}")
