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

Value = Any


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
        case ast.Call(func=ast.Name(id=word), args=args):
            return WORDS[word](*(_value(a, columns) for a in args))
    raise ValueError(ast.dump(node))


def _quotient(a: Value, b: Value) -> Value:
    return a / b.where(b != 0) if isinstance(b, pd.Series) else a / b


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
