"""What a strategy answers: looked at once, so that nonsense is named and goes no further."""

from __future__ import annotations

from typing import Any

from pregao.core.errors import PregaoError
from pregao.strategies.contract import Enter, Exit, Intent, Note, Wait

NOTHING: tuple[Intent, ...] = ()


class StrategyError(PregaoError):
    """A strategy broke the contract: it returned something that is no intent."""


def intents_of(answer: Any, has_signals: bool) -> tuple[Intent, ...]:
    """The intents of an answer, at most one `Wait` among them.

    Args:
        answer: what ``on_bar`` returned.
        has_signals: whether the strategy has signals to wait for.

    Raises:
        StrategyError: if it is no iterable of intents, or one of them makes no sense.
    """
    if answer is None:
        raise StrategyError("The strategy returned None.", "Return an empty tuple to do nothing.")
    try:
        intents = tuple(answer)
    except TypeError:
        raise StrategyError(
            f"The strategy returned {answer!r}, which holds no intents.", "Return a tuple, also of one intent."
        ) from None
    waits = 0
    for intent in intents:
        problem = _problem(intent, has_signals)
        if problem:
            raise StrategyError(f"The strategy returned {intent!r}: {problem}.")
        waits += isinstance(intent, Wait)
    if waits > 1:
        raise StrategyError("The strategy returned several waits for one bar.", "Return one that names everything.")
    return intents


def _problem(intent: object, has_signals: bool) -> str:
    """What is wrong with an intent; empty if nothing."""
    if isinstance(intent, Enter):
        if intent.side not in ("long", "short"):
            return "side is long or short"
        if not (isinstance(intent.fraction, int | float) and 0 < intent.fraction <= 1):
            return "fraction lies in (0, 1]"
        return ""
    if isinstance(intent, Wait):
        whole = type(intent.bars) is int and type(intent.until_ns) is int
        if not whole or not 0 <= intent.bars < 2**53 or not 0 <= intent.until_ns < 2**63:
            return "bars and until_ns are whole numbers, not negative"
        if not (intent.bars or intent.until_ns or intent.event or intent.signal):
            return "it waits for nothing"
        if intent.signal and not has_signals:
            return "the strategy has no signals to wait for"
        return ""
    return "" if isinstance(intent, Exit | Note) else "an intent is Enter, Exit, Note or Wait"
