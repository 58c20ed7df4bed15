"""Features in words that a person understands: what a name stands for, and what a value of it says.

A feature is looked up by its name, a trailing number being its window in bars; one that no line here knows is told by
its formula. What is high or low is said by natural bounds where a feature has them (RSI, the place in a channel), and
otherwise by the usual range that the caller gives, of the rows that a model has learnt from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pregao.features.vocabulary import NOUNS

LEVELS = ("far below usual", "below usual", "as usual", "above usual", "far above usual")
_MEAN = ("far below", "below", "near", "above", "far above")


@dataclass(frozen=True)
class _Words:
    """How a family of features is told.

    Attributes:
        noun: what it is; ``{n}`` is the window in bars.
        cuts: four natural bounds between the five `clauses`; without them the usual range decides.
        clauses: what each of the five levels says; without them the noun and a word for the level.
    """

    noun: str
    cuts: tuple[float, float, float, float] | None = None
    clauses: tuple[str, str, str, str, str] | None = None


def _place(what: str, words: Sequence[str], where: str) -> tuple[str, str, str, str, str]:
    first, second, third, fourth, fifth = (f"{what} is {word} {where}" for word in words)
    return first, second, third, fourth, fifth


_ANY = (0.0, 0.0, 0.0, 0.0)
_CHANNEL = ("at the bottom of", "low in", "in the middle of", "high in", "at the top of")
_BAND = ("below", "low in", "in the middle of", "high in", "above")
_FAMILIES: dict[str, _Words] = {
    r"return_1": _Words(
        "the return of the last bar",
        clauses=(
            "the price fell unusually much in the last bar",
            "the price did worse than usual in the last bar",
            "the price moved as usual in the last bar",
            "the price did better than usual in the last bar",
            "the price rose unusually much in the last bar",
        ),
    ),
    r"return_{n}": _Words(
        "the {n}-bar return",
        clauses=(
            "the price fell unusually much over the last {n} bars",
            "the price did worse than usual over the last {n} bars",
            "the price moved as usual over the last {n} bars",
            "the price did better than usual over the last {n} bars",
            "the price rose unusually much over the last {n} bars",
        ),
    ),
    r"bar_body": _Words(
        "the body of the bar",
        (-0.6, -0.1, 0.1, 0.6),
        (
            "the bar fell almost from top to bottom",
            "the bar closed below its open",
            "the bar closed near its open",
            "the bar closed above its open",
            "the bar rose almost from bottom to top",
        ),
    ),
    r"bar_upper": _Words(
        "the upper shadow of the bar",
        (0.05, 0.2, 0.4, 0.6),
        (
            "the bar has no upper shadow",
            "the bar has a short upper shadow",
            "the bar has an upper shadow of a usual length",
            "the bar has a long upper shadow",
            "the bar is mostly upper shadow",
        ),
    ),
    r"bar_shift": _Words(
        "where the bar closed in its range",
        (-0.9, -0.3, 0.3, 0.9),
        _place("the close", _CHANNEL, "the bar's range"),
    ),
    r"zscore_{n}": _Words(
        "the distance of the price from its {n}-bar mean",
        (-2.0, -0.5, 0.5, 2.0),
        _place("the price", _MEAN, "its {n}-bar mean"),
    ),
    r"bollinger_{n}": _Words(
        "the place of the price in its {n}-bar Bollinger bands",
        (0.0, 0.35, 0.65, 1.0),
        _place("the price", _BAND, "its {n}-bar Bollinger bands"),
    ),
    r"donchian_{n}": _Words(
        "the place of the price in its {n}-bar channel",
        (0.05, 0.35, 0.65, 0.95),
        _place("the price", _CHANNEL, "its {n}-bar channel"),
    ),
    r"rsi_{n}": _Words(
        "the {n}-bar RSI",
        (30.0, 45.0, 55.0, 70.0),
        (
            "the {n}-bar RSI is oversold",
            "the {n}-bar RSI is low",
            "the {n}-bar RSI is balanced",
            "the {n}-bar RSI is high",
            "the {n}-bar RSI is overbought",
        ),
    ),
    r"up_down_{n}": _Words(
        "rising against falling bars among the last {n}",
        (-0.5, -0.1, 0.1, 0.5),
        (
            "nearly all of the last {n} moves were down",
            "more of the last {n} moves were down than up",
            "as many of the last {n} moves were up as down",
            "more of the last {n} moves were up than down",
            "nearly all of the last {n} moves were up",
        ),
    ),
    r"volume_z_{n}": _Words(
        "the volume against its {n}-bar mean", (-1.5, -0.5, 0.5, 2.0), _place("the volume", _MEAN, "its {n}-bar mean")
    ),
    r"price_volume_{n}": _Words(
        "how price and volume went together over {n} bars",
        (-0.6, -0.2, 0.2, 0.6),
        (
            "volume came with falling prices over the last {n} bars",
            "volume came rather with lower prices over the last {n} bars",
            "volume had little to do with the price over the last {n} bars",
            "volume came rather with higher prices over the last {n} bars",
            "volume came with rising prices over the last {n} bars",
        ),
    ),
    r"macd_\d+_\d+": _Words("the trend by MACD"),
    r"volatility_ratio": _Words("the latest volatility beside that of before"),
    r"volatility_{n}": _Words("the {n}-bar volatility"),
    r"atr_{n}": _Words("the {n}-bar average true range"),
    r"parkinson_{n}": _Words("the {n}-bar volatility of highs and lows (Parkinson)"),
    r"day_(sin|cos)": _Words("the time of day", _ANY, ("the time of day",) * 5),
    r"week_(sin|cos)": _Words("the time of the week", _ANY, ("the time of the week",) * 5),
}
TOLD = _FAMILIES | {name: _Words(what) for name, what in NOUNS.items()}
_KNOWN = [(re.compile(pattern.replace("{n}", r"(?P<n>\d+)") + "$"), words) for pattern, words in TOLD.items()]


def noun(name: str, formula: str = "") -> str:
    """What a feature is, such as ``the place of the price in its 20-bar channel``; its formula if it has no words."""
    words, window = _find(name)
    if words is not None:
        return words.noun.format(n=window)
    return f"{name} = {formula}" if formula else name


def clause(name: str, value: float, usual: Sequence[float | None] = (), formula: str = "") -> str:
    """What a value of a feature says, such as ``the price is at the top of its 20-bar channel``.

    Args:
        value: NaN is told as missing.
        usual: four bounds, the 5th, 25th, 75th and 95th percentile of the values that are usual; empty if not known.
        formula: for a feature without words.
    """
    words, window = _find(name)
    what = noun(name, formula)
    if math.isnan(value):
        return f"{what} is missing"
    known = [float(bound) for bound in usual if bound is not None]
    cuts = words.cuts if words is not None and words.cuts is not None else known
    if len(cuts) != 4:
        return f"{what} is {value:.4g}"
    level = sum(value > cut for cut in cuts)
    if words is not None and words.clauses is not None:
        return words.clauses[level].format(n=window)
    return f"{what} is {LEVELS[level]}"


@cache
def _find(name: str) -> tuple[_Words | None, str]:
    for pattern, words in _KNOWN:
        found = pattern.match(name)
        if found:
            return words, found.groupdict().get("n") or ""
    return None, ""
