"""core25: values against pandas and NumPy, batch against stream, no peeking, state."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.sets import FeatureStream, feature_set

SET = feature_set("core25")
INSTRUMENT = Instrument(
    symbol="TEST/USDT",
    source="test",
    venue="test",
    asset_class="crypto",
    base="TEST",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)


def market(n: int = 600, seed: int = 1, scale: int = 1) -> Bars:
    """A seeded walk of 15-minute bars; every tenth bar is without range, some without volume."""
    rng = np.random.default_rng(seed)
    close = np.maximum(np.rint(30_000 * np.exp(np.cumsum(rng.normal(0, 0.004, n)))), 1).astype(np.int64)
    open_ = np.r_[close[0], close[:-1]]
    high = np.maximum(open_, close) + rng.integers(0, 40, n)
    low = np.minimum(open_, close) - rng.integers(0, 40, n)
    volume = rng.lognormal(3, 1, n) * (rng.random(n) > 0.05)
    for array in (open_, high, low):
        array[::10] = close[::10]
    start = 1_600_000_200 * 10**9
    at = start + np.arange(n) * 900 * 10**9
    return Bars(
        INSTRUMENT,
        Timeframe.parse("15m"),
        at,
        open_ * scale,
        high * scale,
        low * scale,
        close * scale,
        volume,
    )


def joined(*parts: Bars) -> Bars:
    columns = ("open_ns", "open", "high", "low", "close", "volume")
    return Bars(
        parts[0].instrument,
        parts[0].timeframe,
        *(np.concatenate([getattr(p, c) for p in parts]) for c in columns),
    )


def expected(bars: Bars) -> pd.DataFrame:
    """The formulas of core25 in plain pandas."""
    c, o, h, lo = (pd.Series(getattr(bars, name).astype(float)) for name in ("close", "open", "high", "low"))
    v = pd.Series(bars.volume)
    log = np.log(c)
    move = c.diff()
    out = pd.DataFrame({f"return_{k}": log.diff(k) for k in (1, 2, 4, 8, 16, 32)})
    span = (h - lo).where(h > lo)
    out["bar_body"] = (c - o) / span
    out["bar_upper"] = (h - np.maximum(o, c)) / span
    out["bar_shift"] = (2 * c - h - lo) / span
    out["zscore_64"] = (c - c.rolling(64).mean()) / c.rolling(64).std(ddof=0)
    out["volatility_16"] = log.diff().rolling(16).std(ddof=0)
    out["volatility_ratio"] = out["volatility_16"] / log.diff().rolling(63).std(ddof=0)
    up, down = move.clip(lower=0).where(move.notna()), (-move).clip(lower=0).where(move.notna())
    out["rsi_14"] = 100 * up.rolling(14).sum() / (up.rolling(14).sum() + down.rolling(14).sum())

    def mean(window: pd.Series, span: int) -> float:
        return float(window.ewm(span=span, adjust=True).mean().iloc[-1])

    fast, slow = (c.rolling(64).apply(mean, kwargs={"span": s}) for s in (12, 26))
    out["macd_12_26"] = (fast - slow) / slow
    true_range = (np.maximum(h, c.shift()) - np.minimum(lo, c.shift())).where(c.shift().notna())
    out["atr_14"] = true_range.rolling(14).mean() / c
    mean20, std20 = c.rolling(20).mean(), c.rolling(20).std(ddof=0)
    out["bollinger_20"] = (c - mean20 + 2 * std20) / (4 * std20)
    floor, ceiling = lo.rolling(20).min(), h.rolling(20).max()
    out["donchian_20"] = (c - floor) / (ceiling - floor)
    out["parkinson_20"] = np.sqrt((np.log(h / lo) ** 2).rolling(20).mean() / (4 * np.log(2)))
    out["volume_z_32"] = (v - v.rolling(32).mean()) / v.rolling(32).std(ddof=0)
    out["price_volume_32"] = c.rolling(32).corr(v)
    out["up_down_16"] = np.sign(move).rolling(16).sum() / 16
    closes = pd.to_datetime(bars.close_ns, utc=True)
    seconds = closes.hour * 3600 + closes.minute * 60 + closes.second
    day = 2 * np.pi * seconds / 86_400
    week = 2 * np.pi * (closes.day_of_week * 86_400 + seconds) / 604_800
    out["day_sin"], out["day_cos"] = np.sin(day), np.cos(day)
    out["week_sin"], out["week_cos"] = np.sin(week), np.cos(week)
    return out


def streamed(bars: Bars, stream: FeatureStream | None = None) -> np.ndarray:
    stream = stream or SET.stream(bars.timeframe.seconds)
    return np.array([stream.update(bars.bar(i)) for i in range(len(bars))])


@pytest.fixture(scope="module")
def bars() -> Bars:
    return market()


@pytest.fixture(scope="module")
def batch(bars: Bars) -> np.ndarray:
    return SET.batch(bars)


def test_has_25_features_with_a_name_each() -> None:
    assert len(SET.names) == 25 == len(set(SET.names))


@pytest.mark.parametrize("name", SET.names)
def test_equals_pandas(name: str, bars: Bars, batch: np.ndarray) -> None:
    want = expected(bars)[name].to_numpy(dtype=float)
    got = batch[:, SET.names.index(name)]
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, equal_nan=True)


def test_batch_equals_stream_bitwise(bars: Bars, batch: np.ndarray) -> None:
    assert streamed(bars).tobytes() == batch.tobytes()


def test_batch_of_a_strided_slice_is_the_same(bars: Bars) -> None:
    part = bars[100:400:3]
    assert streamed(part[:0]).size == 0
    assert SET.batch(part).shape == (100, 25)


def test_a_stream_started_anywhere_is_equal_once_warm(bars: Bars, batch: np.ndarray) -> None:
    for start in (1, 37, 200, 333):
        late = streamed(bars[start:])
        assert late[SET.warmup - 1 :].tobytes() == batch[start + SET.warmup - 1 :].tobytes()


def test_nothing_is_missing_once_warm_and_nothing_is_zero_before(bars: Bars, batch: np.ndarray) -> None:
    shape = [SET.names.index(n) for n in ("bar_body", "bar_upper", "bar_shift")]
    others = np.delete(np.arange(25), shape)
    assert np.isfinite(batch[SET.warmup - 1 :, others]).all()
    assert np.isnan(batch[0, :21][~np.isin(np.arange(21), shape)]).all()
    assert np.isnan(batch[SET.warmup - 2, SET.names.index("zscore_64")])


def test_the_past_does_not_see_the_future(bars: Bars, batch: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    n = len(bars)
    for cut in rng.integers(1, n - 1, 40):
        cut = int(cut)
        assert SET.batch(bars[:cut]).tobytes() == batch[:cut].tobytes()
        other = market(n, seed=100 + cut)
        flat = bars[cut:]
        flat = Bars(bars.instrument, bars.timeframe, flat.open_ns, *(np.full_like(flat.open, 7),) * 4, flat.volume * 0)
        wild = Bars(
            bars.instrument,
            bars.timeframe,
            flat.open_ns,
            *(np.full_like(flat.open, p) for p in (5, 2**50, 1, 2**49)),
            np.full(n - cut, 9e11),
        )
        for future in (other[cut:], flat, wild):
            assert SET.batch(joined(bars[:cut], future))[:cut].tobytes() == batch[:cut].tobytes()


def test_saved_and_restored_anywhere_it_goes_on_alike(bars: Bars, batch: np.ndarray) -> None:
    for cut in (0, 1, 13, 63, 64, 65, 300):
        stream = SET.stream(900)
        streamed(bars[:cut], stream)
        raw = stream.to_bytes()
        again = SET.stream(900)
        again.from_bytes(raw)
        assert again.to_bytes() == raw
        assert streamed(bars[cut:], again).tobytes() == batch[cut:].tobytes()


def test_damaged_state_is_refused() -> None:
    raw = SET.stream(900).to_bytes()
    for bad in (raw[:-1], b"", b"x" * len(raw), raw + b"0", SET.stream(60).to_bytes()):
        with pytest.raises(PregaoError, match="another version of Preg"):
            SET.stream(900).from_bytes(bad)


def test_a_bar_of_another_length_is_refused(bars: Bars) -> None:
    with pytest.raises(PregaoError, match="900 s came into a stream of 60 s"):
        SET.stream(60).update(bars.bar(0))


def test_the_tick_size_cancels(bars: Bars, batch: np.ndarray) -> None:
    np.testing.assert_allclose(SET.batch(market(scale=64)), batch, rtol=1e-9, atol=1e-11, equal_nan=True)


def test_flat_prices_and_no_volume_have_no_ratios() -> None:
    bars = market(200)
    flat = Bars(bars.instrument, bars.timeframe, bars.open_ns, *(np.full_like(bars.open, 777),) * 4, np.full(200, 0.1))
    last = dict(zip(SET.names, SET.batch(flat)[-1], strict=True))
    undefined = {"bar_body", "bar_upper", "bar_shift", "zscore_64", "volatility_ratio", "rsi_14", "bollinger_20"}
    undefined |= {"donchian_20", "volume_z_32", "price_volume_32"}
    assert {name for name, value in last.items() if np.isnan(value)} == undefined
    assert last["return_32"] == last["volatility_16"] == last["atr_14"] == 0.0
    assert last["macd_12_26"] == pytest.approx(0.0, abs=1e-12)


def test_the_hash_is_the_definition_and_the_values_keep_to_it() -> None:
    """A change of a formula must raise VERSION: these two figures change together or not at all."""
    bars = market(300, seed=9)
    values = np.round(np.nan_to_num(SET.batch(bars)[SET.warmup :], nan=-1.0), 7) + 0.0
    digest = hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
    assert (SET.hash[:12], digest[:12]) == ("019573f75f77", "04e2268e4f51")


def test_unknown_set_lists_the_known() -> None:
    with pytest.raises(NotFoundError, match="core25"):
        feature_set("core26")
