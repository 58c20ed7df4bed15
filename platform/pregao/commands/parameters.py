"""Kinds of arguments that several commands take."""

from __future__ import annotations

import click

from pregao.core.errors import UsageError


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic for the checker only
    """A date or time as ns since 1970: ``2024-05-31``, ``2024-05-31T13:00``, UTC unless it names an offset."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time in ns; a wrong use for text that is no ISO 8601 time."""
        if isinstance(value, int):
            return value
        from pregao.market.moments import parse

        try:
            return parse(str(value))
        except UsageError as error:
            self.fail(error.message, param, ctx)


class Pair(click.ParamType):  # type: ignore[type-arg]  # generic for the checker only
    """``NAME=VALUE``."""

    name = "name=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The two sides; a wrong use without an ``=``."""
        if isinstance(value, tuple):
            return value
        name, equals, content = str(value).partition("=")
        if not (name and equals and content):
            self.fail(f"{value!r} is not of the form NAME=VALUE.", param, ctx)
        return name.strip(), content.strip()
