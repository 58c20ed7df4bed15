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
from pregao.features.nested import BARS_KEPT, NEWER, ROWS, WINDOWS, apart, bar_at, five, join, older_row, row
from pregao.features.rings import ratio
from pregao.features.sorting import clear, quantile, replace, size

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME = "alpha158"
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
"""In qlib's expressions, which `docs/reference/features.md` tells."""


def _first(name: str) -> int:
    return list(FORMULAS).index(f"{name}{WINDOWS[0]}")


(_ROC, _MA, _STD, _BETA, _RSQR, _RESI, _MAX, _MIN, _QTLU, _QTLD, _RANK, _RSV, _IMAX, _IMIN, _IMXD, _CORR, _CORD, _CNTP,
 _CNTN, _CNTD, _SUMP, _SUMN, _SUMD, _VMA, _VSTD, _WVMA, _VSUMP, _VSUMN, _VSUMD) = map(_first, _ROLLING)  # fmt: skip
_FIRST_ROLLING, _WIDTH = len(_ONE_BAR), len(FORMULAS)

_UPS, _MOVES, _RISES, _FALLS, _VOLUME_UPS, _VOLUME_MOVES = range(6)
_SUMS = _MOMENTS = 6
_C, _LOG_V, _RISE, _LOG_RISE_V, _V, _FLOWS = range(_SUMS, _SUMS + 2 * _MOMENTS, 2)
_TIME_C, _C_LOG_V, _RISE_V, _HIGH, _HIGH_AT, _LOW, _LOW_AT = range(18, 25)
_FIELDS = 25
"""What is kept of a window, see `pregao.features.nested`: sums, six pairs of moments, products of deviations (of close
and time, close and volume, rise and rise of volume), extremes and the bars where they are."""

_CLOSES, _KEPT = 1, 64
_BARS = _CLOSES + _KEPT
_BAR_FIELDS = 14
_ROWS = _BARS + _BAR_FIELDS * BARS_KEPT
_FIRST_ORDER = _ROWS + ROWS * _FIELDS
_ORDERS = tuple(_FIRST_ORDER + 2 * sum(map(size, WINDOWS[:w])) for w in range(len(WINDOWS)))
STATE_SIZE = _FIRST_ORDER + 2 * sum(map(size, WINDOWS))
"""The number of bars, the last closes, all of the last few bars, the rows of windows, twice each window's
closes in order.
Of a bar are kept the six summands, the six values whose moments are taken, its high and its low."""


@inner
def _one_bar(o: float, h: float, lo: float, c: float, out: Floats, at: int) -> None:
    upper, lower, shift, span = h - max(o, c), min(o, c) - lo, 2.0 * c - h - lo, h - lo
    out[at] = (c - o) / o
    out[at + 1] = span / o
    out[at + 2] = ratio(c - o, span)
    out[at + 3] = upper / o
    out[at + 4] = ratio(upper, span)
    out[at + 5] = lower / o
    out[at + 6] = ratio(lower, span)
    out[at + 7] = shift / o
    out[at + 8] = ratio(shift, span)
    out[at + 9] = o / c
    out[at + 10] = h / c
    out[at + 11] = lo / c
    out[at + 12] = (h + lo + c) / 3.0 / c


@inner
def _take(state: Floats, seen: int, h: float, lo: float, c: float, v: float) -> None:
    """What of a bar goes into windows. Of the first one no moves are known."""
    at = bar_at(_BARS, _BAR_FIELDS, seen)
    step = volume_step = rise = log_rise_volume = math.nan
    if seen > 0:
        before = bar_at(_BARS, _BAR_FIELDS, seen - 1)
        before_c, before_v = state[before + 6], state[before + 10]
        step, volume_step, rise = c - before_c, v - before_v, c / before_c
        log_rise_volume = math.log(ratio(v, before_v) + 1.0)
    state[_CLOSES + (seen & (_KEPT - 1))] = c
    state[at] = max(step, 0.0)
    state[at + 1] = abs(step)
    state[at + 2] = 1.0 if step > 0.0 else 0.0
    state[at + 3] = 1.0 if step < 0.0 else 0.0
    state[at + 4] = max(volume_step, 0.0)
    state[at + 5] = abs(volume_step)
    state[at + 6] = c
    state[at + 7] = math.log(v + 1.0)
    state[at + 8] = rise
    state[at + 9] = log_rise_volume
    state[at + 10] = v
    state[at + 11] = abs(rise - 1.0) * v
    state[at + 12] = h
    state[at + 13] = lo


