"""The indicators that smooth recursively, RSI, MACD, ATR, ADX, as TA-Lib computes them, made to forget exactly.

A recursion remembers its first bar for ever, if ever so faintly; then a stream that began elsewhere would never quite
give what training saw. So the recursion begins anew with each block of time: blocks are `BLOCK` bar lengths long and
counted from 1970, and the value at a bar is that of the recursion begun at the first bar of the block in which the
bar `BLOCK` bars ago lies. It is a function of at most `WARMUP` bars, the same wherever a stream began, and between
`BLOCK` and 2 `BLOCK` bars deep: Wilder's smoothing over 14 bars has then forgotten all but 8 in 100,000 of its start.

One recursion runs. When its start moves on, once a block, it is run again from there over the bars kept.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled, inner
from pregao.features.family import CLOSE, HIGH, LOW, Family
from pregao.features.rings import ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME = "recursive"
BLOCK = 128
WARMUP = 2 * BLOCK
FORMULAS = {
    "rsi_7": "RSI($close, 7)",
    "rsi_14": "RSI($close, 14)",
    "macd_12_26": "MACD($close, 12, 26)/$close",
    "macd_signal_9": "MACDSignal($close, 12, 26, 9)/$close",
    "macd_histogram": "(MACD($close, 12, 26)-MACDSignal($close, 12, 26, 9))/$close",
    "atr_14": "ATR($high, $low, $close, 14)/$close",
    "plus_di_14": "PlusDI($high, $low, $close, 14)",
    "minus_di_14": "MinusDI($high, $low, $close, 14)",
    "adx_14": "ADX($high, $low, $close, 14)",
}

_N = 14
_FAST, _SLOW, _SIGNAL = 12, 26, 9
(_SEEN, _BLOCK_AT, _AGE, _C, _H, _L, _RISE_7, _FALL_7, _RISE_14, _FALL_14, _RANGE, _PLUS, _MINUS, _TRUE, _DX,
 _FAST_MEAN, _SLOW_MEAN, _SIGNAL_MEAN) = range(18)  # fmt: skip
"""The registers: bars taken in, the block of the recursion's start, bars since the start, the last bar, then sums
while they begin and means from then on."""
_FIRST, _REGISTERS = _AGE, 18
_CLOSES, _HIGHS, _LOWS, _BLOCKS = (_REGISTERS + ring * WARMUP for ring in range(4))
STATE_SIZE = _REGISTERS + 4 * WARMUP


@inner
def _wilder(mean: float, value: float, count: int, n: int) -> float:
    """The mean of the first ``n`` values, then a part 1/n of each more; a sum until then."""
    if count < n:
        return mean + value
    if count == n:
        return (mean + value) / n
    return mean + (value - mean) * (1.0 / n)


@inner
def _exponential(mean: float, value: float, count: int, n: int) -> float:
    """The same with the weight 2 / (n + 1)."""
    if count <= n:
        return _wilder(mean, value, count, n)
    return mean + (value - mean) * (2.0 / (n + 1.0))


@inner
def _directions(state: Floats, plus: float, minus: float, true: float, age: int) -> None:
    """Wilder's directional movement: decaying sums, whose first value is a sum of n - 1, as TA-Lib has it."""
    keep = 1.0 if age < _N else 1.0 - 1.0 / _N
    state[_PLUS] = state[_PLUS] * keep + plus
    state[_MINUS] = state[_MINUS] * keep + minus
    state[_TRUE] = state[_TRUE] * keep + true
    if age >= _N:
        both = state[_PLUS] + state[_MINUS]
        if both != 0.0 and state[_TRUE] != 0.0:
            state[_DX] = _wilder(state[_DX], 100.0 * abs(state[_PLUS] - state[_MINUS]) / both, age - _N + 1, _N)
        elif age == 2 * _N - 1:
            state[_DX] /= _N


