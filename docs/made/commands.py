"""The reference of the command line: what each command says of itself by ``--help``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pregao.cli import COMMANDS, pregao

_WIDTH = 100
_HEAD = """\
# The command line

What `--help` says of each command. Each has `--json` where a program may want the answer: one JSON document on the
standard output, messages on the standard error. The exit status is 0 for done, 1 for failed, 2 for wrong use.
"""


def page() -> str:
    """The page as Markdown, a heading for each command and for each of its parts."""
    return "\n".join((_HEAD, *_told(pregao, None)))


def _told(command: click.Command, above: click.Context | None) -> Iterator[str]:
    """The help of a command, and of all that are under it."""
    context = click.Context(
        command, parent=above, info_name=command.name, max_content_width=_WIDTH, terminal_width=_WIDTH
    )
    if above is not None:
        depth = context.command_path.count(" ") + 1
        yield f"{'#' * depth} {context.command_path}\n"
        yield f"```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            inner.name = name
            yield from _told(inner, context)


def names() -> set[str]:
    """The commands that the page must tell of."""
    return set(COMMANDS)
