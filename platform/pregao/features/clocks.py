"""The clocks: time of day and week (UTC), and for what trades in sessions, how much of one is over and left."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled
from pregao.features.family import COLUMNS, Family

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAY, _WEEK = 86_400, 604_800
_MONDAY = 259_200
"""1970-01-01 was a Thursday: Monday 00:00 was three days earlier."""

DAY_FORMULAS = {
    "day_sin": "Sin(2*pi*($second % 86400)/86400)",
    "day_cos": "Cos(2*pi*($second % 86400)/86400)",
    "week_sin": "Sin(2*pi*(($second+259200) % 604800)/604800)",
    "week_cos": "Cos(2*pi*(($second+259200) % 604800)/604800)",
}
SESSION_FORMULAS = {
    "session_over": "$session_elapsed/$session_length",
    "session_bars_left": "($session_length-$session_elapsed)/$bar_seconds",
}


@compiled
def day(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The clocks of day and week at the close of each bar, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        seconds = close_ns[i] // 1_000_000_000
        angle = 2.0 * math.pi * (seconds % _DAY) / _DAY
        week = 2.0 * math.pi * ((seconds + _MONDAY) % _WEEK) / _WEEK
        j = at + i * stride
        out[j], out[j + 1], out[j + 2], out[j + 3] = math.sin(angle), math.cos(angle), math.sin(week), math.cos(week)


@compiled
def session(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The clock of the trading session at the close of each bar; missing outside of one."""
    for i in range(len(close_ns)):
        elapsed, length = rows[i, COLUMNS], rows[i, COLUMNS + 1]
        out[at + i * stride] = elapsed / length
        out[at + i * stride + 1] = (length - elapsed) / (bar_ns / 1e9)


DAY = Family("clocks", 1, DAY_FORMULAS, 1, 1, day)
SESSION = Family("session", 1, SESSION_FORMULAS, 1, 1, session, ("hours",))
