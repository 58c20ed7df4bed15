"""Corporate actions and funding as the kernel reads them; what they are is told in `pregao.core.actions`."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pregao.core.actions import RATE, Action, Dividend, Funding, Split, day, from_frame
from pregao.core.adjustment import adjusted, adjusted_already
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.money import MAX_QUANTA, PPM

__all__ = [
    "ACTION", "DIVIDEND", "FUNDING", "SPLIT", "Action", "Dividend", "Funding", "Split", "adjusted", "adjusted_already",
    "encode", "from_frame",
]  # fmt: skip

SPLIT, DIVIDEND, FUNDING = 1, 2, 3
ACTION = np.dtype([("ts_ns", np.int64), ("kind", np.int64), ("a", np.int64), ("b", np.int64)])
"""An action as the kernel reads it: a split's numerator and denominator, a dividend's whole quanta and remaining
micro-quanta (1e-6) a lot, a funding rate in 1e-8 and 0."""


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
        return FUNDING, int(action.rate * RATE), 0
    micro = Fraction(action.amount) * Fraction(instrument.lot_size) / Fraction(instrument.quantum) * PPM
    name = f"Action {i}, a dividend of {action.amount} {instrument.quote} on {day(action.ts_ns)},"
    if micro.denominator != 1:
        raise UsageError(f"{name} is finer than a millionth of a quantum for a lot of {instrument.lot_size}.")
    if micro >= MAX_QUANTA * PPM:
        raise UsageError(f"{name} is too large.")
    return DIVIDEND, *divmod(int(micro), PPM)
