"""The feature set ``core25``: one compiled step over an array state, and the loop of it over history.

Every feature is a function of the last `WARMUP` bars alone, recomputed from rings: nothing accumulates, so
nothing drifts, and a stream that is started anywhere gives, once warm, bitwise what the batch gives.
Prices are whole ticks turned to float64; every feature is a ratio, so the tick size cancels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled
from pregao.features.family import CLOSE, HIGH, LOW, OPEN, VOLUME, Family

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME = "core25"
VERSION = 1
"""Raised whenever a formula changes: it is part of the set's hash, so models of the old formulas are refused."""

WARMUP = 64
"""Bars after which no feature is missing for want of history (the longest window)."""

FORMULAS: dict[str, str] = {
    "return_1": "ln(C / C[1])",
    "return_2": "ln(C / C[2])",
    "return_4": "ln(C / C[4])",
    "return_8": "ln(C / C[8])",
    "return_16": "ln(C / C[16])",
    "return_32": "ln(C / C[32])",
    "bar_body": "(C - O) / (H - L)",
    "bar_upper": "(H - max(O, C)) / (H - L)",
    "bar_shift": "(2 C - H - L) / (H - L)",
    "zscore_64": "(C - mean64(C)) / std64(C)",
    "volatility_16": "std16(ln(C / C[1]))",
    "volatility_ratio": "std16(ln(C / C[1])) / std63(ln(C / C[1]))",
    "rsi_14": "100 U / (U + D), U and D the sums of the last 14 rises and falls of C (Cutler's RSI)",
    "macd_12_26": "(E12 - E26) / E26, Es = sum a**k C[k] / sum a**k over k = 0..63, a = 1 - 2 / (s + 1)",
    "atr_14": "mean14(max(H, C[1]) - min(L, C[1])) / C",
    "bollinger_20": "(C - mean20(C) + 2 std20(C)) / (4 std20(C))",
    "donchian_20": "(C - min20(L)) / (max20(H) - min20(L))",
    "parkinson_20": "sqrt(mean20(ln(H / L)**2) / (4 ln 2))",
    "volume_z_32": "(V - mean32(V)) / std32(V)",
    "price_volume_32": "corr32(C, V)",
    "up_down_16": "(rises - falls) / 16 among the last 16 moves of C",
    "day_sin": "sin(2 pi t / 1 day), t the close of the bar, UTC",
    "day_cos": "cos(2 pi t / 1 day)",
    "week_sin": "sin(2 pi t / 1 week), t counted from Monday 00:00 UTC",
    "week_cos": "cos(2 pi t / 1 week)",
}
"""Name -> formula, in the order of the vector. C O H L V are close, open, high, low, volume of the bar, ``[k]`` is
k bars ago, ``meanN``, ``stdN`` (population), ``minN``, ``maxN``, ``corrN`` run over the last N values. What has no
value (too little history, a bar without range, a window without movement) is NaN."""

WIDTH = len(FORMULAS)

_CAPACITY = WARMUP
_CLOSE, _LOG_CLOSE, _HIGH, _LOW, _VOLUME, _LOG_RANGE, _TRUE_RANGE = range(7)
_HEAD = 1
STATE_SIZE = _HEAD + 7 * 2 * _CAPACITY
"""``state[0]`` counts the bars seen; then seven rings, each written twice, a capacity apart, so that the last
values are always contiguous."""

_DAY, _WEEK = 86_400, 604_800
_MONDAY = 3 * _DAY
"""1970-01-01 was a Thursday: Monday 00:00 was three days earlier."""


@compiled
def _push(state: Floats, ring: int, value: float) -> None:
    at = _HEAD + ring * 2 * _CAPACITY + int(state[0]) % _CAPACITY
    state[at] = value
    state[at + _CAPACITY] = value


@compiled
def _last(state: Floats, ring: int, count: int) -> Floats:
    """The newest ``count`` values of a ring, oldest first, the bar being added included; a view."""
    end = _HEAD + ring * 2 * _CAPACITY + int(state[0]) % _CAPACITY + _CAPACITY + 1
    return state[end - count : end]


@compiled
def _ratio(top: float, bottom: float) -> float:
    """``top / bottom``, NaN where there is nothing to divide by."""
    return top / bottom if bottom != 0.0 else math.nan


@compiled
def _moments(x: Floats) -> tuple[float, float]:
    """Mean and population standard deviation, from the deviations from the first value: exactly 0 when flat."""
    shift = 0.0
    for value in x:
        shift += value - x[0]
    shift /= len(x)
    square = 0.0
    for value in x:
        deviation = value - x[0] - shift
        square += deviation * deviation
    return x[0] + shift, math.sqrt(square / len(x))


@compiled
def _move_std(x: Floats) -> float:
    """Population standard deviation of the differences of neighbours."""
    count = len(x) - 1
    mean = (x[count] - x[0]) / count
    square = 0.0
    for i in range(count):
        deviation = x[i + 1] - x[i] - mean
        square += deviation * deviation
    return math.sqrt(square / count)


