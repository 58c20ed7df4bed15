"""The feature set ``alpha158``: the 158 features of qlib's Alpha158, names, order and formulas as qlib has them.

Where qlib differs: it adds 1e-12 to denominators that can be zero, so that a bar without range has 0 and one without
volume a giant; here such a ratio is missing. It computes a window from its first bar on; here a window that is not
full is missing. It has the volume-weighted price of a bar from its data; bars here have none, and the typical price
(high + low + close) / 3 stands for it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled, inner
from pregao.features.family import CLOSE, HIGH, LOW, OPEN, VOLUME, Family
from pregao.features.rings import HEAD, SPAN, newest, put, ratio
from pregao.features.sorting import insert, quantile, replace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME = "alpha158"
WINDOWS = (5, 10, 20, 30, 60)
_W = len(WINDOWS)
WARMUP = WINDOWS[-1] + 1
"""Moves from bar to bar need one bar more than the longest window."""

_ONE_BAR = {
    "KMID": "($close-$open)/$open",
    "KLEN": "($high-$low)/$open",
    "KMID2": "($close-$open)/($high-$low)",
    "KUP": "($high-Greater($open, $close))/$open",
    "KUP2": "($high-Greater($open, $close))/($high-$low)",
    "KLOW": "(Less($open, $close)-$low)/$open",
    "KLOW2": "(Less($open, $close)-$low)/($high-$low)",
    "KSFT": "(2*$close-$high-$low)/$open",
    "KSFT2": "(2*$close-$high-$low)/($high-$low)",
    "OPEN0": "$open/$close",
    "HIGH0": "$high/$close",
    "LOW0": "$low/$close",
    "VWAP0": "($high+$low+$close)/3/$close",
}
_UP, _DOWN, _MOVE = "Greater({0}-Ref({0}, 1), 0)", "Greater(Ref({0}, 1)-{0}, 0)", "Abs({0}-Ref({0}, 1))"
_FLOW = "Abs($close/Ref($close, 1)-1)*$volume"


def _sums(x: str) -> tuple[str, str, str]:
    up, down, move = (f"Sum({f.format(x)}, #)" for f in (_UP, _DOWN, _MOVE))
    return f"{up}/{move}", f"{down}/{move}", f"({up}-{down})/{move}"


_ROLLING = {
    "ROC": "Ref($close, #)/$close",
    "MA": "Mean($close, #)/$close",
    "STD": "Std($close, #)/$close",
    "BETA": "Slope($close, #)/$close",
    "RSQR": "Rsquare($close, #)",
    "RESI": "Resi($close, #)/$close",
    "MAX": "Max($high, #)/$close",
    "MIN": "Min($low, #)/$close",
    "QTLU": "Quantile($close, #, 0.8)/$close",
    "QTLD": "Quantile($close, #, 0.2)/$close",
    "RANK": "Rank($close, #)",
    "RSV": "($close-Min($low, #))/(Max($high, #)-Min($low, #))",
    "IMAX": "IdxMax($high, #)/#",
    "IMIN": "IdxMin($low, #)/#",
    "IMXD": "(IdxMax($high, #)-IdxMin($low, #))/#",
    "CORR": "Corr($close, Log($volume+1), #)",
    "CORD": "Corr($close/Ref($close, 1), Log($volume/Ref($volume, 1)+1), #)",
    "CNTP": "Mean($close>Ref($close, 1), #)",
    "CNTN": "Mean($close<Ref($close, 1), #)",
    "CNTD": "Mean($close>Ref($close, 1), #)-Mean($close<Ref($close, 1), #)",
    **dict(zip(("SUMP", "SUMN", "SUMD"), _sums("$close"), strict=True)),
    "VMA": "Mean($volume, #)/$volume",
    "VSTD": "Std($volume, #)/$volume",
    "WVMA": f"Std({_FLOW}, #)/Mean({_FLOW}, #)",
    **dict(zip(("VSUMP", "VSUMN", "VSUMD"), _sums("$volume"), strict=True)),
}
FORMULAS = _ONE_BAR | {
    f"{name}{window}": formula.replace("#", str(window)) for name, formula in _ROLLING.items() for window in WINDOWS
}
"""In qlib's expressions, which `docs/features.md` tells."""


def _at(name: str) -> int:
    return list(FORMULAS).index(f"{name}{WINDOWS[0]}")


