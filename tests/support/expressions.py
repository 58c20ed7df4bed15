"""The formulas of the features, evaluated by pandas and NumPy: a second, slow and plain implementation.

The language is that of qlib's expressions: `$close` is a column, `Ref(x, n)` the value n bars ago, and the rolling
words take a window as their last argument. A window that is not full, or has a missing value in it, has none; nor
has a division by zero.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pregao.core.bars import COLUMNS, Bars
from pregao.features.conformance import hours, other_market

Value = Any


def table(bars: Bars) -> dict[str, pd.Series]:
    """The columns that formulas name: the bars', their close time, the session's, the other instrument's."""
    columns = {name: pd.Series(getattr(bars, name).astype(float)) for name in (*COLUMNS, "volume")}
    columns["second"] = pd.Series(bars.close_ns // 10**9)
    columns["bar_seconds"] = pd.Series(np.full(len(bars), bars.timeframe.seconds))
    elapsed, length = hours(bars.open_ns, bars.close_ns).T
    columns |= {"session_elapsed": pd.Series(elapsed), "session_length": pd.Series(length)}
    other = other_market(bars)
    own = pd.DataFrame({"at": bars.close_ns})
    theirs = pd.DataFrame({"at": other.close_ns, "since": other.close_ns, "market": other.close.astype(float)})
    known = pd.merge_asof(own, theirs, on="at")
    age = (known["at"] - known["since"]) / bars.timeframe.ns
    return columns | {"market": known["market"].where(age <= 60), "market_age": age.where(age <= 60)}


def evaluate(formula: str, columns: dict[str, pd.Series]) -> Value:
    """One formula over columns, which are named without the dollar sign."""
    return _value(ast.parse(formula.replace("$", "column_"), mode="eval").body, columns)


def _value(node: ast.AST, columns: dict[str, pd.Series]) -> Value:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return math.pi if name == "pi" else columns[name.removeprefix("column_")]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, columns)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, columns), _value(right, columns)
            return _quotient(a, b) if isinstance(op, ast.Div) else _BINARY[type(op)](a, b)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            a, b = _value(left, columns), _value(right, columns)
            true = (a > b) if isinstance(op, ast.Gt) else (a < b)
            return true.astype(float).where(a.notna() & b.notna())
        case ast.Call(func=ast.Name(id="Higher"), args=[ast.Constant(value=int(k)), inner]):
            return _higher(inner, columns, k)
        case ast.Call(func=ast.Name(id=word), args=args) if word in RESTARTED:
            return _restarted(RESTARTED[word], [_value(a, columns) for a in args], columns)
        case ast.Call(func=ast.Name(id=word), args=args):
            return WORDS[word](*(_value(a, columns) for a in args))
    raise ValueError(ast.dump(node))


def _quotient(a: Value, b: Value) -> Value:
    return a / b.where(b != 0) if isinstance(b, pd.Series) else a / b


def _higher(node: ast.AST, columns: dict[str, pd.Series], k: int) -> pd.Series:
    """A formula over bars of k bar lengths, at each own bar that of the last one that is known to have closed."""
    seconds, span = columns["second"], int(columns["bar_seconds"].iloc[0])
    bucket = (seconds - 1) // (k * span)
    groups = pd.DataFrame(columns).groupby(bucket)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "second": "last"}
    bars = groups.agg(how)
    last_row = pd.Series(np.arange(len(seconds))).groupby(bucket).last()
    ended = bars["second"] == (bars.index + 1) * k * span
    known_from = last_row.where(ended, last_row + 1)
    if (int(seconds.iloc[0]) - span) % (k * span):
        bars, known_from = bars.iloc[1:], known_from.iloc[1:]
    values = _value(node, {name: bars[name].reset_index(drop=True) for name in how})
    out = np.full(len(seconds), np.nan)
    for row, value in zip(known_from, values, strict=True):  # the next one writes over what follows
        out[int(row) :] = value
    return pd.Series(out)