@compiled
def _correlation(x: Floats, y: Floats) -> float:
    """Pearson's correlation; NaN where either side is flat."""
    mean_x, std_x = _moments(x)
    mean_y, std_y = _moments(y)
    if std_x == 0.0 or std_y == 0.0:
        return math.nan
    product = 0.0
    for i in range(len(x)):
        product += (x[i] - mean_x) * (y[i] - mean_y)
    value: float = product / len(x) / (std_x * std_y)
    return value


@compiled
def _mean(x: Floats) -> float:
    total = 0.0
    for value in x:
        total += value
    return total / len(x)


@compiled
def _exponential_mean(x: Floats, span: int) -> float:
    """The exponentially weighted mean of a finite window, weights normalised (pandas: ``adjust=True``)."""
    decay = 1.0 - 2.0 / (span + 1.0)
    total = 0.0
    weight = 0.0
    for value in x:
        total = total * decay + value
        weight = weight * decay + 1.0
    return total / weight


@compiled
def step(state: Floats, close_ns: int, o: float, h: float, lo: float, c: float, volume: float, out: Floats) -> None:
    """Take one closed bar into ``state`` (shape ``(STATE_SIZE,)``) and write its features to ``out`` (``(WIDTH,)``).

    Open, high, low and close in ticks, volume in any unit, ``close_ns`` in ns since 1970 UTC.
    """
    seen = int(state[0])
    true_range = math.nan
    if seen > 0:
        before = state[_HEAD + _CLOSE * 2 * _CAPACITY + (seen - 1) % _CAPACITY]
        true_range = max(h, before) - min(lo, before)
    _push(state, _CLOSE, c)
    _push(state, _LOG_CLOSE, math.log(c))
    _push(state, _HIGH, h)
    _push(state, _LOW, lo)
    _push(state, _VOLUME, volume)
    _push(state, _LOG_RANGE, math.log(h / lo))
    _push(state, _TRUE_RANGE, true_range)
    seen += 1

    for i in range(6):
        back = 1 << i
        out[i] = math.nan
        if seen > back:
            logs = _last(state, _LOG_CLOSE, back + 1)
            out[i] = logs[back] - logs[0]

    out[6] = _ratio(c - o, h - lo)
    out[7] = _ratio(h - max(o, c), h - lo)
    out[8] = _ratio(2.0 * c - h - lo, h - lo)

    out[9:21] = math.nan
    if seen >= 14 + 1:
        closes = _last(state, _CLOSE, 14 + 1)
        rises = 0.0
        falls = 0.0
        for i in range(14):
            move = closes[i + 1] - closes[i]
            if move > 0.0:
                rises += move
            else:
                falls -= move
        out[12] = _ratio(100.0 * rises, rises + falls)
        out[14] = _mean(_last(state, _TRUE_RANGE, 14)) / c
    if seen >= 16 + 1:
        out[10] = _move_std(_last(state, _LOG_CLOSE, 16 + 1))
        closes = _last(state, _CLOSE, 16 + 1)
        balance = 0
        for i in range(16):
            if closes[i + 1] > closes[i]:
                balance += 1
            elif closes[i + 1] < closes[i]:
                balance -= 1
        out[20] = balance / 16.0
    if seen >= 20:
        mean, std = _moments(_last(state, _CLOSE, 20))
        out[15] = _ratio(c - mean + 2.0 * std, 4.0 * std)
        floor = _last(state, _LOW, 20).min()
        out[16] = _ratio(c - floor, _last(state, _HIGH, 20).max() - floor)
        square = 0.0
        for value in _last(state, _LOG_RANGE, 20):
            square += value * value
        out[17] = math.sqrt(square / 20.0 / (4.0 * math.log(2.0)))
    if seen >= 32:
        volumes = _last(state, _VOLUME, 32)
        mean, std = _moments(volumes)
        out[18] = _ratio(volume - mean, std)
        out[19] = _correlation(_last(state, _CLOSE, 32), volumes)
    if seen >= WARMUP:
        closes = _last(state, _CLOSE, 64)
        mean, std = _moments(closes)
        out[9] = _ratio(c - mean, std)
        out[11] = _ratio(out[10], _move_std(_last(state, _LOG_CLOSE, 64)))
        slow = _exponential_mean(closes, 26)
        out[13] = (_exponential_mean(closes, 12) - slow) / slow

    seconds = close_ns // 1_000_000_000
    day = 2.0 * math.pi * (seconds % _DAY) / _DAY
    week = 2.0 * math.pi * ((seconds + _MONDAY) % _WEEK) / _WEEK
    out[21] = math.sin(day)
    out[22] = math.cos(day)
    out[23] = math.sin(week)
    out[24] = math.cos(week)
    state[0] = seen


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """`step` over bars, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        begin = at + i * stride
        o, h, lo, c, volume = rows[i, OPEN], rows[i, HIGH], rows[i, LOW], rows[i, CLOSE], rows[i, VOLUME]
        step(state, close_ns[i], o, h, lo, c, volume, out[begin : begin + WIDTH])


FAMILY = Family(NAME, VERSION, FORMULAS, WARMUP, STATE_SIZE, run)