(_ROC, _MA, _STD, _BETA, _RSQR, _RESI, _MAX, _MIN, _QTLU, _QTLD, _RANK, _RSV, _IMAX, _IMIN, _IMXD, _CORR, _CORD, _CNTP,
 _CNTN, _CNTD, _SUMP, _SUMN, _SUMD, _VMA, _VSTD, _WVMA, _VSUMP, _VSUMN, _VSUMD) = map(_at, _ROLLING)  # fmt: skip
_FIRST_ROLLING, _WIDTH = len(_ONE_BAR), len(FORMULAS)
_C, _H, _L, _V, _LOG_V, _RISE, _LOG_RISE_V, _FLOWS = (ring * SPAN for ring in range(8))
_SORTED = HEAD + 8 * SPAN
STATE_SIZE = _SORTED + sum(WINDOWS)
"""Eight rings, then the closes of each window in order."""


@inner
def _one_bar(o: float, h: float, lo: float, c: float, out: Floats, at: int) -> None:
    upper, lower, shift = h - max(o, c), min(o, c) - lo, 2.0 * c - h - lo
    out[at] = (c - o) / o
    out[at + 1] = (h - lo) / o
    out[at + 2] = ratio(c - o, h - lo)
    out[at + 3] = upper / o
    out[at + 4] = ratio(upper, h - lo)
    out[at + 5] = lower / o
    out[at + 6] = ratio(lower, h - lo)
    out[at + 7] = shift / o
    out[at + 8] = ratio(shift, h - lo)
    out[at + 9] = o / c
    out[at + 10] = h / c
    out[at + 11] = lo / c
    out[at + 12] = (h + lo + c) / 3.0 / c


@inner
def _prices(state: Floats, seen: int, out: Floats, at: int) -> None:
    """Level, spread, trend, rank and moves of the closes, as differences from the newest one, which are exact."""
    end = newest(seen) + _C
    c = state[end]
    total = square = lean = ups = moves = 0.0
    less = equal = rises = falls = begin = 0
    for w in range(_W):
        n = WINDOWS[w]
        if seen + 1 < n:
            break
        for k in range(begin, n):
            x, before = state[end - k], state[end - k - 1]
            d = x - c
            total += d
            square += d * d
            lean += k * d
            less += d < 0.0
            equal += d == 0.0
            step = x - before
            ups += max(step, 0.0)
            moves += abs(step)
            rises += step > 0.0
            falls += step < 0.0
        begin = n
        # k counts back from the newest bar: its centre and its sum of squares are those of time, its slope is not
        centre, spread = (n - 1) / 2.0, n * (n * n - 1.0) / 12.0
        mean = total / n
        around = max(square - total * mean, 0.0)
        across = lean - centre * total
        slope = -across / spread
        out[at + _MA + w] = (c + mean) / c
        out[at + _STD + w] = math.sqrt(around / (n - 1)) / c
        out[at + _BETA + w] = slope / c
        out[at + _RSQR + w] = ratio(across * across, around * spread)
        out[at + _RESI + w] = -(mean + slope * centre) / c
        out[at + _RANK + w] = (less + (equal + 1) / 2.0) / n
        if seen >= n:
            out[at + _ROC + w] = state[end - n] / c
            out[at + _CNTP + w] = rises / n
            out[at + _CNTN + w] = falls / n
            out[at + _CNTD + w] = rises / n - falls / n
            out[at + _SUMP + w] = ratio(ups, moves)
            out[at + _SUMN + w] = ratio(moves - ups, moves)
            out[at + _SUMD + w] = ratio(2.0 * ups - moves, moves)


@inner
def _extremes(state: Floats, seen: int, out: Floats, at: int) -> None:
    """Highest high and lowest low, and where they are; of equal ones the oldest counts."""
    end = newest(seen)
    c = state[end + _C]
    high, low = state[end + _H], state[end + _L]
    high_age = low_age = begin = 0
    for w in range(_W):
        n = WINDOWS[w]
        if seen + 1 < n:
            break
        for k in range(begin, n):
            h, lo = state[end + _H - k], state[end + _L - k]
            high_age = k if h >= high else high_age
            high = max(h, high)
            low_age = k if lo <= low else low_age
            low = min(lo, low)
        begin = n
        out[at + _MAX + w] = high / c
        out[at + _MIN + w] = low / c
        out[at + _RSV + w] = ratio(c - low, high - low)
        out[at + _IMAX + w] = (n - high_age) / n
        out[at + _IMIN + w] = (n - low_age) / n
        out[at + _IMXD + w] = (low_age - high_age) / n


