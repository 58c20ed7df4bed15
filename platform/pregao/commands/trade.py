"""``pregao trade``: start and steer paper-trading sessions."""

from __future__ import annotations

import click

from pregao.commands import hosting, showing, starting, steering


@click.group()
def trade() -> None:
    """Start and steer paper-trading sessions. The money is simulated.

    A session is one strategy trading one account on one instrument. It runs under the servers of `pregao up`, or in
    this terminal with --here; killed at any moment, it goes on where it was.
    """


for command in (
    starting.start,
    steering.stop, steering.pause, steering.resume, steering.flatten, steering.approve, steering.reject,
    showing.list_, showing.show, showing.watch,
    hosting.host, hosting.hosts,
):  # fmt: skip
    trade.add_command(command)
