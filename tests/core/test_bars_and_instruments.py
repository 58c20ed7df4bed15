"""Bars are exact or refused with the first offending row; instruments know their grid."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument, folder_name
from pregao.core.timeframe import Timeframe


def instrument(tick: str = "0.01", lot: str = "0.001") -> Instrument:
    return Instrument(
        symbol="A/B", source="s", venue="v", asset_class="crypto", base="A", quote="B",
        tick_size=Decimal(tick), lot_size=Decimal(lot),
    )  # fmt: skip


def frame(**change: object) -> pd.DataFrame:
    columns: dict[str, object] = {
        "timestamp": pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC"),
        "open": [1.0, 1.1, 1.2], "high": [1.2, 1.3, 1.3], "low": [0.9, 1.0, 1.1], "close": [1.1, 1.2, 1.2],
        "volume": [1.0, 0.0, 2.0],
    }  # fmt: skip
    return pd.DataFrame(columns | change)


def test_bars_round_trip_exactly() -> None:
    bars = Bars.from_frame(frame(), instrument(), Timeframe.parse("1h"))
    assert bars.close.tolist() == [110, 120, 120]
    again = Bars.from_frame(bars.frame(), instrument(), Timeframe.parse("1h"))
    assert all(np.array_equal(getattr(bars, c), getattr(again, c)) for c in ("open_ns", "open", "high", "low", "close"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"open": [1.0, np.nan, 1.2]}, "Row 1 has no finite open"),
        ({"high": [1.2, np.inf, 1.3]}, "Row 1 has no finite high"),
        ({"low": [0.9, 1.0, -1.1]}, "Row 2 has a low that is not positive"),
        ({"close": [0.0, 1.2, 1.2]}, "Row 0 has a close that is not positive"),
        ({"close": [1.1, 1.234, 1.2]}, "Row 1 has a close that is not a multiple of the tick size 0.01"),
        ({"high": [1.2, 1.3, 1.15]}, "Row 2 has a high below its open or close"),
        ({"low": [1.05, 1.0, 1.1]}, "Row 0 has a low above its open or close"),
        ({"volume": [1.0, -1.0, 2.0]}, "Row 1 has a volume that is missing or negative"),
        ({"volume": [np.nan, 1.0, 2.0]}, "Row 0 has a volume that is missing or negative"),
        ({"timestamp": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02"], utc=True)}, "Row 1 is not later"),
        ({"timestamp": pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-03"], utc=True)}, "Row 1 is not later"),
        ({"timestamp": pd.to_datetime(["2024-01-01", None, "2024-01-03"], utc=True)}, "Row 1 has no timestamp"),
        ({"open": [1.0, 1e300, 1.2]}, "Row 1 has a open too large"),
    ],
)
def test_the_first_offending_row_is_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Bars.from_frame(frame(**change), instrument(), Timeframe.parse("1h"))


def test_missing_columns_are_named() -> None:
    with pytest.raises(UsageError, match="lack the columns high, volume"):
        Bars.from_frame(frame().drop(columns=["high", "volume"]), instrument(), Timeframe.parse("1h"))


def test_a_slice_and_a_time_range_keep_their_bars() -> None:
    bars = Bars.from_frame(frame(), instrument(), Timeframe.parse("1h"))
    second = int(bars.open_ns[1])
    assert bars[1:].open_ns.tolist() == bars.between(second, None).open_ns.tolist()
    assert len(bars.between(None, second)) == 1
    assert bars.bar(1).close_ns - bars.bar(1).open_ns == bars.timeframe.ns


@given(st.integers(0, 12), st.integers(0, 12))
def test_tick_times_lot_is_a_whole_number_of_quanta(tick: int, lot: int) -> None:
    made = instrument(str(Decimal(1).scaleb(-tick)), str(Decimal(1).scaleb(-lot)))
    assert made.tick_quanta * made.quantum == made.tick_size * made.lot_size
    assert made.tick_quanta >= 1


@pytest.mark.parametrize("name", ["../etc", "..", "/", "a/b", "A B", "BTC/USDT:USDT"])
def test_a_symbol_is_one_safe_path_segment(name: str) -> None:
    made = folder_name(name)
    assert "/" not in made
    assert made.strip(".")


@pytest.mark.parametrize("name", ["", "7m", "1M", "minute", "-1h"])
def test_an_unknown_timeframe_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="15m"):
        Timeframe.parse(name)


def test_a_fine_tick_is_never_rounded_silently_at_a_high_price() -> None:
    high = {"open": [2000.0] * 3, "high": [2000.000003] * 3, "low": [2000.0] * 3, "close": [2000.0000015] * 3}
    with pytest.raises(UsageError, match=r"Row 0 has a close that is not a multiple of the tick size 0.000001"):
        Bars.from_frame(frame(**high), instrument("0.000001"), Timeframe.parse("1h"))


def test_prices_come_back_as_the_floats_of_their_decimals() -> None:
    bars = Bars.from_frame(frame(close=[1.1, 1.2, 1.17]), instrument(), Timeframe.parse("1h"))
    assert bars.frame()["close"].tolist() == [1.1, 1.2, 1.17]
