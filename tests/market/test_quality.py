"""Quality: what cannot be a bar is bad, what is remarkable is flagged, nothing is mended silently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.calendars import gaps, schedule
from pregao.market.findings import save, stored
from pregao.market.quality import check, check_series, inspect
from pregao.market.sift import sift
from pregao.market.store import Store

M15 = Timeframe.parse("15m")


def kinds(found) -> dict[str, int]:
    return {f.kind: f.count for f in found}


@pytest.fixture
def frame(make_bars) -> pd.DataFrame:
    return make_bars(200).frame().round(dict.fromkeys(("open", "high", "low", "close"), 2))


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("timestamp", pd.NaT, "no readable time"),
        ("timestamp", pd.Timestamp("9999-01-01", tz="UTC"), "time out of range"),
        ("timestamp", pd.Timestamp("1700-01-01", tz="UTC"), "time out of range"),
        ("open", np.nan, "no number as open"),
        ("close", np.inf, "no number as close"),
        ("low", 0.0, "low that is not positive"),
        ("low", -1.0, "low that is not positive"),
        ("close", 9_999.995, "not a multiple of the tick size 0.01"),
        ("high", 1.0, "high below its low"),
        ("close", 90_000.0, "close outside of its low and high"),
        ("open", 90_000.0, "open outside of its low and high"),
        ("volume", np.nan, "no number as volume"),
        ("volume", -0.1, "negative volume"),
        ("volume", 1e12, "volume too large"),
        ("high", 1e15, "high too large"),
    ],
)
def test_a_row_that_cannot_be_a_bar_is_bad_and_named(frame, make_instrument, column, value, why):
    if column == "timestamp":
        frame["timestamp"] = frame["timestamp"].astype("datetime64[us, UTC]")
    frame.loc[7, column] = value
    sifted = sift(frame, make_instrument(), M15, lambda i: f"line {i + 2}")
    assert len(sifted.bad) == 1
    assert sifted.bad[0].where == "line 9"
    assert why in sifted.bad[0].why
    assert f"{column}=" in sifted.bad[0].content
    assert len(sifted.frame) == 199
    assert len(Bars.from_frame(sifted.frame, make_instrument(), M15)) == 199
    assert kinds(sifted.findings) == {"bad row": 1}


def test_duplicates_are_dropped_if_alike_and_bad_if_not(frame, make_instrument):
    alike = pd.concat([frame, frame.iloc[[5, 6]]], ignore_index=True)
    sifted = sift(alike, make_instrument(), M15)
    assert kinds(sifted.findings) == {"duplicate": 2, "order": 1}
    assert not sifted.bad
    assert len(sifted.frame) == 200

    other = frame.iloc[[5]].assign(volume=99.0)
    sifted = sift(pd.concat([frame, other], ignore_index=True), make_instrument(), M15)
    assert [row.where for row in sifted.bad] == ["Row 200"]
    assert "other values" in sifted.bad[0].why
    assert sifted.frame["volume"].iloc[5] == frame["volume"].iloc[5]


def test_rows_out_of_order_are_put_in_order_and_flagged(frame, make_instrument):
    shuffled = frame.iloc[::-1].reset_index(drop=True)
    sifted = sift(shuffled, make_instrument(), M15)
    assert kinds(sifted.findings) == {"order": 199}
    pd.testing.assert_frame_equal(sifted.frame, frame, check_dtype=False)


def test_bars_shorter_than_the_timeframe_are_bad(frame, make_instrument):
    sifted = sift(frame, make_instrument(), Timeframe.parse("1h"))
    assert "less than 1h after the row before it" in sifted.bad[0].why
    assert sifted.bad[0].where == "Row 1"


def test_an_empty_frame_is_clean(frame, make_instrument):
    report = check(frame.iloc[:0], make_instrument(), M15)
    assert report.clean
    assert report.bars == 0


def test_gaps_of_a_market_that_never_closes(frame, make_instrument):
    report = check(frame.drop(index=[10, 50, 51, 52]), make_instrument(), M15)
    (gap,) = report.findings
    assert (gap.kind, gap.count, gap.level) == ("gap", 4, "warning")
    assert gap.examples[0].endswith("3 missing")
    assert not report.clean


def sessions(days: list[str], opens: str, n: int, minutes: int, zone: str) -> np.ndarray:
    starts = pd.DatetimeIndex([f"{d} {opens}" for d in days]).tz_localize(zone).tz_convert("UTC").as_unit("ns").asi8
    return np.concatenate([s + np.arange(n) * minutes * 60_000_000_000 for s in starts])


def test_gaps_of_an_exchange_follow_its_days():
    day = Timeframe.parse("1d")
    days = pd.DatetimeIndex(["2024-07-01", "2024-07-02", "2024-07-03", "2024-07-05", "2024-07-08"]).as_unit("ns").asi8
    assert gaps(days, "XNYS", day) == []  # the Fourth of July and a weekend
    assert [g.missing for g in gaps(np.delete(days, 2), "XNYS", day)] == [1]
    assert [g.missing for g in gaps(days, "24/7", day)] == [1, 2]
    with pytest.raises(UsageError, match="'NOPE' cannot be used"):
        gaps(days, "NOPE", day)


@pytest.mark.parametrize("calendar", ["XNYS", "BVMF", "XHKG", "XTKS", "XLON"])
def test_a_schedule_is_that_of_the_exchange_wherever_it_is_cut(calendar):
    """Asked for a part, from one decade into the next, it gives the exchange's own sessions of those days."""
    import exchange_calendars

    whole = exchange_calendars.get_calendar(calendar, start="2017-06-01", end="2021-06-30").schedule
    for first, last in (("2017-12-20", "2018-01-10"), ("2019-12-20", "2020-01-10"), ("2018-03-03", "2018-03-04")):
        expected = whole.loc[first:last]
        table = schedule(
            calendar, int(np.datetime64(first, "ns").astype(int)), int(np.datetime64(last, "ns").astype(int))
        )
        assert table.days.tolist() == expected.index.as_unit("ns").asi8.tolist()
        assert table.opens.tolist() == pd.DatetimeIndex(expected["open"]).as_unit("ns").asi8.tolist()
        assert table.closes.tolist() == pd.DatetimeIndex(expected["close"]).as_unit("ns").asi8.tolist()


