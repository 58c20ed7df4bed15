"""A live session of several markets in one account, through the real ccxt client: holes, silence, kills, delisting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from killable import runner
from live_session import MINUTE, STREAM, Running, bars_of, follower, rows
from venue import DroppedFrames, Market, MarketClock, Venue
from venue.faults import Fault
from venue.frames import Frame
from venue.truth import true_bars
from waiting import wait

from pregao.core.bars import Bar, Bars
from pregao.core.instrument import Instrument
from pregao.sessions.assembly import assembled
from pregao.sessions.audit import audit
from pregao.sessions.hosting import Host
from pregao.sessions.journal import Journal
from pregao.sessions.problems import SpecError
from pregao.sessions.records import JournalRow
from pregao.settings import settings
from pregao.strategies.backtest import backtest_many
from pregao.strategies.registry import configured

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
STREAMS = (STREAM, "ethusdt@kline_1m", "solusdt@kline_1m")
GONE = 100_000


@pytest.fixture
def database(home: Any) -> str:
    return settings().sessions_url


@pytest.fixture
def venue(plugin: None) -> Iterator[Venue]:
    markets = [Market(SYMBOLS[0]), Market(SYMBOLS[1], price=2_000.0), Market(SYMBOLS[2], price=150.0, lot_decimals=3)]
    with Venue(markets, MarketClock(int(time.time() // 60 * 60_000))) as running:
        yield running


@pytest.fixture
def follow(venue: Venue, journal: Journal) -> Any:
    """Start a session that follows the three; keyword arguments change the spec."""
    feed = {
        "kind": "live", "source": "ccxt", "symbol": SYMBOLS[0], "also": SYMBOLS[1:], "stale_s": 0.5, "poll_s": 0.1,
        "options": {"base_url": venue.url},
    }  # fmt: skip
    return follower(venue, journal, feed=feed, take_profit="0.2", stop_loss="0.2", entry_value=3_000)


def begun(venue: Venue, journal: Journal, session_id: str) -> int:
    """Wait until the session listens to all; the open time of its first bars."""
    for stream in STREAMS:
        venue.subscribed(stream, 90)
    return int(rows(journal, session_id, "warmed")[0].body["bars"][-1][1])


def play(venue: Venue, journal: Journal, session_id: str, minutes: int) -> None:
    for _ in range(minutes):
        bars = journal.session(session_id).bars
        venue.advance(minutes=1)
        wait(lambda: journal.session(session_id).bars == bars + 1)  # noqa: B023


def as_bars(instrument: Instrument, found: list[Bar]) -> Bars:
    columns = [np.array([getattr(bar, n) for bar in found]) for n in ("open_ns", "open", "high", "low", "close")]
    return Bars(instrument, MINUTE, *columns, np.array([bar.volume for bar in found]))  # type: ignore[arg-type]


def standing(journal: Journal, session_id: str) -> list[dict[str, Any]]:
    return list(journal.session(session_id).details["books"])


def test_it_trades_on_all_as_a_backtest_of_the_portfolio_would(venue: Venue, follow: Any, journal: Journal) -> None:
    session_id = follow()
    with Running(journal, session_id):
        first = begun(venue, journal, session_id)
        play(venue, journal, session_id, 12)
        venue.disconnect()
        venue.advance(seconds=5)
        begun(venue, journal, session_id)
        venue.advance(seconds=55)
        wait(lambda: journal.session(session_id).bars == 13)
        play(venue, journal, session_id, 12)
    row, last = journal.session(session_id), first + 25 * MINUTE.ns
    every = [bars_of(journal, session_id, book) for book in range(3)]
    for symbol, bars in zip(SYMBOLS, every, strict=True):
        assert bars == true_bars(venue, symbol, "1m", first, last)
    warm = [[Bar._make([*b[:-1], float(b[-1])]) for b in r.body["bars"]] for r in rows(journal, session_id, "warmed")]
    result = backtest_many(
        [configured("probe", row.spec.config) for _ in SYMBOLS],
        [as_bars(each, bars) for each, bars in zip(row.instruments, every, strict=True)],
        [part.plan for part in assembled(row).parts], seed=7,
        before=[as_bars(each, bars) for each, bars in zip(row.instruments, warm, strict=True)],
    )  # fmt: skip
    assert [r.body["eq"] for r in rows(journal, session_id, "bar") if "eq" in r.body] == result.equity.tolist()
    fills = [(r.ts_ns, r.body.get("b", 0), r.body["price"], r.body["pos"]) for r in rows(journal, session_id, "fill")]
    assert fills == [(e.ts_ns, e.book, e.price_ticks, e.position_lots) for e in result.history() if e.kind == "fill"]
    assert {book for _, book, _, _ in fills} == {0, 1, 2}
    assert audit(journal, session_id).identical


def test_a_market_that_trades_nothing_for_a_while_does_not_hold_the_others_up(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    now = venue.clock.now()
    venue.market("ETH/USDT").halts = ((now + 3 * 60_000, now + 6 * 60_000),)
    session_id = follow()
    with Running(journal, session_id):
        first = begun(venue, journal, session_id)
        for minute in range(1, 10):
            venue.advance(seconds=60 if minute == 1 else 40)
            venue.advance(seconds=20)  # so long the others are waited for, and are still worth trading on
            wait(lambda: journal.session(session_id).bars == minute)  # noqa: B023
    assert len(bars_of(journal, session_id, 0)) == len(bars_of(journal, session_id, 2)) == 9
    gaps = {(bar.open_ns - first) // MINUTE.ns for bar in bars_of(journal, session_id, 1)}
    assert gaps == {0, 1, 2, 6, 7, 8}
    assert not any(r.body.get("late") for r in rows(journal, session_id, "bar"))
    assert audit(journal, session_id).identical


class Kept(Fault):
    """Questions about the second market's candles are not answered."""

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        if request.query.get("symbol") == "ETHUSDT":
            return web.json_response({"code": -1, "msg": "down"}, status=503)
        return None


