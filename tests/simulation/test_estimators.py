"""Spread, volatility and volume from bars, against the papers' formulas in plain numpy and against known spreads."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.simulation import estimators
from pregao.simulation.estimators import ABDI_RANALDO, CORWIN_SCHULTZ, ESTIMATE, NO_SPREAD

METHODS = (CORWIN_SCHULTZ, ABDI_RANALDO)


def market(spread: float, volatility: float, n: int = 2_000, trades: int = 390, seed: int = 1) -> pd.DataFrame:
    """Bars of ``trades`` trades each, at the bid or the ask around a random walk; prices in ticks."""
    rng = np.random.default_rng(seed)
    mid = 1e6 * np.exp(np.cumsum(rng.normal(0, volatility / math.sqrt(trades), n * trades))).reshape(n, trades)
    price = np.rint(mid * (1 + spread / 2 * rng.choice([-1, 1], (n, trades)))).astype(np.int64)
    return pd.DataFrame(
        {"high": price.max(1), "low": price.min(1), "close": price[:, -1], "volume": rng.uniform(50, 150, n).round(3)}
    )


def observed(bars: pd.DataFrame, method: int, window: int, impact_window: int = 20) -> np.ndarray:
    """The estimate after each bar, an array of `ESTIMATE`."""
    estimate = np.zeros(1, ESTIMATE)
    after = np.zeros(len(bars), ESTIMATE)
    for i, (high, low, close, volume) in enumerate(bars.itertuples(index=False)):
        estimators.observe(estimate[0], high, low, close, volume, method, window, impact_window)
        after[i] = estimate[0]
    return after


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    means = [math.nan]
    for n, value in enumerate(values[1:], start=1):
        means.append(value if n == 1 else means[-1] + max(1 / n, 2 / (window + 1)) * (value - means[-1]))
    return np.array(means)


def corwin_schultz_of_the_paper(bars: pd.DataFrame) -> np.ndarray:
    """Equations 6, 14 and 18 with the overnight adjustment, for each bar and the one before it; NaN for the first."""
    first = bars.shift(1)
    gap = np.where(
        first.close < bars.low, first.close - bars.low, np.where(first.close > bars.high, first.close - bars.high, 0)
    )
    high, low = bars.high + gap, bars.low + gap
    beta = np.log(first.high / first.low) ** 2 + np.log(high / low) ** 2
    gamma = np.log(np.maximum(first.high, high) / np.minimum(first.low, low)) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    return np.maximum(2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha)), 0).to_numpy()


def abdi_ranaldo_of_the_paper(bars: pd.DataFrame) -> np.ndarray:
    close, eta = np.log(bars.close), (np.log(bars.high) + np.log(bars.low)) / 2
    return (4 * (close.shift(1) - eta.shift(1)) * (close.shift(1) - eta)).to_numpy()


@pytest.mark.parametrize("window", [1, 20, 5_000])
def test_corwin_schultz_is_the_papers_formula(window: int) -> None:
    bars = market(0.004, 0.01, n=300)
    expected = running_mean(corwin_schultz_of_the_paper(bars), window)
    found = observed(bars, CORWIN_SCHULTZ, window)["spread"]
    assert found[0] == 0
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-9, atol=1e-15)
    assert (found[1:] > 0).mean() > 0.4


@pytest.mark.parametrize("window", [1, 20, 5_000])
def test_abdi_ranaldo_is_the_papers_formula(window: int) -> None:
    bars = market(0.004, 0.01, n=300)
    expected = running_mean(abdi_ranaldo_of_the_paper(bars), window)
    found = observed(bars, ABDI_RANALDO, window)
    np.testing.assert_allclose(found["two_bar"][1:], expected[1:], rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(found["spread"][1:], np.sqrt(np.maximum(expected[1:], 0)), rtol=1e-6, atol=1e-9)
    assert (found["spread"][1:] > 0).mean() > 0.25


def test_volatility_and_volume_are_means_over_bars() -> None:
    bars = market(0, 0.01, n=200)
    found = observed(bars, NO_SPREAD, 0, impact_window=20)
    moves = np.log(bars.close / bars.close.shift(1)).to_numpy() ** 2
    np.testing.assert_allclose(found["variance"][1:], running_mean(moves, 20)[1:], rtol=1e-9)
    volumes = running_mean(np.r_[0, bars.volume.to_numpy()], 20)[1:]
    np.testing.assert_allclose(found["volume"], volumes, rtol=1e-12)
    assert np.all(found["spread"] == 0)


def test_a_mean_is_plain_until_half_its_window_is_full() -> None:
    bars = market(0.01, 0.01, n=30)
    found = observed(bars, CORWIN_SCHULTZ, 39, impact_window=39)
    pairs = corwin_schultz_of_the_paper(bars)
    for i in (1, 5, 20):
        assert found["spread"][i] == pytest.approx(pairs[1 : i + 1].mean(), rel=1e-9)
        assert found["volume"][i - 1] == pytest.approx(bars.volume[:i].mean(), rel=1e-12)
    assert found["spread"][25] != pytest.approx(pairs[1:26].mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("method", "spread", "volatility", "tolerance"),
    [
        (CORWIN_SCHULTZ, 0.01, 0.01, 0.001),
        (CORWIN_SCHULTZ, 0.005, 0.005, 0.0005),
        (ABDI_RANALDO, 0.01, 0.01, 0.0003),
        (ABDI_RANALDO, 0.005, 0.005, 0.00015),
        (ABDI_RANALDO, 0.002, 0.002, 0.00006),
    ],
)
def test_a_known_spread_is_found(method: int, spread: float, volatility: float, tolerance: float) -> None:
    found = observed(market(spread, volatility), method, window=4_001)[-1]
    assert found["spread"] == pytest.approx(spread, abs=tolerance)
    assert estimators.half_spread(found) == found["spread"] / 2


def test_a_spread_far_below_the_volatility_is_overstated_by_corwin_schultz_not_by_abdi_ranaldo() -> None:
    bars = market(0.002, 0.01)
    assert 0.004 < observed(bars, CORWIN_SCHULTZ, 4_001)["spread"][-1] < 0.0055
    assert observed(bars, ABDI_RANALDO, 4_001)["spread"][-1] < 0.002


def after(table: str, method: int = CORWIN_SCHULTZ) -> np.void:
    """The estimate after bars of ``high low close`` a line, each of volume 100."""
    rows = [[int(x) for x in line.split()] + [100.0] for line in table.strip().splitlines()]
    return observed(pd.DataFrame(rows, columns=["high", "low", "close", "volume"]), method, 20)[-1]


def test_bars_that_only_bounce_between_bid_and_ask() -> None:
    still = """10200 10000 10200
               10200 10000 10000"""
    assert after(still)["spread"] == pytest.approx(200 / 10_100), "ask less bid over the middle"
    assert after(still, ABDI_RANALDO)["spread"] == pytest.approx(math.log(1.02)), "the same in logs"


def test_a_gap_overnight_is_no_spread() -> None:
    up = after("10200 10000 10010\n11300 11100 11200")  # moved down until its low is the last close
    assert up["spread"] == after("10200 10000 10010\n10210 10010 10110")["spread"]
    assert 0 < up["spread"] < after("10200 10000 10010\n10200 10000 10100")["spread"]
    down = after("10200 10000 10190\n9200 9000 9100")  # moved up until its high is the last close
    assert down["spread"] == after("10200 10000 10190\n10190 9990 10090")["spread"] > 0


def test_bars_without_a_range_have_no_spread() -> None:
    for method in METHODS:
        still = after("100 100 100\n100 100 100\n100 100 100", method)
        assert estimators.half_spread(still) == 0
        assert estimators.impact(still, 1.0, 50.0) == 0


def test_nothing_is_known_before_two_bars() -> None:
    for method in METHODS:
        one = after("105 95 100", method)
        assert (estimators.half_spread(one), estimators.impact(one, 1.0, 1_000.0)) == (0, 0)


def test_square_root_impact() -> None:
    known = np.zeros(1, ESTIMATE)[0]
    known["variance"], known["volume"] = 0.02**2, 400.0
    assert estimators.impact(known, 1.0, 100.0) == pytest.approx(0.01), "2 % times the root of a quarter"
    assert estimators.impact(known, 0.5, 1_600.0) == pytest.approx(0.02), "twice the root, half the factor"
    assert estimators.impact(known, 1.0, 0.0) == 0
    assert estimators.impact(known, 1_000.0, 400.0) == 1, "never more than the price"
    known["volume"] = 0.0
    assert estimators.impact(known, 1.0, 100.0) == pytest.approx(0.02), "no volume known: the order is a bar's volume"


@pytest.mark.parametrize(
    ("k", "quantity", "volume", "expected"),
    [
        (0.1, 10, 100, 0.001),  # a tenth of the bar: 0.1 * 0.01
        (0.1, 2.5, 100, 0.0000625),  # zipline's own limit of 2.5 %
        (0.1, 100, 100, 0.1),
        (0.1, 200, 100, 0.1),  # no more than the whole bar
        (0.1, 1, 0, 0.1),
        (20.0, 100, 100, 1.0),
    ],
)
def test_volume_share(k: float, quantity: float, volume: float, expected: float) -> None:
    assert estimators.volume_share(k, float(quantity), float(volume)) == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_after_a_split_all_goes_on_in_new_shares(method: int) -> None:
    old = market(0.005, 0.01, n=60)
    new = pd.DataFrame({"high": old.high * 7, "low": old.low * 7, "close": old.close * 7, "volume": old.volume / 7})
    estimate = np.zeros(1, ESTIMATE)
    for i, (high, low, close, volume) in enumerate((old if i < 30 else new).iloc[i] for i in range(60)):
        if i == 30:
            estimators.split(estimate[0], 1, 7)
        estimators.observe(estimate[0], int(high), int(low), int(close), volume, method, 20, 20)
    whole = observed(old, method, 20)[-1]
    assert estimate[0]["spread"] == pytest.approx(whole["spread"], rel=1e-9)
    assert estimate[0]["variance"] == pytest.approx(whole["variance"], rel=1e-9)
    assert estimate[0]["volume"] == pytest.approx(whole["volume"] / 7, rel=1e-9)


prices = st.integers(1, 2**50)


@given(prices, prices)
def test_log_ratio_is_the_logarithm(a: int, b: int) -> None:
    exact = math.log(a / b)
    assert estimators.log_ratio(float(a), float(b)) == pytest.approx(exact, rel=1e-14, abs=2e-16)


@given(st.floats(-1, 1))
def test_tanh_is_the_hyperbolic_tangent(x: float) -> None:
    assert estimators.tanh(x) == pytest.approx(math.tanh(x), rel=2e-15, abs=1e-300)


@given(
    st.lists(st.tuples(prices, prices, prices, st.floats(0, 1e12)), min_size=1, max_size=12),
    st.sampled_from(METHODS), st.integers(1, 50), st.floats(0, 100), st.floats(0, 1e15),
)  # fmt: skip
def test_every_estimate_is_a_fraction_of_the_price(
    rows: list[tuple[int, int, int, float]], method: int, window: int, k: float, quantity: float
) -> None:
    estimate = np.zeros(1, ESTIMATE)
    for a, b, c, volume in rows:
        low, close, high = sorted((a, b, c))
        estimators.observe(estimate[0], high, low, close, volume, method, window, window)
        assert 0 <= estimators.half_spread(estimate[0]) <= 1
        assert 0 <= estimators.impact(estimate[0], k, quantity) <= 1
        assert 0 <= estimators.volume_share(k, quantity, volume) <= 1


def fixed_bytes() -> str:
    raw = b""
    for method in METHODS:
        found = observed(market(0.003, 0.01, n=200, trades=30), method, 20)
        costs = [(estimators.half_spread(e), estimators.impact(e, 1.0, 30.0)) for e in found]
        raw += found.tobytes() + np.array(costs).tobytes()
    return raw.hex()


def test_the_estimates_are_identical_with_the_compiler_off() -> None:
    code = "from test_estimators import fixed_bytes; print(fixed_bytes())"
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert answer.stdout.strip() == fixed_bytes()
