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


def test_the_closes_alone_take_a_third_of_the_memory_and_are_bars() -> None:
    bars = Bars.from_frame(frame(), instrument(), Timeframe.parse("1h"))
    closing = bars.closing()
    assert closing.bar(1) == (bars.open_ns[1], bars.close_ns[1], 120, 120, 120, 120, 0.0)
    assert np.array_equal(closing.open_ns, bars.open_ns)
    assert np.array_equal(closing.close, bars.close)
    assert closing.open is closing.high is closing.low is closing.close
    whole = np.vstack([bars.open_ns, bars.close])  # as bars are that were read from a store: rows of one block
    columns = dict.fromkeys(("open", "high", "low", "close"), whole[1])
    read = Bars(bars.instrument, bars.timeframe, whole[0], **columns, volume=bars.volume)
    assert not any(np.shares_memory(column, whole) for column in (read.closing().open_ns, read.closing().close))
    again = Bars(bars.instrument, bars.timeframe, *(getattr(closing, c) for c in ("open_ns", "open", "high", "low")),
                 close=closing.close, volume=closing.volume)  # fmt: skip
    assert len(again) == 3, "they keep the rules"


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
        (
            {"timestamp": pd.to_datetime(["2024-01-01T00:00", "2024-01-01T01:00", "2024-01-01T01:59"], utc=True)},
            "Row 2 opens before the 1h bar of the row before it has closed",
        ),
        (
            {"timestamp": ["2024-01-01T00:00", "2024-01-01T01:00Z", "2024-01-01T02:00"]},
            "Row 1 names a time zone although the first does not",
        ),
        (
            {"timestamp": ["2024-01-01T00:00-03:00", "2024-01-01T01:00-03:00", "2024-01-01T02:00"]},
            "Row 2 names no time zone although the first does",
        ),
        (
            {
                "timestamp": [
                    pd.Timestamp("2024-01-01", tz="UTC"),
                    pd.Timestamp("2024-01-02"),
                    pd.Timestamp("2024-01-03"),
                ]
            },
            "Row 1 names no time zone",
        ),
        ({"timestamp": ["2024-01-01", "31/01/2024", "2024-02-01"]}, "Row 1 has no timestamp that can be read"),
        ({"timestamp": ["2024-01-01", "2024-01-02", "2203-01-01"]}, "Row 2 has a time out of range"),
        ({"timestamp": [1704067200000, 1704070800000, 1704074400000]}, "Row 1 opens before"),  # ms taken for ns
        ({"open": [1.0, 1e300, 1.2]}, "Row 1 has a open too large"),
        ({"high": [1.2, 1.3, 2.0**52]}, "Row 2 has a high too large"),
        ({"close": [1.1, "abc", 1.2]}, "Row 1 has no finite close"),
        ({"close": pd.array([1.1, 1.2, None], dtype="Float64")}, "Row 2 has no finite close"),
        ({"close": [1.1, Decimal("Infinity"), 1.2]}, "Row 1 has no finite close"),
        ({"volume": [1.0, 2.0, "many"]}, "Row 2 has a volume that is missing or negative"),
        ({"volume": [1.0, np.inf, 2.0]}, "Row 1 has a volume too large for its lot size"),
        ({"volume": [1.0, 2.0, 2.0**53 * 0.001]}, "Row 2 has a volume too large.*0.001; give a coarser one"),
        # Of several flaws the first row is named, not the first rule.
        ({"open": [1.0, 1.1, 1.2], "high": [1.2, 1.3, 1.1], "volume": [1.0, -1.0, 1.0]}, "Row 1 has a volume"),
    ],
)
def test_the_first_offending_row_is_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Bars.from_frame(frame(**change), instrument(), Timeframe.parse("1h"))


@pytest.mark.parametrize(
    "times",
    [
        ["2024-01-01", "2024-01-01 01:00", "2024-01-01T02:00:00.000"],
        ["2024-01-01T00:00-03:00", "2024-01-01T05:00+01:00", "2024-01-01T05:00Z"],  # offsets may differ
        pd.date_range("2024-01-01", periods=3, freq="h"),
        pd.date_range("2024-01-01", periods=3, freq="h", tz="America/Sao_Paulo", unit="s"),
        pd.date_range("1962-01-02", periods=3, freq="h").astype("datetime64[ns]").astype("int64"),
    ],
)
def test_times_in_many_forms(times: object) -> None:
    bars = Bars.from_frame(frame(timestamp=times), instrument(), Timeframe.parse("1h"))
    assert np.diff(bars.open_ns).tolist() == [3_600 * 10**9] * 2


HOUR = Timeframe.parse("1h")


