"""The grid that prices lie on: found from their decimals, exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import prices
from pregao.core.errors import UsageError

MOST_DECIMALS = 12
NOISE_ULPS = 4


def decimal_tick(prices: Sequence[NDArray[np.float64]]) -> Decimal:
    """The coarsest of 1, 0.1, 0.01… of which every finite price is a multiple.

    A price is the decimal that it is written as; what arithmetic on floats leaves behind (`NOISE_ULPS` units in the
    last place: 0.025500560000000002 is 0.02550056) does not count as digits.

    Raises `UsageError` if a price has more decimals than a float of its size, or `MOST_DECIMALS`, can tell.
    """
    distinct = np.unique(np.concatenate([column[np.isfinite(column)] for column in prices]))
    unit = float(np.spacing(np.abs(distinct).max(initial=1.0)))
    for decimals in range(MOST_DECIMALS + 1):
        # A grid finer than this would take in any number.
        if 10.0**-decimals < 1_000 * unit:
            break
        noise = NOISE_ULPS * np.spacing(np.abs(distinct))
        distinct = distinct[np.abs(np.round(distinct, decimals) - distinct) > noise]
        if not len(distinct):
            return Decimal(1).scaleb(-decimals)
    raise UsageError(
        f"The prices have too many decimals ({float(distinct[0])!r}), as adjusted prices often do.",
        "Give --tick-size and --round to round them to a grid.",
    )


def common_tick(a: Decimal, b: Decimal) -> Decimal:
    """The coarsest tick size of which both are multiples."""
    x, y = Fraction(a), Fraction(b)
    common = Fraction(math.gcd(x.numerator * y.denominator, y.numerator * x.denominator), x.denominator * y.denominator)
    with localcontext() as context:
        context.prec = 50
        return (Decimal(common.numerator) / Decimal(common.denominator)).normalize()


def to_grid(price: NDArray[np.float64], tick_size: Decimal) -> NDArray[np.float64]:
    """Prices rounded to the nearest multiple of the tick size; what is not finite stays as it is."""
    finite = np.isfinite(price)
    ticks = np.rint(np.where(finite, price, 0.0) / float(tick_size)).astype(np.int64)
    return np.where(finite, prices(ticks, tick_size), price)


def on_grid(price: NDArray[np.float64], tick_size: Decimal) -> bool:
    """Whether every finite price is a multiple of the tick size."""
    finite = price[np.isfinite(price)]
    return bool((np.abs(to_grid(finite, tick_size) - finite) <= NOISE_ULPS * np.spacing(np.abs(finite))).all())


def shortest(column: NDArray[np.floating]) -> NDArray[np.float64]:
    """32-bit prices as the decimals that they stand for: the 32-bit float of 185.64 is 185.64, not 185.6399993896…

    Also for 64-bit numbers that all came from 32-bit ones; others are returned as they are.
    """
    wide: NDArray[np.float64] = column.astype(np.float64)
    finite = np.isfinite(wide)
    narrow = wide.astype(np.float32)
    if column.dtype != np.float32 and not (narrow[finite].astype(np.float64) == wide[finite]).all():
        return wide
    if column.dtype != np.float32 and (np.round(wide[finite], 6) == wide[finite]).all():
        return wide
    # NumPy prints a float with the fewest digits that give it back.
    return narrow.astype(str).astype(np.float64)
