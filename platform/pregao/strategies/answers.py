"""What a strategy answers: looked at once, so that nonsense is named and goes no further."""

from __future__ import annotations

from typing import Any

from pregao.core.errors import PregaoError
from pregao.strategies.contract import Enter, Exit, Intent, Note, Wait

NOTHING: tuple[Intent, ...] = ()
_SIDES = ("long", "short")
_MOST = 2**63


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
        intents = answer if type(answer) is tuple else tuple(answer)
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
        if intent.side not in _SIDES:
            return "side is long or short"
        fraction = intent.fraction
        return "" if isinstance(fraction, int | float) and 0 < fraction <= 1 else "fraction lies in (0, 1]"
    if isinstance(intent, Wait):
        if type(intent.bars) is not int or type(intent.until_ns) is not int:
            return "bars and until_ns are whole numbers, not negative"
        if not 0 <= intent.bars < _MOST or not 0 <= intent.until_ns < _MOST:
            return "bars and until_ns are whole numbers, not negative"
        if intent.signal:
            return "" if has_signals else "the strategy has no signals to wait for"
        return "" if intent.event or intent.bars or intent.until_ns else "it waits for nothing"
    return "" if isinstance(intent, Exit | Note) else "an intent is Enter, Exit, Note or Wait"