def anchors(seconds: pd.Series, bar_seconds: int) -> np.ndarray:
    """Where the recursion behind each bar began: the first bar in the block of time of the bar 128 bars ago."""
    block = (seconds.to_numpy(np.int64) - 1) // (128 * bar_seconds)
    start = np.maximum(np.arange(len(block)) - 128, 0)
    return np.searchsorted(block, block[start])


def _restarted(of: Callable[..., pd.Series], args: list[Value], columns: dict[str, pd.Series]) -> pd.Series:
    """A recursive indicator, begun anew at each of the `anchors`."""
    began = anchors(columns["second"], int(columns["bar_seconds"].iloc[0]))
    out = pd.Series(np.full(len(began), np.nan))
    for anchor in np.unique(began):
        rows = np.flatnonzero(began == anchor)
        part = slice(anchor, rows[-1] + 1)
        values = of(*(a.iloc[part].reset_index(drop=True) if isinstance(a, pd.Series) else a for a in args))
        out.iloc[rows] = values.to_numpy()[rows - anchor]
    return out


def _smooth(x: pd.Series, n: int, alpha: float) -> pd.Series:
    """The mean of the first n values, exponentially smoothed from there on."""
    first = int(x.first_valid_index() or 0)
    seeded = x.copy()
    seeded.iloc[: first + n] = np.nan
    if len(x) >= first + n:
        seeded.iloc[first + n - 1] = x.iloc[first : first + n].mean()
    return seeded.ewm(alpha=alpha, adjust=False).mean()


def _rsi(c: pd.Series, n: int) -> pd.Series:
    up, down = (_smooth((s * c.diff()).clip(lower=0).where(c.diff().notna()), n, 1 / n) for s in (1, -1))
    return 100 * _quotient(up, up + down)


def _macd(c: pd.Series, fast: int, slow: int) -> pd.Series:
    late = c.copy()
    late.iloc[: slow - fast] = np.nan
    return _smooth(late, fast, 2 / (fast + 1)) - _smooth(c, slow, 2 / (slow + 1))


def _true_range(h: pd.Series, lo: pd.Series, c: pd.Series) -> pd.Series:
    before = c.shift()
    return (np.maximum(h, before) - np.minimum(lo, before)).where(before.notna())


def _directional(h: pd.Series, lo: pd.Series, c: pd.Series, n: int) -> tuple[pd.Series, pd.Series]:
    """Wilder's +DI and -DI: sums whose first is of n - 1 values, each decaying by a part 1/n a bar."""
    up, down = h.diff(), -lo.diff()
    plus, minus = up.where((up > 0) & (up > down), 0.0), down.where((down > 0) & (down > up), 0.0)

    def decaying(x: pd.Series) -> pd.Series:
        out, total = np.full(len(x), np.nan), 0.0
        for i, value in enumerate(x.to_numpy()[1:], 1):
            total = total + value if i < n else total - total / n + value
            out[i] = total if i >= n else np.nan
        return pd.Series(out)

    true = decaying(_true_range(h, lo, c))
    return 100 * _quotient(decaying(plus), true), 100 * _quotient(decaying(minus), true)


def _adx(h: pd.Series, lo: pd.Series, c: pd.Series, n: int) -> pd.Series:
    plus, minus = _directional(h, lo, c, n)
    return _smooth(100 * _quotient((plus - minus).abs(), plus + minus), n, 1 / n)


def windows(x: pd.Series, n: int) -> np.ndarray:
    """The last n values at each bar, shape ``(len(x), n)``, NaN before the first."""
    padded = np.concatenate([np.full(n - 1, np.nan), x.to_numpy(float)])
    return np.lib.stride_tricks.sliding_window_view(padded, n)


def _per_window(of: Callable[[np.ndarray], np.ndarray]) -> Callable[[pd.Series, int], pd.Series]:
    def word(x: pd.Series, n: int) -> pd.Series:
        w = windows(x, n)
        full = ~np.isnan(w).any(axis=1)
        out = np.full(len(w), np.nan)
        out[full] = of(w[full])
        return pd.Series(out)

    return word


