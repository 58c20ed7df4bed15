"""``pregao new-plugin``: a strategy of one's own to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from pregao.commands.output import json_option, print_json


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--into", "folder", type=click.Path(path_type=Path), default=Path(), help="Where the project's folder is made."
)
@click.option("--title", default="", help="What people read; made of the name by default.")
@json_option
def new_plugin(name: str, folder: Path, title: str, as_json: bool) -> None:
    """Write a plugin project: a strategy that trades, its settings, its tests and a README.

    NAME is the name of the distribution and of the strategy, such as mean-reverter. The project passes the conformance
    kit from the start, and so shows whether what you make of it still does.
    """
    from pregao.operations.new_plugin import new_plugin as write

    project = folder / name
    written = [str(path.relative_to(project)) for path in write(name, folder, title)]
    if as_json:
        print_json({"project": project, "files": written})
        return
    click.echo(f"{project}: {', '.join(written)}")
    click.echo(f"Next: cd {project} && pip install -e '.[dev]' && pytest && pregao plugins check {name}")
