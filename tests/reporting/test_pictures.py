"""Thinned series keep what can be seen; axes have ticks that a person would choose."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.reporting.axes import TimeTick, step, ticks, time_ticks
from pregao.reporting.plots import Frame, Line, histogram, over_time
from pregao.reporting.thinning import thin


def test_a_short_series_stays_whole() -> None:
    assert thin(np.arange(40), np.arange(40.0), 10).tolist() == list(range(40))


@given(st.integers(1, 3_000), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_each_column_keeps_its_first_lowest_highest_and_last(n: int, columns: int, seed: int) -> None:
    """Times with gaps, values with ties and spikes; told anew by a plain loop over the columns."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.integers(1, 100, n)).astype(np.int64)
    y = np.round(rng.standard_normal(n) * np.where(rng.random(n) < 0.01, 100, 1), 1)
    kept = thin(x, y, columns)
    assert len(kept) <= max(4 * columns, 0) or len(kept) == n
    assert (np.diff(kept) > 0).all()
    if n <= 4 * columns:
        return
    bounds = np.linspace(float(x[0]), float(x[-1]), columns + 1)
    column = np.clip(np.searchsorted(bounds, x, side="right") - 1, 0, columns - 1)
    for c in np.unique(column):
        inside = np.flatnonzero(column == c)
        found = kept[np.isin(kept, inside)]
        assert found[0] == inside[0]
        assert found[-1] == inside[-1]
        assert y[found].min() == y[inside].min()
        assert y[found].max() == y[inside].max()


def test_one_spike_in_half_a_million_bars_is_drawn() -> None:
    y = np.full(500_000, 100.0)
    y[123_456] = 250.0
    drawn = over_time(frame(), np.arange(500_000, dtype=np.int64), [Line(y, "own")])
    path = re.search(r'class="line own" d="M([^"]*)"', drawn)
    assert path is not None
    points = np.array([float(v) for v in path[1].split()]).reshape(-1, 2)
    assert len(points) < 3_000
    top = points[points[:, 1].argmin()]
    assert top[0] == pytest.approx(123_456 / 499_999 * 1_000, abs=0.1)
    assert top[1] < 0.05 * 200 < points[:, 1].max()


def test_what_is_missing_is_a_hole() -> None:
    y = np.array([1.0, 2.0, np.nan, 3.0, np.nan, np.nan, 4.0, 5.0])
    drawn = over_time(frame(), np.arange(8, dtype=np.int64), [Line(y, "own")])
    path = re.search(r'class="line own" d="([^"]*)"', drawn)
    assert path is not None
    assert path[1].count("M") == 3
    assert "nan" not in drawn


def test_nothing_to_draw_and_a_single_point_are_drawn_too() -> None:
    for y in (np.array([np.nan]), np.array([3.0]), np.array([0.0, 0.0])):
        drawn = over_time(frame(), np.arange(len(y), dtype=np.int64), [Line(y, "own", filled=True, stepped=True)])
        assert "nan" not in drawn
        assert "inf" not in drawn


def test_a_histogram_has_a_bar_for_each_bin_that_holds_something() -> None:
    drawn = histogram(frame(), np.array([-0.02, -0.01, 0.0, 0.01]), np.array([2, 0, 4]), lambda v, d: f"{v:.{d}f}")
    assert drawn.count('class="bar loss"') == 1
    assert drawn.count('class="bar gain"') == 1


def frame() -> Frame:
    return Frame("p", "A title", "What it shows", 200, lambda v, d: f"{v:.{d}f}", lambda t: str(t.ns))


@pytest.mark.parametrize(
    ("low", "high", "found", "decimals"),
    [
        (0, 1, [0.0, 0.5, 1.0], 1),
        (-0.123, 0.04, [-0.1, -0.05, 0.0], 2),
        (9_950, 10_730, [10_000, 10_200, 10_400, 10_600], 0),
        (5, 5, [5.0], 0),
        (0, 3e-5, [0.0, 1e-5, 2e-5, 3e-5], 5),
    ],
)
def test_round_ticks(low: float, high: float, found: list[float], decimals: int) -> None:
    values, places = ticks(low, high)
    assert values == pytest.approx(found)
    assert places == decimals


@given(st.floats(1e-9, 1e12), st.integers(2, 12))
def test_a_step_is_round_and_there_are_about_as_many_as_asked(span: float, about: int) -> None:
    each = step(span, about)
    assert f"{each:.0e}"[0] in "125"
    assert about / 2.6 < span / each <= about * (1 + 1e-6)


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        ("2004-08-20", "2013-03-01", [f"{y}-01-01 year" for y in range(2005, 2014)]),
        ("2024-02-10", "2024-05-20", ["2024-03-01 month", "2024-04-01 month", "2024-05-01 month"]),
        ("2023-11-20", "2024-02-20", ["2023-12-01 month", "2024-01-01 year", "2024-02-01 month"]),
        ("2021-12-31", "2022-02-01", [f"2022-01-{d:02} day" for d in (3, 10, 17, 24, 31)]),
        ("2024-01-01T21:00", "2024-01-02T04:00", ["21:00 hour", "22:00 hour", "23:00 hour", "2024-01-02 day",
                                                  "01:00 hour", "02:00 hour", "03:00 hour", "04:00 hour"]),
        ("2024-01-01T00:03", "2024-01-01T00:18", ["00:05 hour", "00:10 hour", "00:15 hour"]),
    ],
)  # fmt: skip
def test_ticks_at_round_times(first: str, last: str, labels: list[str]) -> None:
    def named(tick: TimeTick) -> str:
        at = pd.Timestamp(tick.ns)
        return f"{at:%H:%M} hour" if tick.form == "hour" else f"{at:%Y-%m-%d} {tick.form}"

    assert [named(t) for t in time_ticks(pd.Timestamp(first).value, pd.Timestamp(last).value)] == labels


@given(st.integers(0, 2**61), st.integers(0, 2**61))
def test_there_are_never_too_many_times(first: int, span: int) -> None:
    found = time_ticks(first, first + span)
    assert 1 <= len(found) <= 10
    assert all(first <= t.ns <= first + span for t in found)
