"""The engine on days of the New York exchange: Thanksgiving 2024 and the half day after it. All times here are UTC.

The session of Wednesday 27 November ends at 21:00. Thursday has none. Friday's goes from 14:30 to 18:00, three hours
less than usual. The bars are a vendor's who has prices all around the clock, the wildest of them outside the sessions.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.hours import Hours, live_rows
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms

SHARE = Instrument(
    symbol="ONE", source="test", venue="test", asset_class="stock", base="ONE", quote="USD", calendar="XNYS",
    tick_size=Decimal(1), lot_size=Decimal(1), allow_short=True,
)  # fmt: skip
HOUR, DAY = Timeframe.parse("1h"), Timeframe.parse("1d")
LONG_AGO, LONG_TO_COME = 1, 10_000


def at(time: str) -> int:
    return pd.Timestamp(time, tz="UTC").value


def text(ns: int) -> str:
    return f"{pd.Timestamp(ns):%d %H:%M}"


HOURS = Hours.of("XNYS", at("2024-11-25"), at("2024-12-05"))


def around_the_clock(first: str, last: str, frame: Timeframe = HOUR) -> Bars:
    """At 100 all the time, but where the exchange is closed from 1 to 10,000: whoever fills there, is found out."""
    opens = np.arange(at(first), at(last), frame.ns, dtype=np.int64)
    flat = np.full(len(opens), 100, np.int64)
    wild = ~HOURS.live(opens, frame.ns)
    high, low = np.where(wild, LONG_TO_COME, flat), np.where(wild, LONG_AGO, flat)
    return Bars(SHARE, frame, opens, flat, high, low, flat, np.full(len(opens), 1_000.0))


def plan(frame: Timeframe = HOUR, **changes: object) -> Plan:
    return Plan(SHARE, frame, 10**6 * 10**8, 1_000 * 10**8, 100_000, 50_000, 0, Terms(**changes))


def play(bars: Bars, orders: dict[str, list[dict[str, int]]], engine: Engine | None = None) -> list[Event]:
    """As a session does it: bar after bar, orders at the time at which a bar closes."""
    engine, alive = engine or Engine(plan(bars.timeframe)), live_rows(bars)
    told: list[Event] = []
    for i in range(len(bars)):
        bar = bars.bar(i)
        told += engine.step(bar, live_bar=alive is None or bool(alive[i]))
        engine.set_closed(not HOURS.is_open(bar.close_ns))
        for order in orders.get(text(bar.close_ns), []):
            told += engine.submit(**({"kind": layout.MARKET, "side": 1, "qty_lots": 10} | order))
    return told


def story(events: list[Event]) -> list[tuple[str, str, str]]:
    return [(text(e.ts_ns), e.kind, e.rule or e.reason) for e in events if e.kind != "accepted"]


WEEK = around_the_clock("2024-11-27 12:00", "2024-12-03 00:00")


@pytest.mark.parametrize(
    ("asked", "filled"),
    [
        ("27 20:00", "27 20:00"),  # the session goes on for an hour
        ("27 21:00", "29 14:00"),  # over Thanksgiving; the hour of 14:00 is the first with prices of the session
        ("28 15:00", "29 14:00"),  # a holiday, at a time of day at which it trades otherwise
        ("29 17:00", "29 17:00"),
        ("29 18:00", "02 14:00"),  # the half day is over, with three hours to go on any other day
        ("30 16:00", "02 14:00"),  # a Saturday
    ],
)
def test_a_market_order_waits_for_the_next_open(asked: str, filled: str) -> None:
    assert story(play(WEEK, {asked: [{}]})) == [(filled, "fill", "open")]


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        ("27 20:00", "27 21:00"),
        ("27 21:00", "29 18:00"),  # for the next session, which is a short one
        ("29 15:00", "29 18:00"),
        ("29 18:00", "02 21:00"),
    ],
)
@pytest.mark.parametrize("kind", [layout.LIMIT, layout.STOP])
def test_an_order_for_the_day_expires_at_its_close(asked: str, ends: str, kind: int) -> None:
    [now] = [at(f"2024-{month}-{asked}") for month in (11, 12) if (month == 11) == (asked > "20")]
    order = {"kind": kind, "price_ticks": 90 if kind == layout.LIMIT else 110, "tif": layout.DAY}
    told = play(WEEK, {asked: [order | {"expires_ns": HOURS.day_end(now)}]})
    assert story(told) == [(ends, "cancelled", "expired")]


def test_an_order_that_must_fill_at_once_is_refused_while_the_exchange_is_closed() -> None:
    for tif in (layout.IOC, layout.FOK):
        closed = {"28 15:00": [{"tif": tif}], "29 18:00": [{"tif": tif}]}
        refused = ("rejected", "the market is closed")
        assert story(play(WEEK, closed)) == [("28 15:00", *refused), ("29 18:00", *refused)]
        assert story(play(WEEK, {"29 17:00": [{"tif": tif}]})) == [("29 17:00", "fill", "open")]


def test_resting_orders_sleep_through_the_wildest_hours() -> None:
    """A bracket, a bid, a buy stop and a trailing stop, all of which any bar outside the sessions would fill."""
    entry = {"role": layout.ENTRY, "take_profit_ppm": 100_000, "stop_loss_ppm": 50_000}
    others = [
        {"kind": layout.LIMIT, "price_ticks": 90}, {"kind": layout.STOP, "price_ticks": 110},
        {"kind": layout.TRAILING, "side": -1, "qty_lots": 5, "trail_ticks": 10},
    ]  # fmt: skip
    engine = Engine(plan())
    told = play(WEEK, {"27 18:00": [entry, *others]}, engine)
    assert story(told) == [("27 18:00", "fill", "open")]
    assert sorted(o.price_ticks for o in engine.open_orders()) == [90, 90, 95, 110, 110], "the trailing one at 90 still"
    assert engine.account.position_lots == 10


def test_a_day_bar_of_a_holiday_is_no_trading_day() -> None:
    """Day bars of vendors who fill holidays in: what was decided on Wednesday is done on Friday, at its open."""
    days = around_the_clock("2024-11-26", "2024-12-03", DAY)
    signals = np.zeros(len(days), np.int8)
    signals[1] = layout.ENTER_LONG
    result = run_signals(days, plan(DAY), signals)
    assert [(text(e.ts_ns), e.role) for e in result.history() if e.kind == "fill"] == [("29 00:00", "entry")]
    assert result.engine.account.position_lots == 10


walks = st.lists(st.integers(-6, 6), min_size=len(WEEK), max_size=len(WEEK))
decisions = st.lists(
    st.sampled_from([0, 0, layout.ENTER_LONG, layout.ENTER_SHORT, layout.LEAVE]), min_size=len(WEEK), max_size=len(WEEK)
)


@settings(max_examples=150)
@given(walks, decisions, st.sampled_from(["pessimistic", "ohlc"]), st.sampled_from([0, 1, 5_400 * 10**9]))
def test_nothing_trades_that_could_not_have(moves: list[int], said: list[int], path: str, latency: int) -> None:
    """Any bars, any signals: each fill lies in a bar of a session. The compiled run and the live one are the same."""
    close = 100 + np.cumsum(moves).clip(-60, 1_000)
    opened = np.r_[100, close[:-1]]
    high, low = np.maximum(opened, close) + 3, np.minimum(opened, close) - 3
    bars = Bars(SHARE, HOUR, WEEK.open_ns, opened, high, low, close, WEEK.volume)
    terms = {"path": path, "latency_ns": (latency,) if latency else ()}
    signals = np.array(said, np.int8)
    result = run_signals(bars, plan(**terms), signals)
    alive = live_rows(bars)
    assert alive is not None
    sessions = bars.open_ns[alive]
    for e in result.history():
        if e.kind == "fill":
            opens = e.ts_ns - (HOUR.ns if e.rule == "path" else 0)
            assert opens in sessions, f"{e} fell on {text(opens)}"
    engine = Engine(plan(**terms))
    told: list[Event] = []
    for i in range(len(bars)):
        told += engine.step(bars.bar(i), live_bar=bool(alive[i]))
        if signals[i]:
            told += engine.signal(int(signals[i]))
    assert told == result.history()
    assert engine.to_bytes() == result.engine.to_bytes()
