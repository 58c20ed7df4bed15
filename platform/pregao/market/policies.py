"""What is done with each kind of flaw: refuse the ingest, put the row aside, or keep it and say so.

A row that cannot be a bar is never kept: it is refused or put in quarantine. Over the defaults (`DEFAULTS`) go the
settings (``PREGAO_QUALITY``, JSON), over these the choices of an ingest (``--policy KIND=ACTION``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pregao.core.errors import UsageError, unknown
from pregao.market.sift import BAD_KINDS

Action = Literal["reject", "quarantine", "keep"]
ACTIONS: tuple[Action, ...] = get_args(Action)

_ROW: tuple[Action, ...] = ("reject", "quarantine")
_BAR: tuple[Action, ...] = ("keep", "quarantine", "reject")
_SERIES: tuple[Action, ...] = ("keep", "reject")

ALLOWED: dict[str, tuple[Action, ...]] = {
    **dict.fromkeys(BAD_KINDS, _ROW),
    **dict.fromkeys(("order", "duplicate", "unfinished"), _SERIES),
    **dict.fromkeys(("spike", "stale", "zero volume", "closed day"), _BAR),
    **dict.fromkeys(("gap", "jump", "split-like jump"), _SERIES),
    "revised": _BAR,
    "re-based": _ROW,
}
"""What may be done with each kind; the first is the default. To *keep* is, for rows out of order, to put them in order;
for rows that came twice, to take one; for bars that have not closed, to leave them out; for bars that differ from
stored ones, to let them take their place. Each is reported. Bars of a re-based history take the place of stored ones
only if they cover all of them: two bases are never mixed."""

DEFAULTS: dict[str, Action] = {kind: actions[0] for kind, actions in ALLOWED.items()}
BAD_ROW = "bad row"
"""Stands for all of `BAD_KINDS`."""

Policies = Mapping[str, Action]


def policies(*choices: Mapping[str, str]) -> dict[str, Action]:
    """What to do with every kind of flaw.

    Args:
        choices: kind -> action, the later over the earlier; a kind may be written with ``-`` or ``_`` for its spaces.

    Raises:
        UsageError: for an unknown kind, or an action that its kind does not allow.
    """
    chosen = dict(DEFAULTS)
    names = {_folded(kind): kind for kind in ALLOWED} | {_folded(BAD_ROW): BAD_ROW}
    for choice in choices:
        for given, action in choice.items():
            kind = names.get(_folded(given))
            if kind is None:
                raise unknown("kind of flaw", given, [*ALLOWED, BAD_ROW], f"All: {', '.join([*ALLOWED, BAD_ROW])}.")
            for one in BAD_KINDS if kind == BAD_ROW else (kind,):
                chosen[one] = _allowed(one, action)
    return chosen


def _allowed(kind: str, action: str) -> Action:
    for one in ALLOWED[kind]:
        if one == action:
            return one
    raise UsageError(
        f"A flaw of the kind {kind!r} cannot be met with {action!r}.", f"Use {' or '.join(ALLOWED[kind])}."
    )


def _folded(kind: str) -> str:
    return kind.casefold().replace("_", " ").replace("-", " ")
