"""How far a session has gone, against New York's and Hong Kong's real days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pregao.core.errors import UsageError
from pregao.market.hours import TradingHours

MINUTE = 60


def asked(calendar: str, *bars: tuple[str, int]) -> list[list[float]]:
    """Elapsed and length in minutes, of bars given by their open (in the exchange's or UTC time) and minutes."""
    opens = np.array([pd.Timestamp(at).tz_convert("UTC").value for at, _ in bars])
    closes = opens + np.array([minutes for _, minutes in bars]) * MINUTE * 10**9
    return (TradingHours(calendar)(opens, closes) / MINUTE).tolist()


def test_the_session_of_a_whole_day() -> None:
    day = "2024-03-07 {}-05:00"
    said = asked("XNYS", *((day.format(at), 30) for at in ("09:00", "09:30", "12:00", "15:30", "16:00")))
    assert said[1:4] == [[30, 390], [180, 390], [390, 390]]
    assert np.isnan([said[0], said[4]]).all()  # before the open and after the close


def test_daylight_saving_and_a_half_day() -> None:
    assert asked("XNYS", ("2024-07-03 09:30-04:00", 15), ("2024-07-03 12:45-04:00", 15)) == [[15, 210], [210, 210]]


def test_a_holiday_and_a_weekend_have_no_session() -> None:
    assert np.isnan(asked("XNYS", ("2024-07-04 12:00-04:00", 60), ("2024-07-06 12:00-04:00", 60))).all()


def test_bars_on_a_grid_of_whole_hours_begin_and_end_with_the_session() -> None:
    assert asked("XNYS", ("2024-03-07 09:00-05:00", 60), ("2024-03-07 15:30-05:00", 60)) == [[30, 390], [390, 390]]


def test_a_lunch_break_is_in_its_session() -> None:
    assert asked("XHKG", ("2024-03-07 13:00+08:00", 30)) == [[240, 390]]


def test_day_bars_and_markets_that_never_close_have_none() -> None:
    assert np.isnan(asked("XNYS", ("2024-03-07 00:00+00:00", 1440))).all()
    assert np.isnan(asked("24/7", ("2024-03-07 00:00+00:00", 60))).all()


def test_asked_bar_by_bar_over_years_it_says_the_same() -> None:
    opens = pd.date_range("2021-12-20", "2023-01-10", freq="37h", tz="UTC").as_unit("ns").asi8
    closes = opens + 3_600 * 10**9
    hours = TradingHours("XNYS")
    one_by_one = np.concatenate([hours(opens[i : i + 1], closes[i : i + 1]) for i in range(len(opens))])
    assert one_by_one.tobytes() == TradingHours("XNYS")(opens, closes).tobytes()
    assert 40 < np.isfinite(one_by_one[:, 0]).sum() < len(opens) / 2


def test_an_unknown_calendar_is_refused() -> None:
    with pytest.raises(UsageError, match="XNOPE"):
        asked("XNOPE", ("2024-03-07 00:00+00:00", 60))
