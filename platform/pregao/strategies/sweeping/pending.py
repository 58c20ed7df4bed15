"""Stands in until the contract has it."""

from typing import Any

import numpy as np

from pregao.core.bars import Bars


def signals_of(strategy: Any, bars: Bars, before: Bars | None = None) -> Any:
    """None where a strategy has no vectorised form."""
    made = getattr(strategy, "signals", None)
    if made is None:
        return None
    if before is None:
        return made(bars)
    names = ("open_ns", "open", "high", "low", "close", "volume")
    whole = (np.concatenate([getattr(before, n), getattr(bars, n)]) for n in names)
    return made(Bars(bars.instrument, bars.timeframe, *whole))[len(before) :]
