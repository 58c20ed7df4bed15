"""The commands `pregao password` and `pregao token`: who is let into the panel."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from pregao.commands.output import json_option, print_json, print_table
from pregao.core.errors import UsageError


@click.command()
@click.option("--stdin", is_flag=True, help="Read the password from standard input: one line.")
@click.option("--remove", is_flag=True, help="Demand none any more.")
@json_option
def password(stdin: bool, remove: bool, as_json: bool) -> None:
    """Set the password of the panel.

    From then on it is asked for, here and from elsewhere, and whoever was inside has to give it, too. Only its hash is
    kept. The panel needs no restart, and listens to other machines only with a password.
    """
    from pregao_ui import access

    if remove:
        access.remove_password()
        _told({"password": "removed"}, "No password is demanded any more.", as_json)
        return
    if stdin:
        given = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise UsageError("A password is typed at a terminal.", "Give it as a line of standard input with --stdin.")
    access.set_password(given)
    _told({"password": "set"}, "The password is set.", as_json)


@click.command()
@click.argument("name", required=False)
@click.option("--revoke", metavar="NAME", help="Let a token open nothing any more.")
@json_option
def token(name: str | None, revoke: str | None, as_json: bool) -> None:
    """Make a token for a script, or list those that there are.

    The token is shown this once. A script gives it as `Authorization: Bearer TOKEN`.
    """
    from pregao_ui import access

    if revoke is not None:
        access.revoke_token(revoke)
        _told({"revoked": revoke}, f"The token {revoke} opens nothing any more.", as_json)
        return
    if name is not None:
        made = access.make_token(name)
        if as_json:
            print_json({"name": name, "token": made})
        else:
            click.echo(made)
        return
    known = access.tokens()
    if as_json:
        print_json([one._asdict() for one in known])
        return
    rows = [(one.name, f"{datetime.fromtimestamp(one.made, UTC):%Y-%m-%d %H:%M}") for one in known]
    print_table("", ("Token", "Made (UTC)"), rows, "There are no tokens. `pregao token NAME` makes one.")


def _told(document: dict[str, str], text: str, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(text)
