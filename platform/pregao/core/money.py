"""Exact money: integers in a quantum, and the one place where they are rounded.

Prices are whole ticks, quantities whole lots, money whole quanta of the quote currency (1e-8 unless the
instrument's tick times lot is finer). A notional is therefore exact: ``ticks * lots * tick_quanta``.
Rounding happens only in fees and in levels derived from a rate, in `round_div` and `mul_ppm`.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from pregao.core.compiled import compiled
from pregao.core.errors import UsageError

PPM = 1_000_000
FLOOR, CEIL, NEAREST = 0, 1, 2
MAX_QUANTA = 2**62
"""A notional at or above this is refused at acceptance, so that no sum of two can overflow int64."""


@compiled
def round_div(n: int, d: int, mode: int) -> int:
    """``n / d`` rounded to an integer; ``d`` must be positive.

    ``FLOOR`` rounds towards minus infinity, ``CEIL`` towards plus infinity, ``NEAREST`` to the nearest
    integer with halves away from minus infinity.
    """
    q = n // d
    r = n - q * d
    if mode == CEIL:
        return q + (1 if r > 0 else 0)
    if mode == NEAREST:
        return q + (1 if 2 * r >= d else 0)
    return q


@compiled
def mul_ppm(amount: int, ppm: int, mode: int) -> int:
    """``amount * ppm / 1e6`` without overflow for any ``|amount| < 2**62`` and ``|ppm| <= 1e6``.

    Exact: ``amount = q * 1e6 + r`` gives ``q * ppm + r * ppm / 1e6`` with ``0 <= r < 1e6``.
    """
    q = amount // PPM
    r = amount - q * PPM
    return int(q * ppm + round_div(r * ppm, PPM, mode))


@compiled
def mul_div(a: int, b: int, d: int, mode: int) -> int:
    """``a * b / d`` rounded, exact although ``a * b`` may exceed 64 bits; ``b >= 0``, ``0 < d < 2**62``.

    Long multiplication and division, bit by bit: for money in several currencies and other rare uses.
    The result must fit into 63 bits; else it is not defined.
    """
    whole = a // d
    part = a - whole * d
    q, r = 0, 0
    for shift in range(62, -1, -1):
        q, r = 2 * q, 2 * r
        if r >= d:
            q, r = q + 1, r - d
        if (b >> shift) & 1:
            r += part
            if r >= d:
                q, r = q + 1, r - d
    up = (mode == CEIL and r > 0) or (mode == NEAREST and 2 * r >= d)
    return whole * b + q + (1 if up else 0)


def decimal_of(value: str | int | float | Decimal, what: str = "amount") -> Decimal:
    """Read a finite decimal number; floats go through their shortest text, so ``0.1`` is 0.1.

    Raises `UsageError` naming ``what`` if it is not a finite number.
    """
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except InvalidOperation:
        raise UsageError(f"{what} is not a number: {value!r}.") from None
    if not number.is_finite():
        raise UsageError(f"{what} must be a finite number, not {value!r}.")
    return number


def percent_to_ppm(percent: str | int | float | Decimal, what: str = "rate") -> int:
    """Per cent to parts per million: ``2`` becomes 20,000. Raises `UsageError` if finer than 1 ppm."""
    ppm = decimal_of(percent, what) * 10_000
    if ppm != ppm.to_integral_value():
        raise UsageError(f"{what} of {percent} % is finer than 0.0001 %.", "Use at most four decimals.")
    return int(ppm)
