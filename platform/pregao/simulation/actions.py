"""Corporate actions and funding: what changes or pays a position without a trade.

Prices are stored as they were traded. An action with time ``ts_ns`` (the ex-date; for funding its timestamp) comes
before the first bar that opens at or after it: that bar's prices are already ex.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars, Ints
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.money import MAX_QUANTA, PPM, decimal_of

SPLIT, DIVIDEND, FUNDING = 1, 2, 3
ACTION = np.dtype([("ts_ns", np.int64), ("kind", np.int64), ("a", np.int64), ("b", np.int64)])
"""An action as the kernel reads it: a split's numerator and denominator, a dividend's whole quanta and remaining
micro-quanta (1e-6) a lot, a funding rate in 1e-8 and 0."""

_RATE = 10**8
_MOST_SHARES = 2**31
_SIMPLE = 100
_DECIMALS = 6
_FINER = 10_000
_LEAST_TELLING = Fraction(3, 2)


@dataclass(frozen=True, slots=True)
class Split:
    """``ratio`` new shares for every old one: 7 for seven for one, 1/10 for a reverse split of one for ten.

    Attributes:
        ts_ns: ex-date, ns since 1970 UTC.
        ratio: new shares per old one; numerator and denominator below 2**31.

    Raises:
        UsageError: if the ratio is not positive, is 1, or does not fit.
    """

    ts_ns: int
    ratio: Fraction

    def __post_init__(self) -> None:
        _check_time(self.ts_ns)
        if not isinstance(self.ratio, Fraction) or self.ratio <= 0 or self.ratio == 1:
            raise UsageError(f"The ratio of a split must be a positive fraction other than 1, not {self.ratio!r}.")
        if max(self.ratio.numerator, self.ratio.denominator) >= _MOST_SHARES:
            raise UsageError(f"The ratio of a split, {self.ratio}, has too many digits.")


@dataclass(frozen=True, slots=True)
class Dividend:
    """Cash paid to who holds the instrument, and owed by who is short of it.

    Attributes:
        ts_ns: ex-date, ns since 1970 UTC.
        amount: quote currency for each base unit (each share), before tax.

    Raises:
        UsageError: if the amount is not positive.
    """

    ts_ns: int
    amount: Decimal

    def __post_init__(self) -> None:
        _check_time(self.ts_ns)
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite() or self.amount <= 0:
            raise UsageError(f"A dividend must be a positive Decimal, not {self.amount!r}.")


@dataclass(frozen=True, slots=True)
class Funding:
    """A funding payment of a perpetual: longs pay shorts ``rate`` of the position's value, or get it if negative.

    Attributes:
        ts_ns: when it is paid, ns since 1970 UTC.
        rate: fraction of the value, between -1 and 1; multiples of 1e-8.

    Raises:
        UsageError: if the rate is out of range or finer than 1e-8.
    """

    ts_ns: int
    rate: Decimal

    def __post_init__(self) -> None:
        _check_time(self.ts_ns)
        if not isinstance(self.rate, Decimal) or not self.rate.is_finite() or not -1 < self.rate < 1:
            raise UsageError(f"A funding rate must be a Decimal between -1 and 1, not {self.rate!r}.")
        if self.rate * _RATE % 1:
            raise UsageError(f"The funding rate {self.rate} is finer than 0.00000001.")


Action = Split | Dividend | Funding


def from_frame(frame: pd.DataFrame) -> tuple[Action, ...]:
    """The actions in a table, in its order.

    Args:
        frame: ``timestamp`` (times without a zone are UTC) and at least one of ``split``, ``dividend`` and
            ``funding``. A split is a number of new shares for an old one, or text such as ``7:1`` or ``1/10``;
            0 and 1 are no split, and a number with six decimals or more, such as 0.333333, is the fraction with a
            denominator up to 100 that it stands for, if there is one within a unit of its last decimal. A dividend of
            0 is none; funding of 0 is kept. Where one row has both, the split comes first and the dividend is for
            each new share.

    Raises:
        UsageError: naming the first row, counted from 0, that is missing a value, is not a number or out of range.
    """
    readers: dict[str, Callable[[int, Any], Action | None]] = {
        "split": _split,
        "dividend": _dividend,
        "funding": lambda ts_ns, value: Funding(ts_ns, decimal_of(value, "The funding rate")),
    }
    given = [name for name in readers if name in frame.columns]
    if "timestamp" not in frame.columns or not given:
        raise UsageError("A table of actions needs the columns timestamp and split, dividend or funding.")
    actions: list[Action] = []
    for row, time in enumerate(pd.to_datetime(frame["timestamp"], utc=True, format="mixed", errors="coerce")):
        if pd.isna(time):
            raise UsageError(f"Row {row} of the actions has no readable time.")
        for name in given:
            try:
                action = readers[name](int(time.as_unit("ns").value), frame[name].iloc[row])
            except UsageError as error:
                raise UsageError(f"Row {row} of the actions, {time:%Y-%m-%d}: {error.message}", error.mend) from None
            if action is not None:
                actions.append(action)
    return tuple(actions)


def _split(ts_ns: int, value: Any) -> Split | None:
    if isinstance(value, str) and (":" in value or "/" in value):
        new, _, old = value.replace(":", "/").partition("/")
        shares = Fraction(decimal_of(old, "The old shares of a split"))
        if shares <= 0:
            raise UsageError(f"A split of {value} has no old shares.")
        ratio = Fraction(decimal_of(new, "The new shares of a split")) / shares
    else:
        ratio = _ratio(decimal_of(value, "The ratio of a split"))
    return None if ratio in (0, 1) else Split(ts_ns, ratio)


def _ratio(number: Decimal) -> Fraction:
    exact = Fraction(number)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent <= -_DECIMALS:
        simple = exact.limit_denominator(_SIMPLE)
        if simple > 0 and abs(simple - exact) <= Fraction(1, 10**-exponent):
            return simple
    return exact


def _dividend(ts_ns: int, value: Any) -> Dividend | None:
    amount = decimal_of(value, "The dividend")
    return Dividend(ts_ns, amount) if amount != 0 else None


def encode(actions: Iterable[Action], instrument: Instrument) -> NDArray[np.void]:
    """The actions as rows of `ACTION`, ascending in time; those of one time stay in their order.

    Raises:
        UsageError: naming the first action, counted from 0, that does not fit: a dividend of 2**62 quanta a lot and
            more, or finer than a millionth of a quantum a lot.
    """
    rows = [(action.ts_ns, *_numbers(i, action, instrument)) for i, action in enumerate(actions)]
    rows.sort(key=lambda row: row[0])
    return np.array(rows, ACTION)


def _numbers(i: int, action: Action, instrument: Instrument) -> tuple[int, int, int]:
    if isinstance(action, Split):
        return SPLIT, action.ratio.numerator, action.ratio.denominator
    if isinstance(action, Funding):
        return FUNDING, int(action.rate * _RATE), 0
    micro = Fraction(action.amount) * Fraction(instrument.lot_size) / Fraction(instrument.quantum) * PPM
    name = f"Action {i}, a dividend of {action.amount} {instrument.quote} on {_day(action.ts_ns)},"
    if micro.denominator != 1:
        raise UsageError(f"{name} is finer than a millionth of a quantum for a lot of {instrument.lot_size}.")
    if micro >= MAX_QUANTA * PPM:
        raise UsageError(f"{name} is too large.")
    return DIVIDEND, *divmod(int(micro), PPM)


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
    _refuse_adjusted(bars, known)
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
                    f"The dividend of {action.amount} on {_day(action.ts_ns)} is not less than the price before it."
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


def _refuse_adjusted(bars: Bars, actions: Iterable[Action]) -> None:
    for split in adjusted_already(bars, actions):
        raise UsageError(
            f"The prices of {bars.instrument.symbol} do not change over the split of {split.ratio.numerator}:"
            f"{split.ratio.denominator} on {_day(split.ts_ns)}: they are already adjusted for it.",
            "Leave the split out, or use the prices as they were traded.",
        )


def _check_time(ts_ns: int) -> None:
    if isinstance(ts_ns, bool) or not isinstance(ts_ns, int) or not -(2**62) < ts_ns < 2**62:
        raise UsageError(f"The time of an action must be whole ns since 1970, not {ts_ns!r}.")


def _day(ts_ns: int) -> str:
    return f"{pd.Timestamp(ts_ns, unit='ns'):%Y-%m-%d}"
