"""The features that TA-Lib has too, beside TA-Lib's values: another implementation, in C, of other people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from expressions import anchors, table

from pregao.core.bars import Bars
from pregao.features.conformance import made, market
from pregao.features.sets import feature_set

talib = pytest.importorskip("talib", reason="TA-Lib is not installed: pip install 'pregao[dev]'")

FULL = feature_set("full")
N = 2_000
WINDOWS = (5, 10, 20, 30, 60)
Columns = dict[str, np.ndarray]


def _population(n: int) -> float:
    return float(np.sqrt(n / (n - 1)))


def _time(x: np.ndarray) -> np.ndarray:
    return np.arange(len(x), dtype=float)


WINDOWED: dict[str, Callable[[Columns], np.ndarray]] = {}
for _n in WINDOWS:
    WINDOWED |= {
        f"ROC{_n}": lambda x, n=_n: 1 / talib.ROCR(x["close"], n),
        f"MA{_n}": lambda x, n=_n: talib.SMA(x["close"], n) / x["close"],
        f"STD{_n}": lambda x, n=_n: talib.STDDEV(x["close"], n) * _population(n) / x["close"],
        f"BETA{_n}": lambda x, n=_n: talib.LINEARREG_SLOPE(x["close"], n) / x["close"],
        f"RSQR{_n}": lambda x, n=_n: talib.CORREL(x["close"], _time(x["close"]), n) ** 2,
        f"RESI{_n}": lambda x, n=_n: 1 - talib.LINEARREG(x["close"], n) / x["close"],
        f"MAX{_n}": lambda x, n=_n: talib.MAX(x["high"], n) / x["close"],
        f"MIN{_n}": lambda x, n=_n: talib.MIN(x["low"], n) / x["close"],
        f"CORR{_n}": lambda x, n=_n: talib.CORREL(x["close"], np.log(x["volume"] + 1), n),
        f"VMA{_n}": lambda x, n=_n: talib.SMA(x["volume"], n) / np.where(x["volume"] > 0, x["volume"], np.nan),
    }


def _band(x: Columns) -> np.ndarray:
    upper, _, lower = talib.BBANDS(x["close"], 20, 2, 2)
    return (x["close"] - lower) / (upper - lower)


def _width(x: Columns) -> np.ndarray:
    upper, middle, lower = talib.BBANDS(x["close"], 20, 2, 2)
    return (upper - lower) / middle


def _donchian(x: Columns, n: int) -> np.ndarray:
    low = talib.MIN(x["low"], n)
    return (x["close"] - low) / (talib.MAX(x["high"], n) - low)


WINDOWED |= {
    "bollinger_20": _band,
    "bollinger_width_20": _width,
    "donchian_20": lambda x: _donchian(x, 20),
    "donchian_60": lambda x: _donchian(x, 60),
}
RECURSIVE: dict[str, Callable[[Columns], np.ndarray]] = {
    "rsi_7": lambda x: talib.RSI(x["close"], 7),
    "rsi_14": lambda x: talib.RSI(x["close"], 14),
    "macd_12_26": lambda x: talib.MACD(x["close"], 12, 26, 9)[0] / x["close"],
    "macd_signal_9": lambda x: talib.MACD(x["close"], 12, 26, 9)[1] / x["close"],
    "macd_histogram": lambda x: talib.MACD(x["close"], 12, 26, 9)[2] / x["close"],
    "atr_14": lambda x: talib.ATR(x["high"], x["low"], x["close"], 14) / x["close"],
    "plus_di_14": lambda x: talib.PLUS_DI(x["high"], x["low"], x["close"], 14),
    "minus_di_14": lambda x: talib.MINUS_DI(x["high"], x["low"], x["close"], 14),
    "adx_14": lambda x: talib.ADX(x["high"], x["low"], x["close"], 14),
}


@pytest.fixture(scope="module")
def bars() -> Bars:
    return market(N, seed=4)


@pytest.fixture(scope="module")
def columns(bars: Bars) -> Columns:
    return {name: column.to_numpy(float) for name, column in table(bars).items()}


@pytest.fixture(scope="module")
def features(bars: Bars) -> dict[str, np.ndarray]:
    return dict(zip(FULL.names, made(FULL, bars).T, strict=True))


def _moves(columns: Columns, n: int) -> np.ndarray:
    """Where the last n closes are not all alike: TA-Lib has a 0 where there is nothing to divide by."""
    return talib.MAX(columns["close"], n) > talib.MIN(columns["close"], n)


@pytest.mark.parametrize("name", WINDOWED)
def test_windows(name: str, columns: Columns, features: dict[str, np.ndarray]) -> None:
    want, got = WINDOWED[name](columns), features[name]
    there = ~np.isnan(got) & _moves(columns, 5)
    assert there.sum() > 0.9 * N
    # TA-Lib adds up squares of prices as it goes along, which costs it digits.
    np.testing.assert_allclose(got[there], want[there], rtol=2e-5, atol=2e-7)


@pytest.mark.parametrize("name", RECURSIVE)
def test_recursions_from_where_they_begin(name: str, columns: Columns, features: dict[str, np.ndarray]) -> None:
    began = anchors(pd.Series(columns["second"]), int(columns["bar_seconds"][0]))
    got, checked = features[name], 0
    for anchor in np.unique(began):
        rows = np.flatnonzero(began == anchor)
        part = {key: column[anchor : rows[-1] + 1] for key, column in columns.items()}
        want = RECURSIVE[name](part)[rows - anchor]
        there = ~np.isnan(got[rows]) & ~np.isnan(want)
        np.testing.assert_allclose(got[rows][there], want[there], rtol=1e-9, atol=1e-11)
        checked += int(there.sum())
    assert checked > N - 60


@pytest.mark.parametrize("name", RECURSIVE)
def test_recursions_over_all_history_are_near(name: str, columns: Columns, features: dict[str, np.ndarray]) -> None:
    """What is lost by beginning anew: a figure between 0 and 100 differs by less than a tenth at the very most."""
    want, got = RECURSIVE[name](columns), features[name]
    there = ~np.isnan(got) & ~np.isnan(want)
    scale = 100 if "rsi" in name or "di" in name or "adx" in name else np.abs(want[there]).max()
    assert np.max(np.abs(got - want)[there]) < 1e-3 * scale
    assert np.median(np.abs(got - want)[there]) < 2e-5 * scale
