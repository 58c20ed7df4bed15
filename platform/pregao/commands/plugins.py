"""``pregao plugins``: the installed strategies, and what is wrong with the broken ones."""

from __future__ import annotations

import click

from pregao.commands.output import json_option, print_json, print_table


@click.command()
@json_option
def plugins(as_json: bool) -> None:
    """List the installed strategies with their version, distribution and state.

    A strategy that fails to import is listed as broken with its error; the others are not disturbed. Install more
    with pip: any distribution with an entry point in the group `pregao.strategies` appears here.
    """
    from pregao.strategies.registry import discover

    found = [plugin.inspected() for plugin in discover()]
    if as_json:
        print_json([
            {
                "name": p.name, "title": p.title, "summary": p.summary, "distribution": p.distribution,
                "version": p.version, "state": p.state, "error": p.error, "needs_model": p.needs_model,
            }
            for p in found
        ])  # fmt: skip
        return
    print_table(
        "Strategies",
        ("name", "title", "distribution", "version", "state", ""),
        [(p.name, p.title, p.distribution, p.version, p.state, p.error or p.summary) for p in found],
        "No strategy is installed. Install one with pip, for example: pip install pregao-classics",
    )
