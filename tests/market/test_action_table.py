"""The table of actions in the store: splits and dividends beside the bars, merged, versioned, used when reading."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pregao.core.actions import Dividend, Split
from pregao.core.bars import Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao.market.versions import Versions

DAY = Timeframe.parse("1d")
FRAME = pd.DataFrame(
    {
        "timestamp": pd.to_datetime(["2014-06-09", "2014-05-08", "2014-08-07"], utc=True),
        "split": ["7:1", "1:1", "1:1"],
        "dividend": [0.0, 3.29, 0.47],
    }
)


def at(day: str) -> int:
    return pd.Timestamp(day, tz="UTC").value


APPLES = (
    Dividend(at("2014-05-08"), Decimal("3.29")),
    Split(at("2014-06-09"), Fraction(7)),
    Dividend(at("2014-08-07"), Decimal("0.47")),
)


@pytest.fixture
def apple(make_instrument):
    return make_instrument("AAPL", asset_class="stock", quote="USD", lot_size=Decimal(1), calendar="XNYS")


@pytest.fixture
def bars(apple) -> Bars:
    days = ["2014-05-07", "2014-05-08", "2014-06-06", "2014-06-09", "2014-08-06", "2014-08-07"]
    cents = np.array([59_233, 58_799, 64_557, 9_370, 9_496, 9_448])
    return Bars(apple, DAY, np.array([at(day) for day in days]), cents, cents, cents, cents, np.full(6, 700.0))


@pytest.fixture
def store(home, bars) -> Store:
    made = Store()
    made.write(bars)
    return made


def closes(bars: Bars) -> list[float]:
    return bars.frame()["close"].round(4).tolist()


def test_actions_come_back_in_order_of_time(store, apple):
    assert store.actions(apple) == ()
    written = store.write_actions(apple, FRAME)
    assert (written.added, written.replaced, written.removed) == (3, 0, 0)
    assert store.actions(apple) == APPLES
    assert [i.key for i in store.instruments()] == [apple.key]
    assert store.timeframes(apple) == [DAY]


def test_the_file_is_one_that_any_tool_reads(store, apple):
    store.write_actions(apple, FRAME)
    frame = pq.read_table(store.bars_root / apple.key / "actions.parquet").to_pandas()
    assert frame["timestamp"].dt.strftime("%Y-%m-%d").tolist() == ["2014-05-08", "2014-06-09", "2014-08-07"]
    assert frame["split"].tolist() == ["1:1", "7:1", "1:1"]
    assert frame["dividend"].tolist() == [3.29, 0.0, 0.47]


def test_the_same_actions_in_any_order_of_writes_leave_the_same_bytes(store, apple):
    store.write_actions(apple, FRAME)
    path = store.bars_root / apple.key / "actions.parquet"
    content, stamp = path.read_bytes(), path.stat().st_mtime_ns
    again = store.write_actions(apple, FRAME)
    assert (again.unchanged, again.changed, path.stat().st_mtime_ns) == (3, False, stamp)
    path.unlink()
    for row in (2, 0, 1):
        store.write_actions(apple, FRAME.iloc[[row]])
    assert path.read_bytes() == content


def test_actions_are_merged_and_a_mended_one_takes_the_place_of_its_kind(store, apple):
    store.write_actions(apple, FRAME)
    mended = pd.DataFrame({"timestamp": ["2014-08-07", "2014-11-06"], "dividend": [0.48, 0.47]})
    written = store.write_actions(apple, mended)
    assert (written.added, written.replaced) == (1, 1)
    assert store.actions(apple) == (
        *APPLES[:2], Dividend(at("2014-08-07"), Decimal("0.48")), Dividend(at("2014-11-06"), Decimal("0.47")),
    )  # fmt: skip
    whole = store.write_actions(apple, FRAME.iloc[[0]], replace=True)
    assert (whole.unchanged, whole.removed) == (1, 3)
    assert store.actions(apple) == (APPLES[1],)


def test_a_split_comes_before_the_dividend_of_its_day(store, apple):
    both = pd.DataFrame({"timestamp": ["2014-06-09"], "split": [7.0], "dividend": [0.47]})
    store.write_actions(apple, both)
    assert store.actions(apple) == (APPLES[1], Dividend(at("2014-06-09"), Decimal("0.47")))


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ({"timestamp": ["2014-06-09"], "split": ["7:0"]}, "Row 0 of the actions, 2014-06-09"),
        ({"timestamp": ["2014-06-09"], "dividend": [-1.0]}, "positive Decimal"),
        ({"timestamp": ["2014-06-09"], "funding": [0.0001]}, "not funding"),
        ({"timestamp": ["2014-06-09", "2014-06-09"], "split": [7, 2]}, "two different actions at one time"),
        ({"timestamp": ["soon"], "split": [7]}, "no readable time"),
    ],
)
def test_a_table_that_is_wrong_is_refused_and_nothing_is_written(store, apple, frame, says):
    store.write_actions(apple, FRAME)
    with pytest.raises(UsageError, match=says):
        store.write_actions(apple, pd.DataFrame(frame))
    assert store.actions(apple) == APPLES


def test_a_damaged_table_says_how_to_mend_it(store, apple):
    store.write_actions(apple, FRAME)
    path = store.bars_root / apple.key / "actions.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(PregaoError, match=r"actions.parquet is damaged.*checkout VERSION"):
        store.actions(apple)


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("2014-05-07", [592.33, 587.99, 645.57, 93.70, 94.96, 94.48]),
        ("2014-06-08", [589.04, 587.99, 645.57, 93.70, 94.96, 94.48]),  # the split is not known yet
        ("2014-08-07", [83.7321, 83.5828, 91.7678, 93.2362, 94.49, 94.48]),
    ],
)
def test_bars_are_adjusted_as_of_any_date_when_they_are_read(store, apple, as_of, expected):
    store.write_actions(apple, FRAME)
    assert closes(store.bars(apple, DAY)) == [592.33, 587.99, 645.57, 93.70, 94.96, 94.48]
    assert closes(store.bars(apple, DAY, adjusted_as_of=at(as_of))) == expected


def test_a_part_of_the_bars_is_adjusted_as_the_whole_is(store, apple):
    """Also by a dividend after the part, which is measured by the close before it and not by the part's last one."""
    store.write_actions(apple, FRAME)
    part = store.bars(apple, DAY, at("2014-05-08"), at("2014-06-07"), adjusted_as_of=at("2014-08-07"))
    assert closes(part) == [83.5828, 91.7678]
    with pytest.raises(UsageError, match="no 1d bars of AAPL in that span"):
        store.bars(apple, DAY, at("2014-07-01"), at("2014-07-02"), adjusted_as_of=at("2014-08-07"))


def test_actions_are_versioned_with_the_bars(store, apple, tmp_path):
    versions = Versions(store.root)
    first = versions.commit("bars")
    store.write_actions(apple, FRAME)
    second = versions.commit("actions")
    assert first.md5 != second.md5
    versions.snapshot(second, tmp_path / "snapshot", [(apple.key, "1d")])
    assert Store(tmp_path / "snapshot").actions(apple) == APPLES
    versions.checkout(first)
    assert store.actions(apple) == ()
    versions.checkout(second)
    assert store.actions(apple) == APPLES
    assert json.loads((store.bars_root / apple.key / "instrument.json").read_text())["instrument"]["symbol"] == "AAPL"
