"""The indicators of windows: bands, channels, volatility from ranges, unusual volume, distance from the mean price."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled, inner
from pregao.features.family import CLOSE, HIGH, LOW, OPEN, VOLUME, Family
from pregao.features.rings import HEAD, SPAN, newest, put, ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME = "rolling"
WINDOWS = (20, 60)
_W = len(WINDOWS)
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

_DONCHIAN, _VOLATILITY, _PARKINSON, _GARMAN_KLASS, _YANG_ZHANG, _VOLUME_Z, _VWAP = (2 + _W * j for j in range(7))
_WIDTH = len(FORMULAS)
(_C, _H, _L, _V, _VALUE, _LOG_C, _PARK, _GARMAN, _OVER, _IN, _RS) = (ring * SPAN for ring in range(11))
STATE_SIZE = HEAD + 11 * SPAN


@inner
def _bands(state: Floats, seen: int, out: Floats, at: int) -> None:
    end = newest(seen)
    c = state[end + _C]
    total = square = 0.0
    for k in range(20):
        d = state[end + _C - k] - c
        total += d
        square += d * d
    mean, std = total / 20.0, math.sqrt(max(square - total * total / 20.0, 0.0) / 20.0)
    out[at] = ratio(2.0 * std - mean, 4.0 * std)
    out[at + 1] = 4.0 * std / (c + mean)


@inner
def _levels(state: Floats, seen: int, out: Floats, at: int) -> None:
    end = newest(seen)
    c, v = state[end + _C], state[end + _V]
    high, low = state[end + _H], state[end + _L]
    total = square = volume = value = 0.0
    begin = 0
    for w in range(_W):
        n = WINDOWS[w]
        if seen + 1 < n:
            break
        for k in range(begin, n):
            high, low = max(high, state[end + _H - k]), min(low, state[end + _L - k])
            x = state[end + _V - k]
            total += x - v
            square += (x - v) * (x - v)
            volume += x
            value += state[end + _VALUE - k]
        begin = n
        out[at + _DONCHIAN + w] = ratio(c - low, high - low)
        out[at + _VOLUME_Z + w] = ratio(-total / n, math.sqrt(max(square - total * total / n, 0.0) / n))
        out[at + _VWAP + w] = ratio(c * volume, value) - 1.0


@inner
def _variance(total: float, square: float, n: int) -> float:
    return max(square - total * total / n, 0.0) / (n - 1.0)


@inner
def _ranges(state: Floats, seen: int, out: Floats, at: int) -> None:
    """The estimators of volatility: from closes; Parkinson 1980; Garman and Klass 1980; Yang and Zhang 2000."""
    end = newest(seen)
    log_c, over0, in0 = state[end + _LOG_C], state[end + _OVER], state[end + _IN]
    move0 = log_c - state[end + _LOG_C - 1]
    total = square = park = garman = over = over_square = inside = inside_square = rogers = 0.0
    begin = 0
    for w in range(_W):
        n = WINDOWS[w]
        if seen + 1 < n:
            break
        for k in range(begin, n):
            move = state[end + _LOG_C - k] - state[end + _LOG_C - k - 1] - move0
            o, i = state[end + _OVER - k] - over0, state[end + _IN - k] - in0
            total += move
            square += move * move
            park += state[end + _PARK - k]
            garman += state[end + _GARMAN - k]
            over += o
            over_square += o * o
            inside += i
            inside_square += i * i
            rogers += state[end + _RS - k]
        begin = n
        out[at + _PARKINSON + w] = math.sqrt(park / n / (4.0 * math.log(2.0)))
        out[at + _GARMAN_KLASS + w] = math.sqrt(max(garman / n, 0.0))
        if seen >= n:
            part = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
            within = part * _variance(inside, inside_square, n) + (1.0 - part) * rogers / n
            out[at + _VOLATILITY + w] = math.sqrt(_variance(total, square, n))
            out[at + _YANG_ZHANG + w] = math.sqrt(max(_variance(over, over_square, n) + within, 0.0))


@inner
def _step(state: Floats, o: float, h: float, lo: float, c: float, v: float, out: Floats, at: int) -> None:
    seen = int(state[0])
    log_o, log_h, log_l, log_c = math.log(o), math.log(h), math.log(lo), math.log(c)
    span, inside = log_h - log_l, log_c - log_o
    overnight = math.nan
    if seen > 0:
        overnight = log_o - state[newest(seen) - 1 + _LOG_C]
    put(state, seen, 0, c)
    put(state, seen, 1, h)
    put(state, seen, 2, lo)
    put(state, seen, 3, v)
    put(state, seen, 4, (h + lo + c) / 3.0 * v)
    put(state, seen, 5, log_c)
    put(state, seen, 6, span * span)
    put(state, seen, 7, 0.5 * span * span - (2.0 * math.log(2.0) - 1.0) * inside * inside)
    put(state, seen, 8, overnight)
    put(state, seen, 9, inside)
    put(state, seen, 10, (log_h - log_c) * (log_h - log_o) + (log_l - log_c) * (log_l - log_o))
    for j in range(at, at + _WIDTH):
        out[j] = math.nan
    if seen + 1 >= 20:
        _bands(state, seen, out, at)
    _levels(state, seen, out, at)
    _ranges(state, seen, out, at)
    state[0] = seen + 1


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The indicators of bars, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        o, h, lo, c, v = rows[i, OPEN], rows[i, HIGH], rows[i, LOW], rows[i, CLOSE], rows[i, VOLUME]
        _step(state, o, h, lo, c, v, out, at + i * stride)


FAMILY = Family(NAME, 1, FORMULAS, WARMUP, STATE_SIZE, run)
