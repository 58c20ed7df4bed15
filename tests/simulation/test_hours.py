"""Sessions of real exchanges: holidays, half days, lunch breaks, daylight saving time. All times here are UTC."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation.hours import Hours, live_rows

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS


def at(time: str) -> int:
    return pd.Timestamp(time, tz="UTC").value


def text(ns: int) -> str:
    return f"{pd.Timestamp(ns):%Y-%m-%d %H:%M}"


@pytest.fixture(scope="module")
def new_york() -> Hours:
    return Hours.of("XNYS", at("2024-01-01"), at("2024-12-31"))


@pytest.fixture(scope="module")
def sao_paulo() -> Hours:
    return Hours.of("BVMF", at("2024-01-01"), at("2024-12-31"))


@pytest.fixture(scope="module")
def hong_kong() -> Hours:
    return Hours.of("XHKG", at("2024-01-01"), at("2024-12-31"))


def hours_of_day(hours: Hours, day: str, minutes: int = 60) -> list[str]:
    """The opens of the bars of that length that may trade, on a grid from midnight."""
    opens = np.arange(at(day), at(day) + DAY_NS, minutes * 60 * 10**9, dtype=np.int64)
    return [text(ns)[11:] for ns in opens[hours.live(opens, minutes * 60 * 10**9)]]


OPEN = [  # exchange, day, first and last hourly bar that may trade
    ("XNYS", "2024-03-08", "14:00", "20:00", "winter time: 14:30 to 21:00"),
    ("XNYS", "2024-03-11", "13:00", "19:00", "summer time since Sunday: 13:30 to 20:00"),
    ("XNYS", "2024-11-01", "13:00", "19:00", "still summer time"),
    ("XNYS", "2024-11-04", "14:00", "20:00", "winter time since Sunday"),
    ("XNYS", "2024-11-29", "14:00", "17:00", "the half day after Thanksgiving: to 18:00"),
    ("XNYS", "2024-12-24", "14:00", "17:00", "the half day before Christmas"),
    ("BVMF", "2024-02-09", "13:00", "20:00", "10:00 to 18:00 in São Paulo"),
    ("BVMF", "2024-02-14", "16:00", "20:00", "Ash Wednesday: from 13:00 in São Paulo"),
    ("BVMF", "2024-03-11", "13:00", "20:00", "no summer time in Brazil"),
    ("BVMF", "2024-11-28", "13:00", "20:00", "no Thanksgiving"),
]


@pytest.mark.parametrize(("exchange", "day", "first", "last", "why"), OPEN)
def test_hourly_bars(
    new_york: Hours, sao_paulo: Hours, exchange: str, day: str, first: str, last: str, why: str
) -> None:
    hours = new_york if exchange == "XNYS" else sao_paulo
    found = hours_of_day(hours, day)
    assert (found[0], found[-1]) == (first, last), why
    assert len(found) == int(last[:2]) - int(first[:2]) + 1


@pytest.mark.parametrize(
    ("exchange", "day"),
    [
        ("XNYS", "2024-11-28"),  # Thanksgiving
        ("XNYS", "2024-12-25"),
        ("XNYS", "2024-03-29"),  # Good Friday
        ("XNYS", "2024-11-30"),  # Saturday
        ("BVMF", "2024-02-12"),  # Carnival
        ("BVMF", "2024-02-13"),
        ("BVMF", "2024-03-29"),
        ("BVMF", "2024-11-20"),  # Consciência Negra
        ("BVMF", "2024-12-31"),
    ],
)
def test_days_without_a_session(new_york: Hours, sao_paulo: Hours, exchange: str, day: str) -> None:
    hours = new_york if exchange == "XNYS" else sao_paulo
    assert hours_of_day(hours, day, 15) == []
    assert not hours.live(np.array([at(day)]), DAY_NS)[0]
    assert not hours.is_open(at(f"{day} 16:30"))


def test_bars_that_meet_a_session_only_partly_may_trade(new_york: Hours) -> None:
    assert hours_of_day(new_york, "2024-11-29", 15)[:1] == ["14:30"]
    assert hours_of_day(new_york, "2024-11-29", 15)[-1:] == ["17:45"]
    assert hours_of_day(new_york, "2024-11-29", 240) == ["12:00", "16:00"]
    half_past = np.array([at("2024-11-29 17:30"), at("2024-11-29 18:00"), at("2024-11-29 18:30")])
    assert new_york.live(half_past, HOUR_NS).tolist() == [True, False, False]


def test_day_and_week_bars(new_york: Hours) -> None:
    week = np.array([at(f"2024-11-{day}") for day in range(25, 31)])
    assert new_york.live(week, DAY_NS).tolist() == [True, True, True, False, True, False]
    assert new_york.live(week + 5 * HOUR_NS, DAY_NS).tolist() == [True, True, True, False, True, False]
    assert new_york.live(np.array([at("2024-11-25"), at("2024-12-23")]), 7 * DAY_NS).all()


def test_a_lunch_break_is_within_the_session_but_nothing_trades(hong_kong: Hours) -> None:
    # 01:30 to 04:00 and 05:00 to 08:00
    assert hours_of_day(hong_kong, "2024-01-03") == ["01:00", "02:00", "03:00", "05:00", "06:00", "07:00"]
    assert [hong_kong.is_open(at(f"2024-01-03 {time}")) for time in ("03:59", "04:00", "04:59", "05:00")] == [
        True, False, False, True,
    ]  # fmt: skip
    assert text(hong_kong.day_end(at("2024-01-03 04:30"))) == "2024-01-03 08:00"


def test_a_session_that_begins_on_the_evening_before_in_utc() -> None:
    sydney = Hours.of("XASX", at("2024-01-02"), at("2024-01-02"))  # 23:00 to 05:00
    assert sydney.is_open(at("2024-01-01 23:30"))
    assert not sydney.is_open(at("2024-01-02 05:00"))
    assert sydney.live(np.array([at("2024-01-01"), at("2024-01-02")]), DAY_NS).tolist() == [False, True]


@pytest.mark.parametrize(
    ("now", "is_open", "day_end"),
    [
        ("2024-11-27 14:29", False, "2024-11-27 21:00"),
        ("2024-11-27 14:30", True, "2024-11-27 21:00"),
        ("2024-11-27 20:59", True, "2024-11-27 21:00"),
        ("2024-11-27 21:00", False, "2024-11-29 18:00"),  # over Thanksgiving to the half day
        ("2024-11-28 16:00", False, "2024-11-29 18:00"),
        ("2024-11-29 17:59", True, "2024-11-29 18:00"),
        ("2024-11-29 18:00", False, "2024-12-02 21:00"),  # over the weekend
        ("2024-03-28 20:30", False, "2024-04-01 20:00"),  # over Good Friday
        ("2024-12-31 21:00", False, "2025-01-02 21:00"),  # beyond what was asked for at first
    ],
)
def test_an_order_for_the_day_ends_with_its_session(new_york: Hours, now: str, is_open: bool, day_end: str) -> None:
    assert new_york.is_open(at(now)) is is_open
    assert text(new_york.day_end(at(now))) == day_end


def test_it_reads_on_when_time_goes_on() -> None:
    hours = Hours.of("XNYS", at("2024-01-02"), at("2024-01-02"))
    assert text(hours.day_end(at("2026-07-02 21:00"))) == "2026-07-06 20:00"  # 2026-07-03 is kept for Independence Day
    assert text(hours.day_end(at("2023-11-23 12:00"))) == "2023-11-24 18:00"
    assert hours.is_open(at("2024-01-02 15:00"))


def test_a_market_that_never_closes() -> None:
    always = Hours.of("24/7", 0, 0)
    assert always.live(np.arange(5) * HOUR_NS, HOUR_NS).tolist() == [True] * 5
    assert always.is_open(at("2024-12-25 03:00"))
    assert text(always.day_end(at("2024-12-25 03:00"))) == "2024-12-26 00:00"
    assert text(always.day_end(at("2024-12-25 00:00"))) == "2024-12-26 00:00"


def test_a_market_that_never_closes_needs_no_exchange_calendars() -> None:
    code = (
        "import sys; from pregao.simulation.hours import Hours; h = Hours.of('24/7', 0, 10**18); h.day_end(5);"
        "h.is_open(5); print('exchange_calendars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_an_unknown_calendar_is_refused() -> None:
    with pytest.raises(UsageError, match="'NYSE2' cannot be used"):
        Hours.of("NYSE2", 0, 0)


def stock(calendar: str) -> Instrument:
    return Instrument(
        symbol="ONE", source="test", venue="test", asset_class="stock", base="ONE", quote="USD", calendar=calendar,
        tick_size=Decimal(1), lot_size=Decimal(1),
    )  # fmt: skip


def test_which_bars_of_an_instrument_may_trade() -> None:
    days = np.array([at(f"2024-11-{day}") for day in (26, 27, 28, 29)])
    ones = np.ones(4, np.int64)
    rows = {
        calendar: live_rows(Bars(stock(calendar), Timeframe.parse("1d"), days, ones, ones, ones, ones, np.ones(4)))
        for calendar in ("XNYS", "BVMF", "24/7")
    }
    assert rows["XNYS"] is not None
    assert rows["XNYS"].tolist() == [True, True, False, True]
    assert rows["BVMF"] is None, "all of them may"
    assert rows["24/7"] is None


@given(st.integers(0, 364 * 24 * 12), st.sampled_from([1, 5, 15, 60, 240]))
def test_a_bar_may_trade_if_and_only_if_the_exchange_is_open_within_it(
    hong_kong: Hours, start: int, minutes: int
) -> None:
    hours = hong_kong
    open_ns = at("2024-01-01") + start * 5 * 60 * 10**9
    opened = [hours.is_open(open_ns + minute * 60 * 10**9) for minute in range(minutes)]
    assert hours.live(np.array([open_ns]), minutes * 60 * 10**9)[0] == any(opened)
    end = hours.day_end(open_ns)
    assert end > open_ns
    assert not hours.is_open(end)
    assert hours.is_open(end - 1)
