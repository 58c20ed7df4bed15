"""``--set name=value``: a strategy's settings on the command line."""

from __future__ import annotations

import json
from typing import Any

import click

from pregao.core.errors import UsageError


def strategy_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``("fast=12", "name=x")`` as ``{"fast": 12, "name": "x"}``: values are JSON where they can be, else text.

    Raises:
        UsageError: for a pair without ``=`` or a name given twice.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"--set {pair!r} is not name=value.", "For example: --set fast=12")
        if name in settings:
            raise UsageError(f"The setting {name!r} is given twice.")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


set_option = click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting of the strategy; may be repeated."
)
