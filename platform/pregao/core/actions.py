"""Corporate actions and funding: what changes or pays a position without a trade.

Prices are stored as they were traded. An action with time ``ts_ns`` (the ex-date; for funding its timestamp) comes
before the first bar that opens at or after it: that bar's prices are already ex.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd

from pregao.core.errors import UsageError
from pregao.core.money import decimal_of

RATE = 10**8
"""A funding rate is a whole number of these parts."""
_MOST_SHARES = 2**31
_SIMPLE = 100
_DECIMALS = 6


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
        if self.rate * RATE % 1:
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


def _check_time(ts_ns: int) -> None:
    if isinstance(ts_ns, bool) or not isinstance(ts_ns, int) or not -(2**62) < ts_ns < 2**62:
        raise UsageError(f"The time of an action must be whole ns since 1970, not {ts_ns!r}.")


def day(ts_ns: int) -> str:
    """The day of an action, as a person reads it."""
    return f"{pd.Timestamp(ts_ns, unit='ns'):%Y-%m-%d}"
