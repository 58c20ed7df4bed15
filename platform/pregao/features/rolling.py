"""The indicators of windows: bands, channels, volatility from ranges, unusual volume, distance from the mean price."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled, inner
from pregao.features.family import CLOSE, HIGH, LOW, OPEN, VOLUME, Family
from pregao.features.nested import BARS_KEPT, NEWER, ROWS, bar_at, five, join, older_row, row
from pregao.features.nested import WINDOWS as NESTED
from pregao.features.rings import ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME = "rolling"
WINDOWS = (20, 60)
WARMUP = WINDOWS[-1] + 1
"""Returns need one bar more than the longest window."""

_OVERNIGHT, _INSIDE = "Log($open/Ref($close, 1))", "Log($close/$open)"
_ROGERS = "Log($high/$close)*Log($high/$open)+Log($low/$close)*Log($low/$open)"
_PART = "0.34/(1.34+(#+1)/(#-1))"
_ROLLING = {
    "donchian": "($close-Min($low, #))/(Max($high, #)-Min($low, #))",
    "volatility": "Std(Log($close/Ref($close, 1)), #)",
    "parkinson": "Sqrt(Mean(Log($high/$low)**2, #)/(4*Log(2)))",
    "garman_klass": f"Sqrt(Mean(Log($high/$low)**2/2-(2*Log(2)-1)*{_INSIDE}**2, #))",
    "yang_zhang": f"Sqrt(Std({_OVERNIGHT}, #)**2+{_PART}*Std({_INSIDE}, #)**2+(1-{_PART})*Mean({_ROGERS}, #))",
    "volume_z": "($volume-Mean($volume, #))/PopStd($volume, #)",
    "vwap": "$close/(Sum(($high+$low+$close)/3*$volume, #)/Sum($volume, #))-1",
}
FORMULAS = {
    "bollinger_20": "($close-Mean($close, 20)+2*PopStd($close, 20))/(4*PopStd($close, 20))",
    "bollinger_width_20": "4*PopStd($close, 20)/Mean($close, 20)",
} | {f"{name}_{n}": formula.replace("#", str(n)) for name, formula in _ROLLING.items() for n in WINDOWS}

_DONCHIAN, _VOLATILITY, _PARKINSON, _GARMAN_KLASS, _YANG_ZHANG, _VOLUME_Z, _VWAP = (2 + 2 * j for j in range(7))
_WIDTH = len(FORMULAS)

_VALUE, _PARK, _GARMAN, _ROGERS_SUM = range(4)
_SUMS, _MOMENTS = 4, 5
_C, _V, _MOVE, _OVER, _IN = range(_SUMS, _SUMS + 2 * _MOMENTS, 2)
_HIGH, _LOW, _FIELDS = 14, 15, 16
"""What is kept of a window, see `pregao.features.nested`: sums, five pairs of moments, extremes."""
_BARS, _BAR_FIELDS = 1, 12
_ROWS = _BARS + _BAR_FIELDS * BARS_KEPT
STATE_SIZE = _ROWS + ROWS * _FIELDS
"""The number of bars, the last few bars, the rows of windows. Of a bar are kept the four summands, the five values
whose moments are taken, its high, its low and the logarithm of its close."""


@inner
def _take(state: Floats, seen: int, o: float, h: float, lo: float, c: float, v: float) -> None:
    """What of a bar goes into windows. Of the first one no moves are known."""
    at = bar_at(_BARS, _BAR_FIELDS, seen)
    log_o, log_h, log_l, log_c = math.log(o), math.log(h), math.log(lo), math.log(c)
    span, inside = log_h - log_l, log_c - log_o
    move = overnight = math.nan
    if seen > 0:
        before = state[bar_at(_BARS, _BAR_FIELDS, seen - 1) + 11]
        move, overnight = log_c - before, log_o - before
    state[at] = (h + lo + c) / 3.0 * v
    state[at + 1] = span * span
    state[at + 2] = 0.5 * span * span - (2.0 * math.log(2.0) - 1.0) * inside * inside
    state[at + 3] = (log_h - log_c) * (log_h - log_o) + (log_l - log_c) * (log_l - log_o)
    state[at + 4] = c
    state[at + 5] = v
    state[at + 6] = move
    state[at + 7] = overnight
    state[at + 8] = inside
    state[at + 9] = h
    state[at + 10] = lo
    state[at + 11] = log_c


@inner
def _window(state: Floats, seen: int, w: int, to: int, newer: int) -> None:
    """One of the nested windows, the first from the bars, the others from two shorter ones."""
    if w == 0:
        five(state, to, _BARS, _BAR_FIELDS, seen, _SUMS, _MOMENTS)
        high, low = 0.0, math.inf
        for k in range(5):
            bar = bar_at(_BARS, _BAR_FIELDS, seen - k)
            high, low = max(high, state[bar + 9]), min(low, state[bar + 10])
        state[to + _HIGH], state[to + _LOW] = high, low
        return
    n, n_newer, older = NESTED[w], NEWER[w], _ROWS + older_row(seen, w) * _FIELDS
    join(state, to, newer, older, _SUMS, _MOMENTS, (n - n_newer) / n, n_newer * (n - n_newer) / n)
    state[to + _HIGH] = max(state[newer + _HIGH], state[older + _HIGH])
    state[to + _LOW] = min(state[newer + _LOW], state[older + _LOW])


@inner
def _bands(state: Floats, at: int, c: float, out: Floats, to: int) -> None:
    std, mean = math.sqrt(state[at + _C + 1] / 20.0), state[at + _C]
    out[to] = ratio(c - mean + 2.0 * std, 4.0 * std)
    out[to + 1] = 4.0 * std / mean


@inner
def _write(state: Floats, at: int, n: int, c: float, v: float, out: Floats, to: int) -> None:
    """What needs as many bars as the window is long. Parkinson 1980; Garman and Klass 1980."""
    high, low, volume = state[at + _HIGH], state[at + _LOW], state[at + _V]
    out[to + _DONCHIAN] = ratio(c - low, high - low)
    out[to + _PARKINSON] = math.sqrt(state[at + _PARK] / n / (4.0 * math.log(2.0)))
    out[to + _GARMAN_KLASS] = math.sqrt(max(state[at + _GARMAN] / n, 0.0))
    out[to + _VOLUME_Z] = ratio(v - volume, math.sqrt(state[at + _V + 1] / n))
    out[to + _VWAP] = ratio(c * (volume * n), state[at + _VALUE]) - 1.0


@inner
def _write_moves(state: Floats, at: int, n: int, out: Floats, to: int) -> None:
    """What needs one bar more: the volatility of closes, and that of Yang and Zhang 2000."""
    part = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    within = part * state[at + _IN + 1] / (n - 1.0) + (1.0 - part) * state[at + _ROGERS_SUM] / n
    out[to + _VOLATILITY] = math.sqrt(state[at + _MOVE + 1] / (n - 1.0))
    out[to + _YANG_ZHANG] = math.sqrt(max(state[at + _OVER + 1] / (n - 1.0) + within, 0.0))


@inner
def _step(state: Floats, o: float, h: float, lo: float, c: float, v: float, out: Floats, at: int) -> None:
    seen = int(state[0])
    _take(state, seen, o, h, lo, c, v)
    for j in range(at, at + _WIDTH):
        out[j] = math.nan
    newer = 0
    for w in range(len(NESTED)):
        n = NESTED[w]
        if seen + 1 < n:
            break
        to = _ROWS + row(seen, w) * _FIELDS
        _window(state, seen, w, to, newer)
        newer = to
        if n == 20:
            _bands(state, to, c, out, at)
        if n == 20 or n == 60:
            place = at if n == 20 else at + 1
            _write(state, to, n, c, v, out, place)
            if seen >= n:
                _write_moves(state, to, n, out, place)
    state[0] = seen + 1


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The indicators of bars, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        o, h, lo, c, v = rows[i, OPEN], rows[i, HIGH], rows[i, LOW], rows[i, CLOSE], rows[i, VOLUME]
        _step(state, o, h, lo, c, v, out, at + i * stride)


FAMILY = Family(NAME, 1, FORMULAS, WARMUP, STATE_SIZE, run)
