"""Errors that a person reads: what happened, and the mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

Finding = Mapping[str, Any]


class PregaoError(Exception):
    """Something failed for a reason that a person can act on.

    Args:
        message: one sentence, what happened and why.
        mend: one sentence, what to do about it; empty if there is nothing to do.

    Attributes:
        found: what is wrong with each value, as `findings` tells it, if values were at fault: whoever tells it in
            another language looks there.
    """

    exit_status = 1
    found: Sequence[Finding] = ()

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message} {self.mend}".strip()


class UsageError(PregaoError):
    """The request itself is wrong: a value out of range, an unknown name, a malformed file."""

    exit_status = 2

    def __init__(self, message: str, mend: str = "", found: Sequence[Finding] = ()) -> None:
        super().__init__(message, mend)
        self.found = found


class NotFoundError(UsageError):
    """A name that nothing answers to: an instrument, a strategy, a model, a session."""


def findings(error: ValidationError) -> list[Finding]:
    """What pydantic refuses, with no more than JSON can carry: ``type``, ``loc``, ``msg``, and ``ctx`` and ``input`` as
    far as they are plain."""
    return [
        {
            "type": each["type"], "loc": list(each["loc"]), "msg": each["msg"], "input": _plain(each["input"]),
            "ctx": {name: _plain(value) for name, value in each.get("ctx", {}).items()},
        }
        for each in error.errors()
    ]  # fmt: skip


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else str(value)[:200]


def refusals(error: ValidationError) -> list[str]:
    """What pydantic refuses, a clause for each without its full stop: ``fast: Input should be a valid integer``, or the
    words alone of a rule between fields."""
    found = []
    for each in error.errors():
        where, said = ".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ").rstrip(".")
        found.append(f"{where}: {said}" if where else said)
    return found


def unknown(kind: str, name: str, known: list[str], mend: str = "") -> NotFoundError:
    """The error for a name that does not exist, with the names that do.

    Args:
        kind: what was looked for, for example ``"strategy"``.
        name: the name that was given.
        known: the names that exist; at most eight are listed.
        mend: what to do when none exists; by default the known names are listed.
    """
    if known:
        listed = ", ".join(sorted(known)[:8]) + (", …" if len(known) > 8 else "")
        mend = f"Known: {listed}." + (f" {mend}" if mend else "")
    return NotFoundError(f"There is no {kind} named {name!r}.", mend)