def arrays(**change: object) -> dict[str, object]:
    columns = {"open_ns": np.arange(4) * HOUR.ns, "open": [5, 6, 7, 8], "high": [9, 9, 9, 9], "low": [4, 4, 4, 4],
               "close": [6, 7, 8, 9], "volume": [1.0, 0.0, 2.0, 3.0]}  # fmt: skip
    return {name: np.asarray(values) for name, values in columns.items()} | change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"open_ns": np.array([0, 1, 1, 2]) * HOUR.ns}, "Row 2 is not later than the row before it"),
        ({"open_ns": np.array([0, 2, 1, 3]) * HOUR.ns}, "Row 2 is not later"),
        ({"open_ns": np.array([0, 1, 2, 3]) * 60 * 10**9}, "Row 1 opens before the 1h bar"),
        ({"open_ns": np.array([0, 1, 2, 2**62 // HOUR.ns]) * HOUR.ns}, "Row 3 has a time out of range"),
        ({"open_ns": np.array([-(2**63), 0, 1, 2])}, "Row 0 has a time out of range"),
        ({"open_ns": np.arange(4.0)}, "open_ns of bars must be ns since 1970 as int64, not float64"),
        ({"open_ns": np.arange(4).astype("datetime64[h]")}, r"not datetime64\[h\]"),
        ({"open": np.array([5, 0, 7, 8])}, "Row 1 has a open that is not positive"),
        ({"low": np.array([4, 4, 4, -4])}, "Row 3 has a low that is not positive"),
        ({"high": np.array([9, 9, 7, 9])}, "Row 2 has a high below its open or close"),
        ({"low": np.array([4, 7, 4, 4])}, "Row 1 has a low above its open or close"),
        ({"high": np.array([9, 2**52, 9, 9])}, "Row 1 has a high too large for its tick size"),
        ({"high": np.array([9, 2**63, 9, 9], np.uint64)}, "Row 1 has as high no 64-bit integer: 9223372036854775808"),
        ({"high": [9, 9, 2**70, 9]}, "Row 2 has as high no 64-bit integer"),
        ({"close": np.array([6.0, 7.0, 8.5, 9.0])}, "close of bars must be ticks as int64, not float64.*from_frame"),
        ({"close": np.array([6, 7, 8])}, r"close of bars has the shape \(3,\), their open_ns \(4,\)"),
        ({"close": np.ones((4, 1), np.int64)}, r"shape \(4, 1\)"),
        ({"volume": np.array([1.0, 2.0, np.nan, 0.0])}, "Row 2 has a volume that is missing or negative"),
        ({"volume": np.array([1.0, -1e-9, 2.0, 0.0])}, "Row 1 has a volume that is missing or negative"),
        ({"volume": np.array([1.0, 1.0, 2.0, np.inf])}, "Row 3 has a volume too large"),
        ({"volume": np.array(["1", "2", "3", "4"])}, "volume of bars must be numbers"),
    ],
)
def test_arrays_given_straight_are_held_to_the_same_rules(change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Bars(instrument(), HOUR, **arrays(**change))


@pytest.mark.parametrize("row", [0, 1, 2**20 - 1, 2**20, 2**20 + 1])
@pytest.mark.parametrize("what", ["open_ns", "low"])
def test_the_row_is_right_in_long_series_too(row: int, what: str) -> None:
    n = 2**20 + 2
    columns = {name: np.full(n, 5) for name in ("open", "high", "low", "close")}
    columns |= {"open_ns": np.arange(n) * HOUR.ns, "volume": np.ones(n)}
    columns[what][row] = -(2**62) - 1 if what == "open_ns" else 6
    with pytest.raises(UsageError, match=f"Row {row} "):
        Bars(instrument(), HOUR, **columns)


def test_bars_own_plain_arrays() -> None:
    """Whatever arrays they are made of: the compiled functions know one kind only."""
    given = arrays(open=np.array([5, 6, 7, 8], np.int32), high=[9, 9, 9, 9], volume=np.array([1, 0, 2, 3], ">f4"))
    given["low"].flags.writeable = False
    made = Bars(instrument(), HOUR, **given)
    for bars in (made, made[1:], made[::2], Bars.from_frame(frame(), instrument(), HOUR)):
        for name in ("open_ns", "open", "high", "low", "close", "volume"):
            column = getattr(bars, name)
            assert column.flags.c_contiguous
            assert column.flags.writeable
            assert column.dtype == (np.float64 if name == "volume" else np.int64)
    assert made[::2].open.tolist() == [5, 7]
    with pytest.raises(UsageError, match="Row 1 is not later"):
        made[::-1]


def test_no_bars_are_bars() -> None:
    assert len(Bars(instrument(), HOUR, *([],) * 6)) == 0
    assert len(Bars.from_frame(frame()[:0], instrument(), HOUR)) == 0


def test_missing_and_doubled_columns_are_named() -> None:
    doubled = pd.concat([frame(), frame()[["open"]]], axis=1)
    with pytest.raises(UsageError, match="several columns open"):
        Bars.from_frame(doubled, instrument(), Timeframe.parse("1h"))
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


def test_prices_and_quantities_are_told_to_the_last_digit_of_their_grid() -> None:
    coin = instrument("0.01", "0.00001")
    assert coin.price_text(coin.price(123_456_789)) == "1,234,567.89"
    assert coin.price_text(38_193.8) == "38,193.80"
    assert coin.quantity_text(coin.quantity(1_234_567)) == "12.34567"
    assert coin.quantity_text(0.5) == "0.5"
    assert coin.quantity_text(0.0) == "0"
    dog = instrument("0.00000001", "1")
    assert dog.price_text(dog.price(1_234)) == "0.00001234"
    assert dog.quantity_text(12_345_670.0) == "12,345,670"
    assert instrument("5", "10").price_text(1_250) == "1,250"
