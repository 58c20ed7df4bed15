"""The command `pregao audit`: a session's journal lived through again, and every row compared."""

from __future__ import annotations

from contextlib import closing

import click

from pregao.commands.output import json_option, print_json


@click.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def audit(session_id: str, as_json: bool) -> None:
    """Replay a session's journal from its first row, and compare every order, fill and figure with what it says.

    The strategy is not asked again: what it decided is in the journal. Exit status 1 if a row was damaged or edited,
    or does not come out again; the first one is named.
    """
    from pregao.sessions.audit import audit as examine
    from pregao.sessions.journal import Journal

    with closing(Journal()) as journal:
        found = examine(journal, session_id)
    problem = found.problem
    if as_json:
        print_json(
            {
                "session": session_id, "identical": found.identical, "rows": found.rows, "cuts": found.cuts,
                "told": found.told, "witnessed": found.witnessed, "digest": found.digest, "chain": found.chain,
                "row": problem.seq if problem else None,
                "problem": problem.message if problem else None,
            }
        )  # fmt: skip
    elif problem is None:
        cuts = f", cut {found.cuts} times because it was damaged" if found.cuts else ""
        click.echo(f"Session {session_id} is identical: {found.rows} rows came out again{cuts}.")
        if found.told:
            click.echo(
                f"Of its fills {found.told} are what the exchange said: they are taken as they were told, and cannot "
                f"be made again. {found.witnessed} of them are alike in the memory of its executions, kept apart."
            )
        click.echo(f"Account {found.digest}")
    else:
        click.echo(f"Session {session_id}: {found.rows} rows came out again. {problem}")
    if problem is not None:
        raise SystemExit(1)
