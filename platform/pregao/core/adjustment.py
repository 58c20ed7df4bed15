"""Prices adjusted for splits and dividends, as of any date: made from those that were traded, when they are read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from pregao.core.actions import Action, Dividend, Funding, Split, day
from pregao.core.bars import Bars, Ints
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument

_FINER = 10_000
_LEAST_TELLING = Fraction(3, 2)


def adjusted(bars: Bars, actions: Sequence[Action], as_of_ns: int) -> Bars:
    """Bars as someone would have drawn them at ``as_of_ns``: earlier prices made comparable with the later ones.

    Of the actions with ``ts_ns <= as_of_ns``, and of no later one, each changes the bars that open before it:

    - a split divides prices by its ratio and multiplies volumes with it;
    - a dividend multiplies prices by ``1 - dividend / close``, with the last close before it in the shares of its
      time (the proportional method of CRSP), so that returns include it. Volumes stay.

    Funding changes nothing. Bars that open after the last such action are those given, in value.

    Returns:
        The same bars on a grid 10,000 times finer (a seventh of a tick is no multiple of any tick): each price is the
        nearest such multiple, within one of them for prices up to 2**36 ticks; every bar keeps the order of its
        prices. Without an action that applies, the bars themselves.

    Raises:
        UsageError: if a dividend is not less than the close before it, a price is too large for the finer grid, or
            the bars show that they are already adjusted for a split (see `adjusted_already`).
    """
    known = sorted((a for a in actions if a.ts_ns <= as_of_ns and not isinstance(a, Funding)), key=lambda a: a.ts_ns)
    cuts = _cuts(bars, known)
    if not any(cuts):
        return bars
    refuse_adjusted(bars, known)
    price, shares = np.ones(len(bars)), np.ones(len(bars))
    factor, count = Fraction(1), Fraction(1)
    factors = _factors(bars, known, cuts)
    for i in range(len(known) - 1, -1, -1):
        action = known[i]
        factor *= factors[i]
        if isinstance(action, Split):
            count *= action.ratio
        rows = slice(cuts[i - 1] if i else 0, cuts[i])
        price[rows], shares[rows] = float(factor), float(count)
    fine = Instrument.model_validate(bars.instrument.model_dump() | {"tick_size": bars.instrument.tick_size / _FINER})
    if int(bars.high.max()) >= 2**53 // _FINER:
        raise UsageError(f"The prices of {bars.instrument.symbol} are too large for a grid that fits adjusted prices.")

    def scaled(ticks: Ints) -> Ints:
        whole: Ints = np.maximum(np.rint(ticks * _FINER * price), 1).astype(np.int64)
        return whole

    return Bars(
        fine, bars.timeframe, bars.open_ns, scaled(bars.open), scaled(bars.high), scaled(bars.low),
        scaled(bars.close), bars.volume * shares,
    )  # fmt: skip


def _cuts(bars: Bars, actions: Sequence[Action]) -> list[int]:
    """For each action the first bar that opens at or after it."""
    cuts: list[int] = np.searchsorted(bars.open_ns, [action.ts_ns for action in actions]).tolist()
    return cuts


def _factors(bars: Bars, actions: Sequence[Action], cuts: Sequence[int]) -> list[Fraction]:
    """By what each action multiplies the prices before it; several between the same two bars follow one another."""
    factors: list[Fraction] = []
    worth, last = Fraction(0), -1
    for action, cut in zip(actions, cuts, strict=True):
        if cut != last and cut > 0:
            worth, last = int(bars.close[cut - 1]) * Fraction(bars.instrument.tick_size), cut
        if isinstance(action, Split):
            factors.append(1 / action.ratio)
        elif isinstance(action, Dividend) and cut > 0:
            factors.append(1 - Fraction(action.amount) / worth)
            if factors[-1] <= 0:
                raise UsageError(
                    f"The dividend of {action.amount} on {day(action.ts_ns)} is not less than the price before it."
                )
        else:
            factors.append(Fraction(1))
        worth *= factors[-1]
    return factors


def adjusted_already(bars: Bars, actions: Iterable[Action]) -> tuple[Split, ...]:
    """The splits that the bars do not show, because whoever sold or stored them has adjusted the prices before.

    Over a split of 7 for 1 the price falls to about a seventh. Where the open after it is, in logs, nearer to the close
    before it than to that close over the ratio, the prices were adjusted. Splits by less than 3 for 2 either way are
    not judged: a price moves that much by itself.
    """
    found = []
    splits = [action for action in actions if isinstance(action, Split)]
    for action, cut in zip(splits, _cuts(bars, splits), strict=True):
        telling = not 1 / _LEAST_TELLING < action.ratio < _LEAST_TELLING
        if telling and 0 < cut < len(bars):
            move = math.log(int(bars.open[cut]) / int(bars.close[cut - 1]))
            if abs(move) < abs(move + math.log(action.ratio)):
                found.append(action)
    return tuple(found)


def refuse_adjusted(bars: Bars, actions: Iterable[Action]) -> None:
    """Raise `UsageError`, naming the split, if the bars' prices are adjusted for one of them already."""
    for split in adjusted_already(bars, actions):
        raise UsageError(
            f"The prices of {bars.instrument.symbol} do not change over the split of {split.ratio.numerator}:"
            f"{split.ratio.denominator} on {day(split.ts_ns)}: they are already adjusted for it.",
            "Leave the split out, or use the prices as they were traded.",
        )
