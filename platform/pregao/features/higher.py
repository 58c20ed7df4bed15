"""A higher timeframe, made of one's own bars inside the step: only bars of it that have closed are looked at.

A higher bar of ``k`` bar lengths ends at a multiple of that since 1970 (UTC). It has closed when one's own bar closes
with it, or else, where that bar is lacking, when the next own bar has come. A stream's first higher bar counts only
if the stream began with its first own bar.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled, inner
from pregao.features.family import CLOSE, HIGH, LOW, OPEN, VOLUME, Family
from pregao.features.rings import HEAD, SPAN, newest, ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_N = 20
_ROLLING = {
    "return_1": "Higher(#, Log($close/Ref($close, 1)))",
    "return_4": "Higher(#, Log($close/Ref($close, 4)))",
    "body": "Higher(#, ($close-$open)/($high-$low))",
    "volatility_20": "Higher(#, Std(Log($close/Ref($close, 1)), 20))",
    "rsi_14": "Higher(#, 100*Sum(Greater($close-Ref($close, 1), 0), 14)/Sum(Abs($close-Ref($close, 1)), 14))",
    "volume_z_20": "Higher(#, ($volume-Mean($volume, 20))/PopStd($volume, 20))",
    "since": "Log($close/Higher(#, $close))",
    "position_20": "($close-Higher(#, Min($low, 20)))/(Higher(#, Max($high, 20))-Higher(#, Min($low, 20)))",
    "zscore_20": "($close-Higher(#, Mean($close, 20)))/Higher(#, PopStd($close, 20))",
}
_WIDTH = len(_ROLLING)
_KEPT = 6
"""So many features change with a higher bar only; the others compare one's own close with it."""

_K, _BUCKET, _WHOLE, _O, _H, _L, _C, _V, _LOW, _HIGH, _MEAN, _STD = range(1, 13)
"""Registers after the count of higher bars: own bars in one; the one being made: its number, whether it is whole and
not yet closed, its prices and volume; of those closed: lowest low, highest high, mean and deviation of the closes."""
_SAVED = 13
_RINGS = _SAVED + _KEPT - HEAD
_CLOSES, _LOG_CLOSES, _HIGHS, _LOWS, _VOLUMES = (_RINGS + ring * SPAN for ring in range(5))
STATE_SIZE = HEAD + _RINGS + 5 * SPAN


@inner
def _put(state: Floats, seen: int, ring: int, value: float) -> None:
    at = newest(seen) + ring
    state[at] = value
    state[at - SPAN // 2] = value


@inner
def _window(state: Floats, seen: int) -> None:
    """What needs 20 higher bars."""
    end = newest(seen)
    c, v = state[end + _CLOSES], state[end + _VOLUMES]
    high, low = state[end + _HIGHS], state[end + _LOWS]
    total = square = volume = volume_square = 0.0
    for k in range(_N):
        d, x = state[end + _CLOSES - k] - c, state[end + _VOLUMES - k] - v
        total += d
        square += d * d
        volume += x
        volume_square += x * x
        high, low = max(high, state[end + _HIGHS - k]), min(low, state[end + _LOWS - k])
    state[_HIGH], state[_LOW] = high, low
    state[_MEAN] = c + total / _N
    state[_STD] = math.sqrt(max(square - total * total / _N, 0.0) / _N)
    spread = math.sqrt(max(volume_square - volume * volume / _N, 0.0) / _N)
    state[_SAVED + 5] = ratio(-volume / _N, spread)


@inner
def _moves(state: Floats, seen: int) -> None:
    """Returns, their deviation and Cutler's RSI."""
    end = newest(seen)
    log_c = end + _LOG_CLOSES
    if seen >= 1:
        state[_SAVED] = state[log_c] - state[log_c - 1]
    if seen >= 4:
        state[_SAVED + 1] = state[log_c] - state[log_c - 4]
    if seen >= _N:
        total = square = 0.0
        for k in range(_N):
            move = state[log_c - k] - state[log_c - k - 1] - state[_SAVED]
            total += move
            square += move * move
        state[_SAVED + 3] = math.sqrt(max(square - total * total / _N, 0.0) / (_N - 1))
    if seen >= 14:
        ups = moves = 0.0
        for k in range(14):
            step = state[end + _CLOSES - k] - state[end + _CLOSES - k - 1]
            ups += max(step, 0.0)
            moves += abs(step)
        state[_SAVED + 4] = ratio(100.0 * ups, moves)


@inner
def _close(state: Floats) -> None:
    """The higher bar that was being made has closed."""
    seen = int(state[0])
    _put(state, seen, _CLOSES, state[_C])
    _put(state, seen, _LOG_CLOSES, math.log(state[_C]))
    _put(state, seen, _HIGHS, state[_H])
    _put(state, seen, _LOWS, state[_L])
    _put(state, seen, _VOLUMES, state[_V])
    for j in range(_SAVED, _SAVED + _KEPT):
        state[j] = math.nan
    state[_SAVED + 2] = ratio(state[_C] - state[_O], state[_H] - state[_L])
    _moves(state, seen)
    if seen + 1 >= _N:
        _window(state, seen)
    state[0] = seen + 1
    state[_WHOLE] = 0.0


@inner
def _step(
    state: Floats, bar_ns: int, close_ns: int, o: float, h: float, lo: float, c: float, v: float, out: Floats, at: int
) -> None:
    length = int(state[_K]) * bar_ns
    bucket = (close_ns - 1) // length + 1  # from 1: zero is none
    if bucket != state[_BUCKET]:
        if state[_WHOLE]:
            _close(state)
        state[_WHOLE] = 1.0 if state[_BUCKET] or (close_ns - bar_ns) % length == 0 else 0.0
        state[_BUCKET] = bucket
        state[_O], state[_H], state[_L], state[_V] = o, h, lo, 0.0
    state[_H], state[_L] = max(state[_H], h), min(state[_L], lo)
    state[_C] = c
    state[_V] += v
    if state[_WHOLE] and close_ns % length == 0:
        _close(state)
    for j in range(_WIDTH):
        out[at + j] = math.nan
    if state[0]:
        for j in range(_KEPT):
            out[at + j] = state[_SAVED + j]
        out[at + _KEPT] = math.log(c / state[newest(int(state[0]) - 1) + _CLOSES])
    if state[0] >= _N:
        out[at + _KEPT + 1] = ratio(c - state[_LOW], state[_HIGH] - state[_LOW])
        out[at + _KEPT + 2] = ratio(c - state[_MEAN], state[_STD])


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The features of the higher timeframe at each own bar, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        o, h, lo, c, v = rows[i, OPEN], rows[i, HIGH], rows[i, LOW], rows[i, CLOSE], rows[i, VOLUME]
        _step(state, bar_ns, close_ns[i], o, h, lo, c, v, out, at + i * stride)


def higher(k: int) -> Family:
    """The family of the timeframe of ``k`` bar lengths: ``higher4`` makes one-hour bars of those of 15 minutes."""
    formulas = {f"higher{k}_{name}": formula.replace("#", str(k)) for name, formula in _ROLLING.items()}
    # The first higher bar may not count, then 21 of at most k own bars; the last may close with the bar after it.
    return Family(f"higher{k}", 1, formulas, (_N + 2) * k + 1, STATE_SIZE, run, parameters=(float(k),))
