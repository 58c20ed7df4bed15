"""The state of another instrument, a market or BTC factor: its returns, and how this instrument follows it.

Its last closed bar at each own close is its price then (`pregao.features.beside`); returns run over own bars.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled, inner
from pregao.features.beside import STALE
from pregao.features.family import CLOSE, COLUMNS, Family
from pregao.features.rings import HEAD, SPAN, newest, put, ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_N = 60
_RETURN, _MARKET_RETURN = "Log($close/Ref($close, 1))", "Log($market/Ref($market, 1))"
FORMULAS = {
    "market_return_1": _MARKET_RETURN,
    "market_return_4": "Log($market/Ref($market, 4))",
    "market_return_16": "Log($market/Ref($market, 16))",
    "market_zscore_60": "($market-Mean($market, 60))/PopStd($market, 60)",
    "market_volatility_60": f"Std({_MARKET_RETURN}, 60)",
    "market_correlation_60": f"Corr({_RETURN}, {_MARKET_RETURN}, 60)",
    "market_beta_60": f"Corr({_RETURN}, {_MARKET_RETURN}, 60)*Std({_RETURN}, 60)/Std({_MARKET_RETURN}, 60)",
    "relative_16": "Log($close/Ref($close, 16))-Log($market/Ref($market, 16))",
    "market_age": "$market_age",
}
_LOG_C, _LOG_M, _M = (ring * SPAN for ring in range(3))
STATE_SIZE = HEAD + 3 * SPAN


@inner
def _together(state: Floats, end: int, out: Floats, at: int) -> None:
    own, other = end + _LOG_C, end + _LOG_M
    x0, y0 = state[own] - state[own - 1], state[other] - state[other - 1]
    xs = xss = ys = yss = xys = 0.0
    for k in range(_N):
        x, y = state[own - k] - state[own - k - 1] - x0, state[other - k] - state[other - k - 1] - y0
        xs += x
        xss += x * x
        ys += y
        yss += y * y
        xys += x * y
    x_around, y_around = max(xss - xs * xs / _N, 0.0), max(yss - ys * ys / _N, 0.0)
    across = xys - xs * ys / _N
    out[at + 4] = math.sqrt(y_around / (_N - 1))
    out[at + 5] = ratio(across, math.sqrt(x_around * y_around))
    out[at + 6] = ratio(across, y_around) if x_around > 0.0 else math.nan


@inner
def _level(state: Floats, end: int) -> float:
    """How far the market is from its mean, in deviations."""
    m = state[end + _M]
    total = square = 0.0
    for k in range(_N):
        d = state[end + _M - k] - m
        total += d
        square += d * d
    return ratio(-total / _N, math.sqrt(max(square - total * total / _N, 0.0) / _N))


@inner
def _step(state: Floats, c: float, market: float, age: float, out: Floats, at: int) -> None:
    seen = int(state[0])
    put(state, seen, 0, math.log(c))
    put(state, seen, 1, math.log(market))
    put(state, seen, 2, market)
    end = newest(seen)
    for j in range(8):
        out[at + j] = math.nan
    if seen >= 1:
        out[at] = state[end + _LOG_M] - state[end + _LOG_M - 1]
    if seen >= 4:
        out[at + 1] = state[end + _LOG_M] - state[end + _LOG_M - 4]
    if seen >= 16:
        out[at + 2] = state[end + _LOG_M] - state[end + _LOG_M - 16]
        out[at + 7] = state[end + _LOG_C] - state[end + _LOG_C - 16] - out[at + 2]
    if seen + 1 >= _N:
        out[at + 3] = _level(state, end)
    if seen >= _N:
        _together(state, end, out, at)
    out[at + 8] = age
    state[0] = seen + 1


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The factor's features at each own bar, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        _step(state, rows[i, CLOSE], rows[i, COLUMNS], rows[i, COLUMNS + 1], out, at + i * stride)


# A close of the other instrument counts for so long; a stream that began later must have seen it.
FAMILY = Family("factor", 1, FORMULAS, _N + 1 + STALE, STATE_SIZE, run, ("market",))
