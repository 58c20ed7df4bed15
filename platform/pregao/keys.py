"""Keys of venues and sources: from the environment, or as the panel put them into a private file.

A key is named as its variable would be, such as ``PREGAO_CCXT_BINANCE_KEY``. The environment wins. Nothing but the
code that uses a key reads it: the panel and the command line tell that there is one, and never what it is.
"""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple

from pregao import private
from pregao.core.errors import UsageError, unknown

FILE = "keys"
NAME = r"^[A-Z][A-Z0-9_]{2,79}$"
MOST = 4_096
"""Characters of a key."""
_RESERVED = re.compile(
    r"^(PREGAO_(HOME|HOST|DATABASE_URL|MLFLOW_URI|DVC_REMOTE|QUALITY|.*_PORT|LIVE.*|REAL.*|PANEL.*)|PATH|PYTHON.*|LD_.*)$"
)
"""Variables that are settings of the installation, or of the process: none of them is a key."""


class Key(NamedTuple):
    """That there is a key: its name, where it is (``environment`` or ``file``), and when it was put there."""

    name: str
    where: str
    set_at: float | None


def find(name: str) -> str | None:
    """The key of this name; None if there is none."""
    if name in os.environ:
        return os.environ[name]
    found = private.read(FILE).get(name)
    return None if found is None else str(found["value"])


def known() -> list[Key]:
    """The keys that there are, by name: those of the file, and of the environment those that sources look for."""
    stored = private.read(FILE)
    found = {name: Key(name, "file", float(entry["set_at"])) for name, entry in stored.items()}
    for name in os.environ:
        if name.startswith("PREGAO_CCXT_") and name.endswith(("_KEY", "_SECRET", "_PASSWORD")):
            found[name] = Key(name, "environment", None)
    return [found[name] for name in sorted(found)]


def put(name: str, value: str) -> None:
    """Keep a key in the private file, in place of one of the same name.

    Raises:
        UsageError: if the name or the value cannot be one.
    """
    if not re.match(NAME, name) or _RESERVED.match(name):
        raise UsageError(f"{name!r} cannot name a key.", "Name it as its variable: PREGAO_CCXT_BINANCE_KEY.")
    if not value.strip() or len(value) > MOST or not value.isprintable():
        raise UsageError("That is no key.", f"A key is one line of 1 to {MOST:,} characters.")
    with private.changing(FILE) as stored:
        stored[name] = {"value": value.strip(), "set_at": time.time()}


def drop(name: str) -> None:
    """Forget a key of the private file.

    Raises:
        NotFoundError: if there is none of that name.
        UsageError: if it is in the environment only.
    """
    with private.changing(FILE) as stored:
        if name not in stored:
            if name in os.environ and any(key.name == name for key in known()):
                raise UsageError(f"{name} is a variable of the environment.", "Unset it where Pregão is started.")
            raise unknown("key", name, sorted(stored), "" if stored else "No key is kept.")
        del stored[name]
