"""The help of a command with many options: under headings, in the order in which a person thinks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


class GroupedCommand(click.Command):
    """A command whose ``--help`` lists its options by groups.

    Args:
        groups: heading -> names of its options' parameters; what is in none of them comes last, under "Other".
    """

    def __init__(self, *args: Any, groups: Mapping[str, tuple[str, ...]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        records = {str(p.name): record for p in options if (record := p.get_help_record(ctx)) is not None}
        for heading, names in self.groups.items():
            with formatter.section(heading):
                formatter.write_dl([records.pop(name) for name in names])
        if records:
            with formatter.section("Other"):
                formatter.write_dl(list(records.values()))