def test_gaps_of_an_exchange_follow_its_hours_on_any_grid():
    half = Timeframe.parse("30m")
    full = sessions(["2024-07-01", "2024-07-02"], "09:30", 13, 30, "America/New_York")
    early = sessions(["2024-07-03"], "09:30", 7, 30, "America/New_York")  # closes at 13:00
    opens = np.concatenate([full, early])
    assert gaps(opens, "XNYS", half) == []
    assert [g.missing for g in gaps(np.delete(opens, [3, 4, 20]), "XNYS", half)] == [2, 1]
    hours = sessions(["2024-07-01", "2024-07-02"], "09:00", 7, 60, "America/New_York")
    assert gaps(hours, "XNYS", Timeframe.parse("1h")) == []
    # Hong Kong pauses from 12:00 to 13:00.
    morning = sessions(["2024-07-02", "2024-07-03"], "09:30", 5, 30, "Asia/Hong_Kong")
    afternoon = sessions(["2024-07-02", "2024-07-03"], "13:00", 6, 30, "Asia/Hong_Kong")
    both = np.sort(np.concatenate([morning, afternoon]))
    assert gaps(both, "XHKG", half) == []
    assert [g.missing for g in gaps(np.delete(both, 8), "XHKG", half)] == [1]
    # A series may begin and end in the middle of a session.
    assert gaps(full[4:-3], "XNYS", half) == []


def test_bars_on_a_closed_day_are_flagged(make_bars, make_instrument):
    stock = make_instrument("GOOG", asset_class="stock", calendar="XNYS")
    bars = make_bars(10, timeframe="1d", instrument=stock, start_ns=1_719_792_000_000_000_000)  # Monday, 2024-07-01
    found = {f.kind: f for f in check_series(bars)}
    assert found["closed day"].count == 3
    assert found["closed day"].examples == ("2024-07-04", "2024-07-06", "2024-07-07")


def test_a_spike_goes_and_comes_back_and_a_jump_stays(make_bars):
    def moved(rows: slice, factor: float) -> Bars:
        bars = make_bars(400)
        prices = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
        for price in prices.values():
            price[rows] = (price[rows] * factor).astype(np.int64)
        return Bars(bars.instrument, bars.timeframe, bars.open_ns, **prices, volume=bars.volume)

    assert kinds(check_series(make_bars(400))) == {}
    spike = check_series(moved(slice(100, 101), 1.3))
    assert kinds(spike) == {"spike": 1}
    jump = check_series(moved(slice(100, None), 1.3))
    assert kinds(jump) == {"jump": 1}
    assert jump[0].level == "info"
    split = check_series(moved(slice(100, None), 0.5))
    assert kinds(split) == {"split-like jump": 1}
    assert split[0].level == "warning"
    halved = moved(slice(100, None), 0.5)
    assert inspect(halved, splits_ns=[int(halved.open_ns[100])]) == {}  # a split that is known explains it
    assert "split-like jump" in inspect(halved, splits_ns=[int(halved.open_ns[99]), int(halved.open_ns[101])])


def test_stale_runs_and_silent_bars_are_flagged(make_bars):
    bars = make_bars(400)
    prices = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for price in prices.values():
        price[200:215] = bars.close[199]
    volume = bars.volume.copy()
    volume[200:215] = 0
    still = Bars(bars.instrument, bars.timeframe, bars.open_ns, **prices, volume=volume)
    assert kinds(check_series(still)) == {"stale": 15, "zero volume": 15}


def test_reports_are_kept_and_read_back(tmp_path, frame, make_instrument):
    store = Store(tmp_path)
    frame.loc[7, "close"] = np.nan
    report = check(frame, make_instrument(), M15)
    assert stored(store, make_instrument(), M15) is None
    save(report, store)
    assert stored(store, make_instrument(), M15) == report
    assert report.findings[0].level == "error"
    assert report.quarantined[0].where == "Row 7"
    (tmp_path / "quality" / report.key / "15m.json").write_text("{")
    assert stored(store, make_instrument(), M15) is None
