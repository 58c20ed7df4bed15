"""What a policy sees of its account, and how the stance that it wants becomes intents: to learn and to trade by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.strategies.contract import Account, Enter, Exit, Intent

FLAT, LONG, SHORT = 0, 1, 2
"""The actions. One that may not sell short has the first two."""
NAMES = ("flat", "long", "short")
REACH = 5.0
"""Observations are kept within so many units of zero."""
OWN = 2
"""Figures of the account at the end of an observation."""


def side_of(account: Account) -> int:
    """The action that the account stands at."""
    return FLAT if account.position == 0 else LONG if account.position > 0 else SHORT


def own_figures(account: Account, close: float) -> NDArray[np.float64]:
    """The side held (1 long, -1 short, 0 none) and its gain so far in per cent of the price paid, costs left out."""
    side = float(np.sign(account.position))
    gain = 100 * side * (close / account.entry_price - 1) if side else 0.0
    return np.array([side, min(max(gain, -REACH), REACH)])


def intents_for(action: int, account: Account, reason: str = "", chance: float | None = None) -> tuple[Intent, ...]:
    """What to do at the next open to come to the wanted stance; from one side to the other it first leaves.

    Args:
        chance: that a long entry pays; None if nobody knows.
    """
    if account.pending or action == side_of(account):
        return ()
    if account.position != 0:
        return (Exit(reason),)
    if action == LONG:
        return (Enter("long", 1.0, reason, chance),)
    return (Enter("short", 1.0, reason),)