def test_what_is_not_heard_is_not_traded_and_its_exits_fill_where_the_venue_would_have_filled_them(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    session_id = follow(config={"every": 2, "leave": 1_000}, take_profit="0.1", stop_loss="0.1")

    def seconds(n: int, bars: int) -> None:
        venue.advance(seconds=n)
        wait(lambda: journal.session(session_id).bars == bars)

    def second(frame: Frame) -> bool:
        return bool(frame["s"] == "ETHUSDT")

    with Running(journal, session_id):
        begun(venue, journal, session_id)
        bars = 0
        while not standing_open(journal, session_id, 1):
            bars += 1
            seconds(60, bars)
        wait(lambda: resting(journal, session_id, 1))
        stop, profit = (resting(journal, session_id, 1)[role] for role in ("stop_loss", "take_profit"))
        venue.streams.faults.append(DroppedFrames(second))
        venue.fault(Kept(), on="klines", times=GONE)
        seconds(20, bars)
        wait(lambda: [r for r in rows(journal, session_id, "feed") if r.body["state"] == "stale"], 20)
        silent_ns = bars_of(journal, session_id, 1)[-1].close_ns
        while True:
            bars += 1
            seconds(60, bars)
            missed = true_bars(venue, "ETH/USDT", "1m", silent_ns, bars_of(journal, session_id, 0)[-1].close_ns)
            hit = next((bar for bar in missed if bar.low <= stop or bar.high >= profit), None)
            if hit is not None and len(missed) >= 3:
                break
        told = " ".join(journal.session(session_id).details["notices"].values())
        assert "About ETH/USDT: The market is not heard" in told
        assert standing_open(journal, session_id, 1)
        venue.streams.faults.clear()
        venue.mend()
        wait(lambda: [r for r in rows(journal, session_id, "feed") if r.body["state"] == "recovered"], 60)
        wait(lambda: len(passed_by(journal, session_id)) == len(missed), 60)
        bars += 1
        seconds(60, bars)
    passed = passed_by(journal, session_id)[: len(missed)]  # the last minute's is late, too, on a slow machine
    assert [r.body["t"] for r in passed] == [bar.open_ns for bar in missed]
    assert {r.body["b"] for r in passed} == {1}
    assert not [r for r in rows(journal, session_id, "intent")
                if r.body.get("b") == 1 and silent_ns < r.ts_ns <= missed[-1].close_ns]  # fmt: skip
    exit_ = next(r for r in rows(journal, session_id, "fill") if r.seq > passed[0].seq and r.body.get("b") == 1)
    level = min(stop, hit.open) if hit.low <= stop else max(profit, hit.open)
    assert (exit_.body["ref"], exit_.body["role"]) == (level, "exit")
    assert exit_.seq < passed[-1].seq + 4  # as soon as it was heard of, not at some later bar
    assert audit(journal, session_id).identical


def passed_by(journal: Journal, session_id: str) -> list[JournalRow]:
    """The bars that came too late to be traded on."""
    return [r for r in rows(journal, session_id, "feed") if r.body["state"] == "passed"]


def resting(journal: Journal, session_id: str, book: int) -> dict[str, int]:
    """The exits of an instrument's position, in ticks."""
    bar = [r.body for r in rows(journal, session_id, "bar") if r.body.get("b", 0) == book][-1]
    return {"take_profit": bar["tp"], "stop_loss": bar["sl"]} if bar["tp"] and bar["sl"] else {}


def standing_open(journal: Journal, session_id: str, book: int) -> bool:
    row = journal.session(session_id)
    return bool(row.bars) and bool(row.details["books"][book]["pos"])


def test_killed_it_catches_up_on_all_and_their_exits_fill_where_the_venue_would_have_filled_them(
    venue: Venue, follow: Any, journal: Journal, database: str, home: Any
) -> None:
    wide = {"config": {"every": 2, "leave": 1_000}}
    calm, killed = follow(**wide), follow(**wide)

    def exits(session_id: str) -> dict[int, tuple[int, int, str, int]]:
        """The first exit of each: when, at what price, by which rule, for what fee."""
        found: dict[int, tuple[int, int, str, int]] = {}
        for r in rows(journal, session_id, "fill"):
            if r.body["role"] in ("take_profit", "stop_loss"):
                found.setdefault(r.body.get("b", 0), (r.ts_ns, r.body["price"], r.body["rule"], r.body["fee"]))
        return found

    with Running(journal, calm):
        process = runner(str(home), database, killed)
        wait(lambda: journal.session(killed).status == "running", 40)
        begun(venue, journal, calm)
        for stream in STREAMS:
            wait(lambda: sum(stream in c.streams for c in list(venue.streams.connections)) == 2, 40)  # noqa: B023
        while not all(standing_open(journal, each, book) for each in (calm, killed) for book in range(3)):
            bars = journal.session(killed).bars
            play(venue, journal, calm, 1)
            wait(lambda: journal.session(killed).bars == bars + 1)  # noqa: B023
        process.kill()
        process.join()
        held, before = journal.session(killed), exits(killed)
        assert before == exits(calm)
        away = 0
        while len(exits(calm)) < 3 or away < 5:
            play(venue, journal, calm, 1)
            away += 1
    with Running(journal, killed):
        wait(lambda: journal.session(killed).bars == held.bars + away, 40)
        begun(venue, journal, killed)
        play(venue, journal, killed, 1)
        wait(lambda: rows(journal, killed, "missed"))
    assert exits(killed) == exits(calm)
    for book, symbol in enumerate(SYMBOLS):
        bars_lived = bars_of(journal, killed, book)
        assert bars_lived == true_bars(venue, symbol, "1m", bars_lived[0].open_ns, bars_lived[-1].close_ns)
    assert audit(journal, killed).identical


def test_one_that_is_delisted_leaves_the_others_trading_and_the_session_can_be_stopped(
    venue: Venue, follow: Any, journal: Journal
) -> None:
    session_id = follow(config={"every": 2, "leave": 1_000}, take_profit=20, stop_loss=20)
    with Running(journal, session_id):
        begun(venue, journal, session_id)
        bars = 0
        while not standing_open(journal, session_id, 2):
            play(venue, journal, session_id, 1)
            bars += 1
        venue.delist("SOL/USDT", gone=True)
        for _ in range(3):
            venue.advance(seconds=60)
            bars += 1
            wait(lambda: journal.session(session_id).bars == bars, 30)  # noqa: B023
        wait(lambda: [r for r in rows(journal, session_id, "feed") if r.body["state"] == "ended"], 30)
        assert journal.session(session_id).status == "running"
        assert "About SOL/USDT: The market has ended" in " ".join(
            journal.session(session_id).details["notices"].values()
        )
        journal.command(session_id, "stop")
        venue.advance(seconds=60)
        wait(lambda: journal.session(session_id).status == "stopped", 30)
    assert [each["pos"] != 0 for each in standing(journal, session_id)] == [False, False, True]
    assert audit(journal, session_id).identical


def test_two_at_one_host_hear_each_market_through_one_line(venue: Venue, follow: Any, journal: Journal) -> None:
    both = [follow(), follow(config={"every": 2, "leave": 5})]
    host, go = Host(journal.url, only=both), threading.Event()
    thread = threading.Thread(target=host.run, args=(go.is_set,))
    thread.start()
    try:
        for session_id in both:
            wait(lambda: rows(journal, session_id, "warmed"), 60)  # noqa: B023
        begun(venue, journal, both[0])
        wait(lambda: len(host.feeds) == 3)
        for minute in range(1, 7):
            venue.advance(minutes=1)
            wait(lambda: all(journal.session(each).bars == minute for each in both))  # noqa: B023
        for stream in STREAMS:
            assert sum(stream in c.streams for c in list(venue.streams.connections)) == 1
    finally:
        go.set()
        thread.join(60)
    for session_id in both:
        assert [len(bars_of(journal, session_id, book)) for book in range(3)] == [6, 6, 6]
        assert audit(journal, session_id).identical


def test_a_market_that_the_venue_does_not_have_is_named(follow: Any, venue: Venue) -> None:
    feed = {
        "kind": "live", "source": "ccxt", "symbol": "BTC/USDT", "also": ["NONE/USDT"],
        "options": {"base_url": venue.url},
    }  # fmt: skip
    with pytest.raises(SpecError) as caught:
        follow(feed=feed)
    assert "NONE/USDT" in caught.value.problems["also"]
