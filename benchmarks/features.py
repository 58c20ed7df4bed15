"""How fast features are made, beside pandas' rolling windows and beside TA-Lib, and what a live bar takes.

Each compares values before times. Times are of one core, CPU seconds, the least of several runs; ratios depend less on
the machine than figures do.

- ``pandas``: the set ``full`` beside those of its columns for which pandas has a rolling, an exponential or a grouped
  operation. Not asked of pandas: places of extremes (IMAX, IMIN, IMXD), for which it would call Python at each window,
  and the higher timeframes.
- ``talib``: the indicators and Alpha158 beside those of their columns whose windows TA-Lib has; what lies between its
  calls is NumPy's. Medians, quantiles and ranks it has not.
- ``live``: one bar, called from Python.

    python benchmarks/features.py [--bars 1000000]

TA-Lib comes with `pip install 'pregao[dev]'`; without it, that part is left out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.features import alpha158, recursive, rolling
from pregao.features.conformance import market
from pregao.features.sets import FeatureSet, feature_set
from pregao.market.calendars import ALWAYS
from pregao.market.hours import TradingHours

try:
    import talib
except ImportError:
    talib = None

WINDOWS = (5, 10, 20, 30, 60)
CHECKED = 20_000
PIECE = 100_000
INDICATORS = FeatureSet("indicators", (alpha158.FAMILY, rolling.FAMILY, recursive.FAMILY))
HOURS = TradingHours(ALWAYS)
Table = dict[str, np.ndarray]
Columns = Iterator[tuple[str, object]]


def walk(n: int) -> Bars:
    """A random walk of minutes on a fine grid, with volume in each: nothing that libraries disagree about."""
    rng = np.random.default_rng(1)
    close = np.rint(3_000_000 * np.exp(np.cumsum(rng.normal(0, 0.0008, n)))).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]] + rng.integers(-300, 301, n)
    high = np.maximum(opened, close) + rng.integers(1, 2_000, n)
    low = np.minimum(opened, close) - rng.integers(1, 2_000, n)
    minute = Timeframe.parse("1m")
    at = np.arange(n, dtype=np.int64) * minute.ns
    return Bars(
        market(10).instrument, minute, at, opened, high, low, close, np.rint(rng.lognormal(3, 1, n) * 100) / 100
    )


def table(bars: Bars) -> Table:
    """Float columns, contiguous."""
    return {name: getattr(bars, name).astype(np.float64) for name in ("open", "high", "low", "close", "volume")}


def by_pandas(x: Table, close_ns: np.ndarray) -> Columns:
    """The features as one would write them with pandas, one by one."""
    o, h, lo, c, v = (pd.Series(x[name]) for name in ("open", "high", "low", "close", "volume"))
    span, upper, lower = h - lo, h - np.maximum(o, c), np.minimum(o, c) - lo
    yield "KMID", (c - o) / o
    yield "KLEN", span / o
    yield "KMID2", (c - o) / span
    yield "KUP", upper / o
    yield "KUP2", upper / span
    yield "KLOW", lower / o
    yield "KLOW2", lower / span
    yield "KSFT", (2 * c - h - lo) / o
    yield "KSFT2", (2 * c - h - lo) / span
    yield "OPEN0", o / c
    yield "HIGH0", h / c
    yield "LOW0", lo / c
    yield "VWAP0", (h + lo + c) / 3 / c
    before, clock = c.shift(), pd.Series(np.arange(len(c), dtype=float))
    move, volume_move, log_v = c.diff(), v.diff(), np.log(v + 1)
    rise, log_rise_v, flow = c / before, np.log(v / v.shift() + 1), (c / before - 1).abs() * v
    ups, volume_ups = move.clip(lower=0), volume_move.clip(lower=0)
    rises, falls = (move > 0).astype(float).where(move.notna()), (move < 0).astype(float).where(move.notna())
    for n in WINDOWS:
        closes = c.rolling(n)
        mean, highest, lowest = closes.mean(), h.rolling(n).max(), lo.rolling(n).min()
        slope = closes.cov(clock) / ((n * n + n) / 12)
        yield f"ROC{n}", c.shift(n) / c
        yield f"MA{n}", mean / c
        yield f"STD{n}", closes.std() / c
        yield f"BETA{n}", slope / c
        yield f"RSQR{n}", closes.corr(clock) ** 2
        yield f"RESI{n}", (c - mean - slope * (n - 1) / 2) / c
        yield f"MAX{n}", highest / c
        yield f"MIN{n}", lowest / c
        yield f"QTLU{n}", closes.quantile(0.8) / c
        yield f"QTLD{n}", closes.quantile(0.2) / c
        yield f"RANK{n}", closes.rank(pct=True)
        yield f"RSV{n}", (c - lowest) / (highest - lowest)
        yield f"CORR{n}", closes.corr(log_v)
        yield f"CORD{n}", rise.rolling(n).corr(log_rise_v)
        up, down = rises.rolling(n).mean(), falls.rolling(n).mean()
        yield f"CNTP{n}", up
        yield f"CNTN{n}", down
        yield f"CNTD{n}", up - down
        up, all_moves = ups.rolling(n).sum(), move.abs().rolling(n).sum()
        yield f"SUMP{n}", up / all_moves
        yield f"SUMN{n}", (all_moves - up) / all_moves
        yield f"SUMD{n}", (2 * up - all_moves) / all_moves
        yield f"VMA{n}", v.rolling(n).mean() / v
        yield f"VSTD{n}", v.rolling(n).std() / v
        yield f"WVMA{n}", flow.rolling(n).std() / flow.rolling(n).mean()
        up, all_moves = volume_ups.rolling(n).sum(), volume_move.abs().rolling(n).sum()
        yield f"VSUMP{n}", up / all_moves
        yield f"VSUMN{n}", (all_moves - up) / all_moves
        yield f"VSUMD{n}", (2 * up - all_moves) / all_moves
    yield from _indicators_by_pandas(o, h, lo, c, v)
    seconds = close_ns // 10**9
    day, week = 2 * np.pi * (seconds % 86_400) / 86_400, 2 * np.pi * ((seconds + 259_200) % 604_800) / 604_800
    yield from (
        ("day_sin", np.sin(day)),
        ("day_cos", np.cos(day)),
        ("week_sin", np.sin(week)),
        ("week_cos", np.cos(week)),
    )


def _indicators_by_pandas(o: pd.Series, h: pd.Series, lo: pd.Series, c: pd.Series, v: pd.Series) -> Columns:
    mean, std = c.rolling(20).mean(), c.rolling(20).std(ddof=0)
    yield "bollinger_20", (c - mean + 2 * std) / (4 * std)
    yield "bollinger_width_20", 4 * std / mean
    move, inside, overnight = np.log(c).diff(), np.log(c / o), np.log(o / c.shift())
    park = np.log(h / lo) ** 2
    garman = park / 2 - (2 * np.log(2) - 1) * inside**2
    rogers = np.log(h / c) * np.log(h / o) + np.log(lo / c) * np.log(lo / o)
    value = (h + lo + c) / 3 * v
    for n in (20, 60):
        low, high = lo.rolling(n).min(), h.rolling(n).max()
        part = 0.34 / (1.34 + (n + 1) / (n - 1))
        yield f"donchian_{n}", (c - low) / (high - low)
        yield f"volatility_{n}", move.rolling(n).std()
        yield f"parkinson_{n}", np.sqrt(park.rolling(n).mean() / (4 * np.log(2)))
        yield f"garman_klass_{n}", np.sqrt(garman.rolling(n).mean())
        within = part * inside.rolling(n).var() + (1 - part) * rogers.rolling(n).mean()
        yield f"yang_zhang_{n}", np.sqrt(overnight.rolling(n).var() + within)
        yield f"volume_z_{n}", (v - v.rolling(n).mean()) / v.rolling(n).std(ddof=0)
        yield f"vwap_{n}", c / (value.rolling(n).sum() / v.rolling(n).sum()) - 1
    change = c.diff()
    for n in (7, 14):
        up, down = (side.clip(lower=0).ewm(alpha=1 / n, adjust=False).mean() for side in (change, -change))
        yield f"rsi_{n}", 100 * up / (up + down)
    macd = c.ewm(span=12, adjust=False).mean() - c.ewm(span=26, adjust=False).mean()
    signal = macd.ewm(span=9, adjust=False).mean()
    yield from (("macd_12_26", macd / c), ("macd_signal_9", signal / c), ("macd_histogram", (macd - signal) / c))
    true = np.maximum(h, c.shift()) - np.minimum(lo, c.shift())
    smooth = true.ewm(alpha=1 / 14, adjust=False).mean()
    yield "atr_14", smooth / c
    up, down = h.diff(), -lo.diff()
    plus, minus = up.where((up > 0) & (up > down), 0.0), down.where((down > 0) & (down > up), 0.0)
    plus, minus = (100 * x.ewm(alpha=1 / 14, adjust=False).mean() / smooth for x in (plus, minus))
    yield from (("plus_di_14", plus), ("minus_di_14", minus))
    yield "adx_14", (100 * (plus - minus).abs() / (plus + minus)).ewm(alpha=1 / 14, adjust=False).mean()


def by_talib(x: Table, _: np.ndarray) -> Columns:
    """The features whose windows TA-Lib has, each of its functions called once."""
    h, lo, c, v = x["high"], x["low"], x["close"], x["volume"]
    move, volume_move = np.diff(c, prepend=np.nan), np.diff(v, prepend=np.nan)
    ups, moves, volume_ups, volume_moves = np.maximum(move, 0), abs(move), np.maximum(volume_move, 0), abs(volume_move)
    rise, log_v, clock = talib.ROCR(c, 1), np.log(v + 1), np.arange(len(c), dtype=float)
    log_rise_v, flow = np.log(talib.ROCR(v, 1) + 1), abs(rise - 1) * v
    rises, falls = (np.where(np.isnan(move), np.nan, side) for side in (move > 0, move < 0))
    for n in WINDOWS:
        sample = np.sqrt(n / (n - 1))
        lowest, highest = talib.MIN(lo, n), talib.MAX(h, n)
        top, bottom = talib.MAXINDEX(h, n), talib.MININDEX(lo, n)
        first = np.arange(len(c)) - n
        yield f"ROC{n}", 1 / talib.ROCR(c, n)
        yield f"MA{n}", talib.SMA(c, n) / c
        yield f"STD{n}", talib.STDDEV(c, n) * sample / c
        yield f"BETA{n}", talib.LINEARREG_SLOPE(c, n) / c
        yield f"RSQR{n}", talib.CORREL(c, clock, n) ** 2
        yield f"RESI{n}", 1 - talib.LINEARREG(c, n) / c
        yield f"MAX{n}", highest / c
        yield f"MIN{n}", lowest / c
        yield f"RSV{n}", (c - lowest) / (highest - lowest)
        yield f"IMAX{n}", (top - first) / n
        yield f"IMIN{n}", (bottom - first) / n
        yield f"IMXD{n}", (top - bottom) / n
        yield f"CORR{n}", talib.CORREL(c, log_v, n)
        yield f"CORD{n}", talib.CORREL(rise, log_rise_v, n)
        up, down = talib.SMA(rises, n), talib.SMA(falls, n)
        yield f"CNTP{n}", up
        yield f"CNTN{n}", down
        yield f"CNTD{n}", up - down
        up, total = talib.SUM(ups, n), talib.SUM(moves, n)
        yield f"SUMP{n}", up / total
        yield f"SUMN{n}", (total - up) / total
        yield f"SUMD{n}", (2 * up - total) / total
        yield f"VMA{n}", talib.SMA(v, n) / v
        yield f"VSTD{n}", talib.STDDEV(v, n) * sample / v
        yield f"WVMA{n}", talib.STDDEV(flow, n) * sample / talib.SMA(flow, n)
        up, total = talib.SUM(volume_ups, n), talib.SUM(volume_moves, n)
        yield f"VSUMP{n}", up / total
        yield f"VSUMN{n}", (total - up) / total
        yield f"VSUMD{n}", (2 * up - total) / total
    upper, middle, lower = talib.BBANDS(c, 20, 2, 2)
    yield "bollinger_20", (c - lower) / (upper - lower)
    yield "bollinger_width_20", (upper - lower) / middle
    value, log_c = (h + lo + c) / 3 * v, np.log(c)
    returns = np.diff(log_c, prepend=np.nan)
    for n in (20, 60):
        low, high = talib.MIN(lo, n), talib.MAX(h, n)
        yield f"donchian_{n}", (c - low) / (high - low)
        yield f"volatility_{n}", talib.STDDEV(returns, n) * np.sqrt(n / (n - 1))
        yield f"volume_z_{n}", (v - talib.SMA(v, n)) / talib.STDDEV(v, n)
        yield f"vwap_{n}", c / (talib.SUM(value, n) / talib.SUM(v, n)) - 1
    yield from _recursive_by_talib(x)


def _recursive_by_talib(x: Table) -> Columns:
    h, lo, c = x["high"], x["low"], x["close"]
    yield from (("rsi_7", talib.RSI(c, 7)), ("rsi_14", talib.RSI(c, 14)))
    macd, signal, histogram = talib.MACD(c, 12, 26, 9)
    yield from (("macd_12_26", macd / c), ("macd_signal_9", signal / c), ("macd_histogram", histogram / c))
    yield "atr_14", talib.ATR(h, lo, c, 14) / c
    yield from (("plus_di_14", talib.PLUS_DI(h, lo, c, 14)), ("minus_di_14", talib.MINUS_DI(h, lo, c, 14)))
    yield "adx_14", talib.ADX(h, lo, c, 14)


def ours(features: FeatureSet, bars: Bars) -> None:
    """All features of all bars, in pieces, so that a million bars need no gigabytes."""
    stream = features.stream(bars.timeframe.seconds, HOURS)
    for start in range(0, len(bars), PIECE):
        stream.extend(bars[start : start + PIECE])


def least(run: Callable[[], object], times: int) -> float:
    """Least CPU seconds of several runs."""
    took = []
    for _ in range(times):
        start = time.process_time()
        run()
        took.append(time.process_time() - start)
    return min(took)


def compare(features: FeatureSet, rival: Callable[..., Columns], bars: Bars, times: int) -> dict[str, object]:
    """Values, then times."""
    head = bars[:CHECKED]
    made = dict(zip(features.names, features.batch(head, hours=HOURS).T, strict=True))
    names, worst, recursions = [], 0.0, 0.0
    for name, column in rival(table(head), head.close_ns):
        # a recursion here begins anew with each block of time, so from afar it is near to that over all history only
        near = 5e-3 if name in recursive.FORMULAS else 2e-5
        want, got = np.asarray(column, float)[300:], made[name][300:]
        differences = np.abs(want - got) / np.maximum(np.abs(want), np.median(np.abs(want)))
        if name.startswith("IM"):  # of equal extremes TA-Lib takes the newest, Alpha158 the oldest
            assert np.mean(differences > near) < 0.005, name
            differences = differences[differences <= near]
        difference = float(differences.max())
        assert difference < near, (name, difference)
        if name in recursive.FORMULAS:
            recursions = max(recursions, difference)
        else:
            worst = max(worst, difference)
        names.append(name)
    columns, close_ns = table(bars), bars.close_ns

    def all_of_it() -> None:
        for _ in rival(columns, close_ns):
            pass

    own, other = least(lambda: ours(features, bars), times), least(all_of_it, max(times // 2, 1))
    return {
        "our_columns": len(features.names), "its_columns": len(names), "largest_relative_difference": worst,
        "largest_of_recursions": recursions,
        "our_seconds": round(own, 3), "its_seconds": round(other, 3), "its_time_over_ours": round(other / own, 2),
        "its_time_a_column_over_ours": round(other / len(names) / own * len(features.names), 2),
    }  # fmt: skip


def live(name: str, bars: Bars) -> dict[str, object]:
    """One bar at a time from Python; the stream's values are those of the batch."""
    features = feature_set(name)
    some = [bars.bar(i) for i in range(5_000)]
    stream = features.stream(bars.timeframe.seconds, HOURS)
    streamed = np.array([stream.update(bar) for bar in some])
    assert streamed.tobytes() == features.batch(bars[:5_000], hours=HOURS).tobytes(), name

    def again() -> None:
        fresh = features.stream(bars.timeframe.seconds, HOURS)
        for bar in some:
            fresh.update(bar)

    return {"features": len(features.names), "us_a_bar": round(least(again, 7) / len(some) * 1e6, 2)}


def main() -> None:
    """Compare, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bars", type=int, default=1_000_000)
    bars = walk(parser.parse_args().bars)
    figures: dict[str, object] = {"bars": len(bars)}
    figures["pandas"] = compare(feature_set("full"), by_pandas, bars, 3)
    if talib is not None:
        figures["talib"] = compare(INDICATORS, by_talib, bars, 5)
        recursion = FeatureSet("recursive", (recursive.FAMILY,))
        figures["talib_recursive"] = compare(recursion, lambda x, _: _recursive_by_talib(x), bars, 5)
    figures["live"] = {name: live(name, bars) for name in ("core25", "classic", "alpha158", "full")}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