@inner
def _five(state: Floats, seen: int, to: int) -> None:
    """The window of five, from the bars themselves."""
    five(state, to, _BARS, _BAR_FIELDS, seen, _SUMS, _MOMENTS)
    lean = across = together = 0.0
    newest = bar_at(_BARS, _BAR_FIELDS, seen)
    high, low, high_at, low_at = state[newest + 12], state[newest + 13], seen, seen
    for k in range(5):
        bar = bar_at(_BARS, _BAR_FIELDS, seen - k)
        c = state[bar + 6] - state[to + _C]
        lean += (2 - k) * c
        across += c * (state[bar + 7] - state[to + _LOG_V])
        together += (state[bar + 8] - state[to + _RISE]) * (state[bar + 9] - state[to + _LOG_RISE_V])
        h, lo = state[bar + 12], state[bar + 13]
        high_at = seen - k if h >= high else high_at
        high = max(high, h)
        low_at = seen - k if lo <= low else low_at
        low = min(low, lo)
    state[to + _TIME_C], state[to + _C_LOG_V], state[to + _RISE_V] = lean, across, together
    state[to + _HIGH], state[to + _HIGH_AT], state[to + _LOW], state[to + _LOW_AT] = high, high_at, low, low_at


@inner
def _join(state: Floats, to: int, newer: int, older: int, n: int, n_newer: int) -> None:
    """A window from its newer and its older part."""
    n_older = n - n_newer
    part, weight = n_older / n, n_newer * n_older / n
    join(state, to, newer, older, _SUMS, _MOMENTS, part, weight)
    c, log_v = apart(state, newer, older, _C), apart(state, newer, older, _LOG_V)
    rise, log_rise_v = apart(state, newer, older, _RISE), apart(state, newer, older, _LOG_RISE_V)
    # the centres of the two parts are half a window apart in time
    state[to + _TIME_C] = state[newer + _TIME_C] + state[older + _TIME_C] - c * (n / 2.0) * weight
    state[to + _C_LOG_V] = state[newer + _C_LOG_V] + state[older + _C_LOG_V] + c * log_v * weight
    state[to + _RISE_V] = state[newer + _RISE_V] + state[older + _RISE_V] + rise * log_rise_v * weight
    # of equal extremes the oldest counts
    high = older if state[older + _HIGH] >= state[newer + _HIGH] else newer
    state[to + _HIGH], state[to + _HIGH_AT] = state[high + _HIGH], state[high + _HIGH_AT]
    low = older if state[older + _LOW] <= state[newer + _LOW] else newer
    state[to + _LOW], state[to + _LOW_AT] = state[low + _LOW], state[low + _LOW_AT]


@inner
def _correlation(xy: float, xx: float, yy: float) -> float:
    return ratio(xy, math.sqrt(xx * yy))


@inner
def _levels(state: Floats, seen: int, at: int, n: int, c: float, v: float, out: Floats, to: int) -> None:
    """What needs as many bars as the window is long, from its row at ``at``."""
    per_c, spread = 1.0 / c, n * (n * n - 1.0) / 12.0
    mean, lean = state[at + _C], state[at + _TIME_C]
    slope = lean / spread
    high, low = state[at + _HIGH], state[at + _LOW]
    high_age, low_age = seen - state[at + _HIGH_AT], seen - state[at + _LOW_AT]
    out[to + _MA] = mean * per_c
    out[to + _STD] = math.sqrt(state[at + _C + 1] / (n - 1)) * per_c
    out[to + _BETA] = slope * per_c
    out[to + _RSQR] = ratio(lean * slope, state[at + _C + 1])
    out[to + _RESI] = (c - mean - slope * ((n - 1) / 2.0)) * per_c
    out[to + _MAX] = high * per_c
    out[to + _MIN] = low * per_c
    out[to + _RSV] = ratio(c - low, high - low)
    out[to + _IMAX] = (n - high_age) / n
    out[to + _IMIN] = (n - low_age) / n
    out[to + _IMXD] = (low_age - high_age) / n
    out[to + _CORR] = _correlation(state[at + _C_LOG_V], state[at + _C + 1], state[at + _LOG_V + 1])
    out[to + _VMA] = ratio(state[at + _V], v)
    out[to + _VSTD] = ratio(math.sqrt(state[at + _V + 1] / (n - 1)), v)