def _fit(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and value at the last bar of the least-squares lines through each window."""
    n = w.shape[1]
    time = np.arange(n) - (n - 1) / 2
    mean = w.mean(axis=1)
    slope = ((w - mean[:, None]) * time).sum(axis=1) / (time**2).sum()
    return slope, mean + slope * (n - 1) / 2


def _r_squared(w: np.ndarray) -> np.ndarray:
    n = w.shape[1]
    time = np.arange(n) - (n - 1) / 2
    off = w - w.mean(axis=1, keepdims=True)
    spread = (off**2).sum(axis=1) * (time**2).sum()
    return np.divide((off * time).sum(axis=1) ** 2, spread, out=np.full(len(w), np.nan), where=np.ptp(w, axis=1) > 0)


def correlation(x: pd.Series, y: pd.Series, n: int) -> pd.Series:
    """Pearson's of the last n pairs; NaN where either side is flat."""
    a, b = windows(x, n), windows(y, n)
    fine = ~np.isnan(a).any(axis=1) & ~np.isnan(b).any(axis=1)
    fine[fine] = (np.ptp(a[fine], axis=1) > 0) & (np.ptp(b[fine], axis=1) > 0)
    out = np.full(len(a), np.nan)
    a, b = (w[fine] - w[fine].mean(axis=1, keepdims=True) for w in (a, b))
    out[fine] = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return pd.Series(out)


def _elementwise(of: Callable[..., np.ndarray]) -> Callable[..., Value]:
    def word(*values: Value) -> Value:
        index = next((v.index for v in values if isinstance(v, pd.Series)), None)
        with np.errstate(all="ignore"):
            out = of(*(v.to_numpy(float) if isinstance(v, pd.Series) else v for v in values))
        return out if index is None else pd.Series(out, index)

    return word


_BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
           ast.Mod: operator.mod}  # fmt: skip
WORDS: dict[str, Callable[..., Value]] = {
    "Ref": lambda x, n: x.shift(n),
    "Mean": _per_window(lambda w: w.mean(axis=1)),
    "Sum": _per_window(lambda w: w.sum(axis=1)),
    "Std": _per_window(lambda w: w.std(axis=1, ddof=1)),
    "PopStd": _per_window(lambda w: w.std(axis=1)),
    "Max": lambda x, n: x.rolling(n).max(),
    "Min": lambda x, n: x.rolling(n).min(),
    "Quantile": lambda x, n, q: x.rolling(n).quantile(q),
    "Rank": lambda x, n: x.rolling(n).rank(pct=True),
    "IdxMax": _per_window(lambda w: w.argmax(axis=1) + 1.0),
    "IdxMin": _per_window(lambda w: w.argmin(axis=1) + 1.0),
    "Slope": _per_window(lambda w: _fit(w)[0]),
    "Resi": _per_window(lambda w: w[:, -1] - _fit(w)[1]),
    "Rsquare": _per_window(_r_squared),
    "Corr": correlation,
    "Greater": _elementwise(np.maximum),
    "Less": _elementwise(np.minimum),
    "Abs": abs,
    "Log": _elementwise(np.log),
    "Sqrt": _elementwise(np.sqrt),
    "Sin": _elementwise(np.sin),
    "Cos": _elementwise(np.cos),
}
RESTARTED: dict[str, Callable[..., pd.Series]] = {
    "RSI": _rsi,
    "MACD": _macd,
    "MACDSignal": lambda c, fast, slow, n: _smooth(_macd(c, fast, slow), n, 2 / (n + 1)),
    "ATR": lambda h, lo, c, n: _smooth(_true_range(h, lo, c), n, 1 / n),
    "PlusDI": lambda *x: _directional(*x)[0],
    "MinusDI": lambda *x: _directional(*x)[1],
    "ADX": _adx,
}
