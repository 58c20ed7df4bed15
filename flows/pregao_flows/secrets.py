"""Secrets of a source's options: named in a run's parameters, read where they are used, written nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pregao import keys
from pregao.core.errors import UsageError

_SECRET = re.compile(r"secret|password|passphrase|token|api_?key|credential", re.IGNORECASE)
_HOW = 'Name it: {"secret": "NAME"} for a Prefect Secret block, {"env": "NAME"} for a variable of the environment.'


def refuse_plain(options: Mapping[str, Any]) -> None:
    """Raise `UsageError` for an option that is a secret by its name and is written in plain."""
    for name, value in options.items():
        if _SECRET.search(name) and not _named(value):
            raise UsageError(f"The option {name!r} is a secret: it must not be written into a run's parameters.", _HOW)


def revealed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the secrets in place of their names.

    Raises `UsageError` for a block or variable that does not exist; the message never holds a secret.
    """
    refuse_plain(options)
    return {name: _read(name, value) if _named(value) else value for name, value in options.items()}


def _named(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("secret", "env")


def _read(option: str, value: Mapping[str, str]) -> str:
    [(kind, name)] = value.items()
    if kind == "env":
        key = keys.find(name)
        if key is None:
            raise UsageError(
                f"The option {option!r} needs the variable {name}, which is not set.",
                "Set it and restart, or set a key of that name on the panel's page Settings.",
            )
        return key
    from prefect.blocks.system import Secret

    try:
        return str(Secret.load(name, _sync=True).get())  # type: ignore[call-arg,union-attr]
    except ValueError:
        raise UsageError(
            f"The option {option!r} needs the Secret block {name!r}, which does not exist.",
            "Create it in Prefect's pages, under Blocks.",
        ) from None
