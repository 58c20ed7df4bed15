"""A strategy's intents as journal bodies and back: what is recorded is exactly what is acted on."""

from __future__ import annotations

import json
import traceback
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pregao.core.bars import Bar
from pregao.sessions.records import Body, canonical
from pregao.strategies.contract import Enter, Exit, Intent, Note, Wait

if TYPE_CHECKING:
    from pregao.strategies.desk import Desk

_REASON = 500
"""Characters of a reason that are kept."""
_TOP = 10


class Decision(NamedTuple):
    """What a strategy answered to one bar.

    Attributes:
        intents: as bodies, see `body_of`.
        memory: the strategy's own state after it, canonical JSON.
        error: empty, or why it failed; then there are no intents.
        traceback: of the failure.
    """

    intents: tuple[Body, ...]
    memory: str
    error: str = ""
    traceback: str = ""


def ask(desk: Desk, bar: Bar, memory: str) -> Decision:
    """Ask the desk's strategy about a closed bar; a fault becomes a `Decision` with an error.

    Args:
        memory: the strategy's state before, canonical JSON; after a fault the strategy is put back to it, so that
            nothing half done outlives the call.
    """
    try:
        bodies = tuple(body_of(intent) for intent in desk.decide(bar))
        return Decision(bodies, canonical(desk.strategy.save()))
    except Exception as error:  # a plugin may raise anything, and must hurt only its own session
        told = getattr(error, "told", f"{type(error).__name__}: {error}")[:_REASON]
        text = getattr(error, "traceback", "") or traceback.format_exc()
    try:
        desk.strategy.load(json.loads(memory))
    except Exception:  # the same plugin: it is paused anyway, and its first fault is the one to show
        text += "\nThe strategy could not be put back to its state before:\n" + traceback.format_exc()
    return Decision((), memory, told, text)


def body_of(intent: Intent) -> Body:
    """An intent as a body: ``action`` and the intent's fields, floats as their shortest exact text."""
    if isinstance(intent, Exit):
        return {"action": "exit", "reason": _short(intent.reason)}
    if isinstance(intent, Wait):
        return {"action": "wait", **asdict(intent)}
    body: Body = {
        "action": "enter" if isinstance(intent, Enter) else "note",
        "reason": _short(intent.reason),
        "p": _exact(intent.probability),
        "ev": _exact(intent.expected_value),
        "top": [[str(name), _exact(weight)] for name, weight in tuple(intent.top)[:_TOP]],
    }
    if isinstance(intent, Enter):
        body |= {"side": intent.side, "fraction": _exact(intent.fraction)}
    return body


def intent_of(body: Body) -> Intent:
    """The intent that `body_of` recorded; other keys are ignored."""
    if body["action"] == "exit":
        return Exit(body["reason"])
    if body["action"] == "wait":
        return Wait(**{f.name: body[f.name] for f in fields(Wait)})
    thought: dict[str, Any] = {
        "reason": body["reason"],
        "probability": _float(body["p"]),
        "expected_value": _float(body["ev"]),
        "top": tuple((name, float(weight)) for name, weight in body["top"]),
    }
    if body["action"] == "note":
        return Note(**thought)
    return Enter(side=body["side"], fraction=float(body["fraction"]), **thought)


def _short(text: object) -> str:
    return str(text)[:_REASON]


def _exact(number: float | None) -> str | None:
    return None if number is None else repr(float(number))


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)