@inner
def _take(state: Floats, h: float, lo: float, c: float) -> None:
    """One more bar of the recursion."""
    age = int(state[_AGE])
    if age > 0:
        move = c - state[_C]
        rise, fall = max(move, 0.0), max(-move, 0.0)
        state[_RISE_7] = _wilder(state[_RISE_7], rise, age, 7)
        state[_FALL_7] = _wilder(state[_FALL_7], fall, age, 7)
        state[_RISE_14] = _wilder(state[_RISE_14], rise, age, _N)
        state[_FALL_14] = _wilder(state[_FALL_14], fall, age, _N)
        true = max(h, state[_C]) - min(lo, state[_C])
        state[_RANGE] = _wilder(state[_RANGE], true, age, _N)
        up, down = h - state[_H], state[_L] - lo
        plus = up if up > 0.0 and up > down else 0.0
        minus = down if down > 0.0 and down > up else 0.0
        _directions(state, plus, minus, true, age)
    count = age + 1
    state[_SLOW_MEAN] = _exponential(state[_SLOW_MEAN], c, count, _SLOW)
    if count > _SLOW - _FAST:  # both begin at the same bar, the slow one's first
        state[_FAST_MEAN] = _exponential(state[_FAST_MEAN], c, count - (_SLOW - _FAST), _FAST)
    if count >= _SLOW:
        macd = state[_FAST_MEAN] - state[_SLOW_MEAN]
        state[_SIGNAL_MEAN] = _exponential(state[_SIGNAL_MEAN], macd, count - _SLOW + 1, _SIGNAL)
    state[_C], state[_H], state[_L], state[_AGE] = c, h, lo, count


@inner
def _step(state: Floats, block: int, h: float, lo: float, c: float, out: Floats, at: int) -> None:
    seen = int(state[_SEEN])
    place = seen & (WARMUP - 1)
    state[_CLOSES + place], state[_HIGHS + place], state[_LOWS + place] = c, h, lo
    state[_BLOCKS + place] = block
    if seen == 0:
        state[_BLOCK_AT] = block
    start = seen - BLOCK
    if start >= 0 and state[_BLOCKS + (start & (WARMUP - 1))] != state[_BLOCK_AT]:
        state[_BLOCK_AT] = state[_BLOCKS + (start & (WARMUP - 1))]
        for register in range(_FIRST, _REGISTERS):
            state[register] = 0.0
        for bar in range(start, seen):
            old = bar & (WARMUP - 1)
            _take(state, state[_HIGHS + old], state[_LOWS + old], state[_CLOSES + old])
    _take(state, h, lo, c)
    state[_SEEN] = seen + 1
    _write(state, c, out, at)


@inner
def _write(state: Floats, c: float, out: Floats, at: int) -> None:
    for j in range(at, at + 9):
        out[j] = math.nan
    age = int(state[_AGE]) - 1
    if age >= 7:
        out[at] = ratio(100.0 * state[_RISE_7], state[_RISE_7] + state[_FALL_7])
    if age >= _N:
        out[at + 1] = ratio(100.0 * state[_RISE_14], state[_RISE_14] + state[_FALL_14])
        out[at + 5] = state[_RANGE] / c
        out[at + 6] = ratio(100.0 * state[_PLUS], state[_TRUE])
        out[at + 7] = ratio(100.0 * state[_MINUS], state[_TRUE])
    if age >= 2 * _N - 1:
        out[at + 8] = state[_DX]
    if age >= _SLOW - 1:
        out[at + 2] = (state[_FAST_MEAN] - state[_SLOW_MEAN]) / c
    if age >= _SLOW + _SIGNAL - 2:
        out[at + 3] = state[_SIGNAL_MEAN] / c
        out[at + 4] = (state[_FAST_MEAN] - state[_SLOW_MEAN] - state[_SIGNAL_MEAN]) / c


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The indicators of bars, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        block = (close_ns[i] - 1) // (BLOCK * bar_ns)
        _step(state, block, rows[i, HIGH], rows[i, LOW], rows[i, CLOSE], out, at + i * stride)


FAMILY = Family(NAME, 1, FORMULAS, WARMUP, STATE_SIZE, run)