@inner
def _moves(state: Floats, at: int, n: int, out: Floats, to: int) -> None:
    """What needs one bar more."""
    rises, falls = state[at + _RISES] / n, state[at + _FALLS] / n
    out[to + _CNTP] = rises
    out[to + _CNTN] = falls
    out[to + _CNTD] = rises - falls
    _shares(state[at + _UPS], state[at + _MOVES], out, to + _SUMP, to + _SUMN, to + _SUMD)
    _shares(state[at + _VOLUME_UPS], state[at + _VOLUME_MOVES], out, to + _VSUMP, to + _VSUMN, to + _VSUMD)
    out[to + _CORD] = _correlation(state[at + _RISE_V], state[at + _RISE + 1], state[at + _LOG_RISE_V + 1])
    out[to + _WVMA] = ratio(math.sqrt(state[at + _FLOWS + 1] / (n - 1)), state[at + _FLOWS])


@inner
def _shares(ups: float, moves: float, out: Floats, up: int, down: int, balance: int) -> None:
    share = ratio(ups, moves)
    out[up] = share
    out[down] = 1.0 - share
    out[balance] = 2.0 * share - 1.0


@inner
def _in_order(state: Floats, seen: int, c: float, out: Floats, at: int) -> None:
    """What needs the closes of a window in order."""
    if seen == 0:
        for w in range(len(WINDOWS)):
            clear(state, _ORDERS[w], WINDOWS[w])
            clear(state, _ORDERS[w] + WINDOWS[w] + 2, WINDOWS[w])
    for w in range(len(WINDOWS)):
        n, one = WINDOWS[w], _ORDERS[w]
        other = one + n + 2
        order, to = (one, other) if seen & 1 else (other, one)
        old = state[_CLOSES + ((seen - n) & (_KEPT - 1))] if seen >= n else math.inf
        place = replace(state, order, to, n, old, c)
        if seen >= n:
            out[at + _ROC + w] = old / c
        if seen + 1 >= n:
            out[at + _RANK + w] = place / n
            out[at + _QTLU + w] = quantile(state, to, n, 0.8) / c
            out[at + _QTLD + w] = quantile(state, to, n, 0.2) / c


@inner
def _step(state: Floats, o: float, h: float, lo: float, c: float, v: float, out: Floats, at: int) -> None:
    seen = int(state[0])
    _one_bar(o, h, lo, c, out, at)
    for j in range(at + _FIRST_ROLLING, at + _WIDTH):
        out[j] = math.nan
    _in_order(state, seen, c, out, at)
    _take(state, seen, h, lo, c, v)
    newer = 0
    for w in range(len(WINDOWS)):
        n = WINDOWS[w]
        if seen + 1 < n:
            break
        to = _ROWS + row(seen, w) * _FIELDS
        if w == 0:
            _five(state, seen, to)
        else:
            _join(state, to, newer, _ROWS + older_row(seen, w) * _FIELDS, n, NEWER[w])
        newer = to
        _levels(state, seen, to, n, c, v, out, at + w)
        if seen >= n:
            _moves(state, to, n, out, at + w)
    state[0] = seen + 1


@compiled
def run(state: Floats, bar_ns: int, close_ns: Ints, rows: Floats, out: Floats, at: int, stride: int) -> None:
    """The 158 features of bars, see `pregao.features.family`."""
    for i in range(len(close_ns)):
        o, h, lo, c, v = rows[i, OPEN], rows[i, HIGH], rows[i, LOW], rows[i, CLOSE], rows[i, VOLUME]
        _step(state, o, h, lo, c, v, out, at + i * stride)


FAMILY = Family(NAME, 1, FORMULAS, WARMUP, STATE_SIZE, run)
