"""The user's own files: many ways of writing bars, one way of being wrong clearly."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.grid import common_tick, decimal_tick, shortest
from pregao.market.ingest import ingest
from pregao.market.sources import Request, Series, read_options, source
from pregao.market.store import Store

SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared folder with real market data is not here")
HEADER = "timestamp,open,high,low,close,volume\n"


def read(*paths: Path, symbol: str = "A/B", timeframe: str | None = "1m", **options: object) -> Series:
    files = source("files")
    wanted = Timeframe.parse(timeframe) if timeframe else None
    (series,) = files.fetch(
        Request((symbol,), wanted, None, None, read_options(files.Options, {"paths": paths, **options}))
    )
    return series


def times(series: Series) -> list[str]:
    return [t.strftime("%Y-%m-%d %H:%M:%S") for t in series.frame["timestamp"]]


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        ("2024-03-01 10:00", "2024-03-01 10:01", {}),
        ("2024-03-01T10:00:00Z", "2024-03-01T10:01:00Z", {}),
        ("2024-03-01T07:00:00-03:00", "2024-03-01T07:01:00-03:00", {}),
        ("2024-03-01 07:00", "2024-03-01 07:01", {"time_zone": "America/Sao_Paulo"}),
        ("01/03/2024 10:00", "01/03/2024 10:01", {"time_format": "%d/%m/%Y %H:%M"}),
        ("1709287200", "1709287260", {}),
        ("1709287200000", "1709287260000", {}),
        ("1709287200000000", "1709287260000000", {}),
        ("1709287200000000000", "1709287260000000000", {}),
    ],
)
def test_times_in_every_usual_form(tmp_path, first, second, options):
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}{first},1,2,1,2,5\n{second},2,3,2,3,5\n")
    assert times(read(path, timeframe=None, **options)) == ["2024-03-01 10:00:00", "2024-03-01 10:01:00"]


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("2024-03-01", {}),
        ("2024-03-01 00:00:00-05:00", {}),
        ("2024-03-01 00:00:00+09:00", {}),
        ("2024-03-01 16:00", {"time_zone": "America/New_York"}),
        ("01/03/2024", {"time_format": "%d/%m/%Y", "time_zone": "America/Sao_Paulo"}),
    ],
)
def test_a_day_bar_is_at_midnight_utc_of_the_date_it_was_written_with(tmp_path, written, options):
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}{written},1,2,1,2,5\n")
    assert times(read(path, timeframe="1d", **options)) == ["2024-03-01 00:00:00"]


@pytest.mark.parametrize(
    "text",
    [
        "Date,Open,High,Low,Close,Adj Close,Volume\n2024-03-01 10:00,1,2,1,1.5,9,5\n",
        "open_time;o;h;l;c;v\n2024-03-01 10:00;1;2;1;1.5;5\n",
        "Time\tOPEN\tHigh\tlow\tClose\tVol\n2024-03-01 10:00\t1\t2\t1\t1.5\t5\n",
        "1709287200000,1,2,1,1.5,5,1709287259999,7.5\n",
    ],
)
def test_usual_columns_separators_and_bare_dumps_are_understood(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    row = read(path).frame.iloc[0]
    assert [row[c] for c in ("open", "high", "low", "close", "volume")] == [1, 2, 1, 1.5, 5]
    assert row["timestamp"] == pd.Timestamp("2024-03-01 10:00", tz="UTC")


def test_other_names_are_mapped(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("when,first,top,bottom,last price,amount\n2024-03-01 10:00,1,2,1,1.5,5\n")
    with pytest.raises(UsageError, match=r"no column for 'timestamp'.*when, first, top.*--map timestamp=COLUMN"):
        read(path)
    columns = {"timestamp": "when", "open": "first", "high": "top", "low": "bottom", "close": "last price"}
    with pytest.raises(UsageError, match="no column for 'volume'"):
        read(path, columns=columns)
    assert read(path, columns={**columns, "volume": "amount"}).frame["close"].tolist() == [1.5]
    with pytest.raises(UsageError, match="no column 'nope'"):
        read(path, columns={**columns, "volume": "nope"})
    with pytest.raises(UsageError, match="'clos' is not one of our columns"):
        read(path, columns={"clos": "x"})


def test_parquet_with_an_index_of_times_and_narrow_floats(tmp_path):
    index = pd.date_range("2024-03-01", periods=3, freq="D", tz="America/New_York", name="Date")
    columns = {n: np.array([185.64, 186.11, 184.02], dtype=np.float32) for n in ("Open", "High", "Low", "Close")}
    frame = pd.DataFrame({**columns, "Volume": [1, 2, 3]}, index=index)
    frame.to_parquet(tmp_path / "a.parquet")
    series = read(tmp_path / "a.parquet", timeframe=None, asset_class="stock")
    assert series.timeframe.name == "1d"
    assert series.instrument.tick_size == Decimal("0.01")
    assert series.frame["close"].tolist() == [185.64, 186.11, 184.02]
    assert times(series)[0] == "2024-03-01 00:00:00"


def test_many_files_are_one_series_and_rows_are_named_by_their_file(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text(f"{HEADER}2024-03-01 10:00,1,2,1,2,5\n2024-03-01 10:01,2,3,2,3,5\n")
    two.write_text(f"{HEADER}2024-03-01 10:02,3,4,3,4,5\n\n2024-03-01 10:03,4,5,4,5,5\n")
    series = read(one, two)
    assert len(series.frame) == 4
    assert [series.origin(i) for i in range(4)] == [
        "one.csv, line 2",
        "one.csv, line 3",
        "two.csv, line 2",
        "two.csv, line 4",
    ]
    files = source("files")
    start = int(series.frame["timestamp"].iloc[3].value)
    options = read_options(files.Options, {"paths": (one, two)})
    (late,) = files.fetch(Request(("A/B",), Timeframe.parse("1m"), start, None, options))
    assert len(late.frame) == 1
    assert late.origin(0) == "two.csv, line 4"


@given(st.integers(0, 8), st.lists(st.integers(1, 10**7), min_size=1, max_size=50))
def test_the_tick_size_is_found_exactly(decimals, ticks):
    prices = np.array([float(Decimal(t).scaleb(-decimals)) for t in ticks])
    tick = decimal_tick([prices])
    assert all(Decimal(t).scaleb(-decimals) % tick == 0 for t in ticks)
    assert tick == 1 or any(Decimal(t).scaleb(-decimals) % (tick * 10) != 0 for t in ticks)


def test_what_arithmetic_leaves_behind_is_no_decimal_but_an_adjusted_price_is_refused():
    assert decimal_tick([np.array([0.1 + 0.2, 0.025500560000000002])]) == Decimal("1E-8")
    with pytest.raises(UsageError, match=r"27\.3333.*--tick-size and --round"):
        decimal_tick([np.array([82 / 3])])
    with pytest.raises(UsageError, match="too many decimals"):
        decimal_tick([np.array([42_000.123456789123])])
    assert common_tick(Decimal("0.25"), Decimal("0.1")) == Decimal("0.05")
    assert shortest(np.array([185.63999938964844, 186.11000061035156])).tolist() == [185.64, 186.11]
    assert shortest(np.array([0.5, 46821.75])).tolist() == [0.5, 46821.75]


def test_the_store_remembers_what_a_file_does_not_say(home, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}2024-03-01 10:00,1.25,2,1,2,5\n")
    ingest("files", ["PETR4"], "1m", {"paths": [path], "asset_class": "stock", "quote": "BRL", "calendar": "BVMF"})
    first = Store().instrument("PETR4")
    assert (first.quote, first.calendar, first.tick_size) == ("BRL", "BVMF", Decimal("0.01"))
    path.write_text(f"{HEADER}2024-03-01 14:01,1.5,2,1,2,5\n")
    ingest("files", ["PETR4"], "1m", {"paths": [path]})
    assert Store().instrument("PETR4") == first
    path.write_text(f"{HEADER}2024-03-01 14:02,1.505,2,1,2,5\n")
    ingest("files", ["PETR4"], "1m", {"paths": [path]})
    assert Store().instrument("PETR4").tick_size == Decimal("0.001")


def test_prices_are_rounded_only_when_asked_for(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}2024-03-01 10:00,{82 / 3},28,27,27.5,5\n")
    with pytest.raises(UsageError, match="too many decimals"):
        read(path)
    with pytest.raises(UsageError, match="Give --tick-size"):
        read(path, round_prices=True)
    assert read(path, round_prices=True, tick_size="0.01").frame["open"].tolist() == [27.33]


def test_volume_in_the_quote_currency_becomes_base_units(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}2024-03-01 10:00,50,50,50,50,1000\n")
    assert read(path, volume_in="quote").frame["volume"].tolist() == [20.0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "holds no rows"),
        (b"PAR1 and nothing", "damaged Parquet"),
        (b"\x00\xff\xfe\x9b binary", "not a readable CSV|no column"),
        (b"a,b\n1,2\n", "no column for 'timestamp'"),
        (f"{HEADER}yesterday,1,2,1,2,5\n".encode(), "times of a.csv cannot be read; the first is 'yesterday'"),
        (f'{HEADER}"2024-03-01 10:00,1,2\n'.encode(), "not a readable CSV"),
    ],
)
def test_mangled_files_are_refused_in_one_sentence(tmp_path, content, says):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        read(path)


def test_wrong_requests_are_refused(tmp_path):
    with pytest.raises(UsageError, match="There is no file"):
        read(tmp_path / "nope.csv")
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}2024-03-01 10:00,1,2,1,2,5\n2024-03-01 10:07,1,2,1,2,5\n")
    with pytest.raises(UsageError, match="Give --timeframe"):
        read(path, timeframe=None)
    with pytest.raises(UsageError, match="is not a time zone"):
        read(path, time_zone="Mars/Olympus")
    files = source("files")
    with pytest.raises(UsageError, match="Give one --symbol"):
        list(files.fetch(Request((), None, None, None, read_options(files.Options, {"paths": [path]}))))


@needs_shared
@pytest.mark.parametrize(
    ("path", "symbol", "timeframe", "rows", "tick", "options"),
    [
        ("crypto/BTC-PERP_1m_2022-01.parquet", "BTC-PERP", "1m", 45_031, "0.001", {"volume_in": "quote"}),
        ("stocks/GOOG_1d_2004-2013.parquet", "GOOG", "1d", 2_148, "0.01", {"asset_class": "stock"}),
        ("crypto/XMR_BTC_5m_2018-01.parquet", "XMR/BTC", "5m", 5_758, "1E-8", {}),
    ],
)
def test_real_data_of_others_come_in_unchanged(home, path, symbol, timeframe, rows, tick, options):
    file = SHARED / "data" / path
    report = ingest("files", [symbol], timeframe, {"paths": [file], **options})
    assert report.added == rows
    store = Store()
    instrument = store.instrument(symbol)
    assert instrument.tick_size == Decimal(tick)
    bars = store.bars(instrument, Timeframe.parse(timeframe))
    raw = pd.read_parquet(file)
    for name in ("open", "high", "low", "close"):
        assert np.allclose(bars.frame()[name], raw[name], rtol=1e-14, atol=0)
    assert not ingest("files", [symbol], None, {"paths": [file], **options}).changed
    assert isinstance(bars, Bars)