@inner
def _quantiles(state: Floats, seen: int, out: Floats, at: int) -> None:
    end = newest(seen) + _C
    c = state[end]
    window = _SORTED
    for w in range(_W):
        n = WINDOWS[w]
        if seen < n:
            insert(state, window, seen, c)
        else:
            replace(state, window, n, state[end - n], c)
        if seen + 1 >= n:
            out[at + _QTLU + w] = quantile(state, window, n, 0.8) / c
            out[at + _QTLD + w] = quantile(state, window, n, 0.2) / c
        window += n


@inner
def _together(state: Floats, seen: int, out: Floats, at: int) -> None:
    """How price and volume move together. NaN where either is flat, or a bar without volume has no rise from it."""
    end = newest(seen)
    c, y0, r0, q0 = (state[end + _C], state[end + _LOG_V], state[end + _RISE], state[end + _LOG_RISE_V])
    cs = css = ys = yss = cys = rs = rss = qs = qss = rqs = 0.0
    begin = 0
    for w in range(_W):
        n = WINDOWS[w]
        if seen + 1 < n:
            break
        for k in range(begin, n):
            d, y = state[end + _C - k] - c, state[end + _LOG_V - k] - y0
            cs += d
            css += d * d
            ys += y
            yss += y * y
            cys += d * y
        for k in range(begin, n):
            r, q = state[end + _RISE - k] - r0, state[end + _LOG_RISE_V - k] - q0
            rs += r
            rss += r * r
            qs += q
            qss += q * q
            rqs += r * q
        begin = n
        out[at + _CORR + w] = _correlation(n, cs, css, ys, yss, cys)
        if seen >= n:
            out[at + _CORD + w] = _correlation(n, rs, rss, qs, qss, rqs)


@inner
def _correlation(n: int, x: float, xx: float, y: float, yy: float, xy: float) -> float:
    """Pearson's, from sums."""
    around = max(xx - x * x / n, 0.0) * max(yy - y * y / n, 0.0)
    return ratio(xy - x * y / n, math.sqrt(around))


@inner
def _volumes(state: Floats, seen: int, out: Floats, at: int) -> None:
    end = newest(seen)
    v, f = state[end + _V], state[end + _FLOWS]
    total = square = ups = moves = flow = flow_square = 0.0
    begin = 0
    for w in range(_W):
        n = WINDOWS[w]
        if seen + 1 < n:
            break
        for k in range(begin, n):
            x, before, z = state[end + _V - k], state[end + _V - k - 1], state[end + _FLOWS - k] - f
            d, step = x - v, x - before
            total += d
            square += d * d
            ups += max(step, 0.0)
            moves += abs(step)
            flow += z
            flow_square += z * z
        begin = n
        out[at + _VMA + w] = ratio(v + total / n, v)
        out[at + _VSTD + w] = ratio(math.sqrt(max(square - total * total / n, 0.0) / (n - 1)), v)
        if seen >= n:
            spread = math.sqrt(max(flow_square - flow * flow / n, 0.0) / (n - 1))
            out[at + _WVMA + w] = ratio(spread, f + flow / n)
            out[at + _VSUMP + w] = ratio(ups, moves)
            out[at + _VSUMN + w] = ratio(moves - ups, moves)
            out[at + _VSUMD + w] = ratio(2.0 * ups - moves, moves)


@inner
def _step(state: Floats, o: float, h: float, lo: float, c: float, v: float, out: Floats, at: int) -> None:
    seen = int(state[0])
    rise = log_rise_volume = flow = math.nan
    if seen > 0:
        before = newest(seen) - 1
        rise = c / state[before + _C]
        log_rise_volume = math.log(ratio(v, state[before + _V]) + 1.0)
        flow = abs(rise - 1.0) * v
    put(state, seen, 0, c)
    put(state, seen, 1, h)
    put(state, seen, 2, lo)
    put(state, seen, 3, v)
    put(state, seen, 4, math.log(v + 1.0))
    put(state, seen, 5, rise)
    put(state, seen, 6, log_rise_volume)
    put(state, seen, 7, flow)
    _one_bar(o, h, lo, c, out, at)
    for j in range(at + _FIRST_ROLLING, at + _WIDTH):
        out[j] = math.nan
    _prices(state, seen, out, at)
    _extremes(state, seen, out, at)
    _quantiles(state, seen, out, at)
    _together(state, seen, out, at)
    _volumes(state, seen, out, at)
    state[0] = seen + 1


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The 158 features of bars, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        o, h, lo, c, v = rows[i, OPEN], rows[i, HIGH], rows[i, LOW], rows[i, CLOSE], rows[i, VOLUME]
        _step(state, o, h, lo, c, v, out, at + i * stride)


FAMILY = Family(NAME, 1, FORMULAS, WARMUP, STATE_SIZE, run)
