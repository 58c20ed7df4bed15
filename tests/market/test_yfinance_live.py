"""The live feed over Yahoo's charts and its stream: each bar once, in order, as traded; nights are no gaps.

Market time passes only when a test says so: `advance`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from waiting import wait
from yahoo.fixtures import ask, at, yahoo

from pregao.core.bars import Bar
from pregao.core.errors import NotFoundError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.feeds import Closed, Ended, Event, Gap, LiveFeed, Recovered, Stale, Traded, Watch
from pregao.market.sources.yfinance import YFinance, YFinanceOptions
from pregao.market.sources.yfinance_client import Yahoo
from pregao.market.sources.yfinance_live import YahooWire, seen_ns

__all__ = ["yahoo"]
MINUTE = Timeframe.parse("1m")
FRIDAY, MONDAY = at("2026-11-20") + (14 * 60 + 30) * MINUTE.ns, at("2026-11-23") + (14 * 60 + 30) * MINUTE.ns
WATCH = Watch(stale_s=0.6, poll_s=0.1, settle_s=0.0, check_s=0.2, late_s=120.0)


@pytest.fixture
def follow(yahoo):
    feeds = []
    yahoo.now = FRIDAY / 1e9 + 600

    def opened(watch=WATCH, after_ns=None, symbol="NEWCO", timeout_s=2.0) -> LiveFeed:
        (series,) = ask(yahoo, symbol, start_ns=at("2026-10-01"))
        client = Yahoo(yahoo.address, attempts=1, pause_s=0.01, timeout_s=timeout_s)
        wire = YahooWire(client, series.instrument, MINUTE, clock=lambda: int(yahoo.now * 1e9))
        feed = LiveFeed(wire, series.instrument, MINUTE, after_ns, watch)
        feeds.append(feed)
        return feed

    yield opened
    for feed in feeds:
        feed.close()
        assert not feed._thread.is_alive()


def read(feed: LiveFeed, bars: int, seconds: float = 90.0) -> tuple[list[Bar], list[Event]]:
    """The next closed bars, and everything else that was told until then."""
    found: list[Bar] = []
    other: list[Event] = []
    until = time.monotonic() + seconds
    while len(found) < bars and time.monotonic() < until:
        event = feed.next_event(0.1)
        if isinstance(event, Closed):
            found.append(event.bar)
        elif event is not None:
            other.append(event)
    return found, other


def wait_for(feed: LiveFeed, kind: type, seconds: float = 90.0) -> Event:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        event = feed.next_event(0.1)
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__} within {seconds} s")


def true_bars(yahoo, start_ns: int, count: int) -> list[Bar]:
    """The bars of the stock's own minutes, also across a weekend."""
    minutes = yahoo.stocks["NEWCO"].minutes
    first = int(minutes["time"].searchsorted(start_ns // 10**9))
    return [
        Bar(
            int(minutes["time"][i]) * 10**9, int(minutes["time"][i]) * 10**9 + MINUTE.ns,
            *(int(minutes[name][i]) for name in ("open", "high", "low", "close")), float(minutes["volume"][i]),
        )
        for i in range(first, first + count)
    ]  # fmt: skip


def test_bars_come_as_they_close_each_once(yahoo, follow):
    feed = follow()
    heard = []
    for _ in range(4):
        yahoo.now += 60
        heard += read(feed, 1)[0]
    assert heard == true_bars(yahoo, FRIDAY + 10 * MINUTE.ns, 4)


def test_a_question_that_is_not_answered_holds_up_neither_the_feed_nor_the_process_as_they_end(yahoo, follow):
    feed = follow(timeout_s=30.0)
    yahoo.fail(times=1_000, wait_s=15.0)
    asked = len(yahoo.asked)
    wait(lambda: len(yahoo.asked) > asked)
    feed.close()
    assert not feed._thread.is_alive()
    waiting = [thread for thread in threading.enumerate() if thread.name == "asks Yahoo"]
    assert waiting
    assert all(thread.daemon for thread in waiting)


def test_who_comes_back_gets_what_was_missed_first(yahoo, follow):
    feed = follow(after_ns=FRIDAY)
    yahoo.now += 60
    assert read(feed, 10)[0] == true_bars(yahoo, FRIDAY + MINUTE.ns, 10)


def test_a_weekend_is_no_gap_and_nobody_is_worried(yahoo, follow):
    """From a minute before Friday's close to two after Monday's open."""
    yahoo.now = FRIDAY / 1e9 + 389 * 60
    feed = follow(replace(WATCH, stale_s=2.0))
    yahoo.now += 60
    friday, told = read(feed, 1)
    yahoo.now += 3_600
    none, quiet = read(feed, 1, seconds=5.0)
    yahoo.now = MONDAY / 1e9 + 125
    monday, more = read(feed, 2)
    assert none == []
    assert friday + monday == true_bars(yahoo, FRIDAY + 389 * MINUTE.ns, 3)
    assert monday[0].open_ns == MONDAY
    assert not [event for event in told + quiet if isinstance(event, Gap | Stale)]
    assert not [event for event in more if isinstance(event, Gap)]  # how soon Monday is heard is the machine's affair


def test_the_stream_tells_trades_and_when_to_ask(yahoo, follow):
    """Asked only every minute by itself, the feed has the bar as soon as a price of the next one is heard."""
    feed = follow(Watch(stale_s=300.0, poll_s=60.0, settle_s=0.0, check_s=300.0))
    until = time.monotonic() + 90
    while not yahoo.stream("NEWCO", price=87.5, time=int(yahoo.now * 1_000), day_volume=1_000):
        assert time.monotonic() < until
        time.sleep(0.02)
    trade = wait_for(feed, Traded)
    assert (trade.price, trade.ts_ns, trade.quantity) == (8_750, int(yahoo.now) * 10**9, 0.0)
    yahoo.stream("NEWCO", price=87.51, time=int(yahoo.now * 1_000), day_volume=1_300)
    assert wait_for(feed, Traded).quantity == 300.0


def test_a_stream_that_breaks_in_the_middle_of_a_message_is_opened_again(yahoo, follow):
    feed = follow()
    heard = []
    for turn in range(3):
        until = time.monotonic() + 90
        while not yahoo.stream("NEWCO", price=87.5, time=int(yahoo.now * 1_000)) and time.monotonic() < until:
            time.sleep(0.02)
        wait_for(feed, Traded)
        if turn < 2:
            yahoo.cut_streams()
        yahoo.now += 60
        heard += read(feed, 1)[0]
    assert heard == true_bars(yahoo, FRIDAY + 10 * MINUTE.ns, 3)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"hang_up": True}, {"cut": 0.5}, {"text": "{"}])
def test_while_yahoo_fails_the_feed_is_stale_and_then_nothing_is_missing(yahoo, follow, fault):
    feed = follow()
    yahoo.now += 60
    first, _ = read(feed, 1)
    yahoo.fail(**fault, times=10_000)
    yahoo.now += 180
    assert "does not answer" in wait_for(feed, Stale).reason
    yahoo.faults.clear()
    rest, told = read(feed, 3)
    assert first + rest == true_bars(yahoo, FRIDAY + 10 * MINUTE.ns, 4)
    assert not [event for event in told if isinstance(event, Gap)]
    assert any(isinstance(event, Recovered) for event in told) or wait_for(feed, Recovered)


def test_a_feed_that_is_asked_to_wait_does(yahoo, follow):
    feed = follow()
    yahoo.now += 60
    first, _ = read(feed, 1)
    yahoo.fail(status=429, headers={"Retry-After": "6"})
    yahoo.now += 120
    wait_for_empty = time.monotonic() + 90
    while yahoo.faults and time.monotonic() < wait_for_empty:
        time.sleep(0.01)
    asked, start = len(yahoo.asked), time.monotonic()
    while time.monotonic() - start < 1.5:
        assert len(yahoo.asked) == asked
        time.sleep(0.05)
    rest, _ = read(feed, 2)
    assert first + rest == true_bars(yahoo, FRIDAY + 10 * MINUTE.ns, 3)


def test_a_bar_with_a_price_off_the_grid_is_held_back_until_yahoo_tells_it_right(yahoo, follow):
    feed = follow()

    def bend(result):
        times, quote = result["timestamp"], result["indicators"]["quote"][0]
        wrong = (FRIDAY + 10 * MINUTE.ns) // 10**9
        if wrong in times:
            quote["high"][times.index(wrong)] += 0.0037

    yahoo.fail(edit=bend, bars_only=True, times=4)
    yahoo.now += 60
    assert read(feed, 1)[0] == true_bars(yahoo, FRIDAY + 10 * MINUTE.ns, 1)


def test_a_symbol_that_yahoo_forgets_ends_the_feed(yahoo, follow):
    feed = follow()
    del yahoo.stocks["NEWCO"]
    yahoo.now += 60
    assert "not listed any more" in wait_for(feed, Ended).reason
    assert feed.finished


def test_a_market_that_does_not_exist_or_has_no_minutes_is_refused(yahoo):
    (series,) = ask(yahoo, "BTC-USD", start_ns=at("2026-10-01"))
    options = YFinanceOptions(address=yahoo.address, pause_s=0.01)
    with pytest.raises(UsageError, match="has no 1d bars"):
        YFinance().live(series.instrument, Timeframe.parse("1d"), options)
    gone = series.instrument.model_copy(update={"symbol": "NO-SUCH"})
    with pytest.raises(NotFoundError, match="no data of the symbol 'NO-SUCH'"):
        YFinance().live(gone, MINUTE, options)
    with YFinance().live(series.instrument, MINUTE, options) as feed:
        assert abs(feed.skew_s) < 3


SESSION = {"regular": {"start": 1_000, "end": 30_000}}


@pytest.mark.parametrize(
    ("latest", "now", "seen"),
    [
        (10_000, 10_002, 10_000),  # the last trade was two seconds ago
        (10_000, 11_100, 10_000),  # prices come late, by less than 20 minutes
        (10_000, 20_000, 18_800),  # nobody trades: after 20 minutes it is known that nobody did
        (30_000, 40_000, 30_000),  # the exchange has closed: its clock stands
        (500, 900, 500),  # it has not opened
        (50_000, 10_000, 10_000),  # never ahead of us
    ],
)
def test_until_when_yahoo_has_told_the_market(latest, now, seen):
    facts = {"regularMarketTime": latest * 10**9, "currentTradingPeriod": SESSION}
    assert seen_ns(facts, now * 10**9) == seen * 10**9


def test_prices_of_the_stream_are_whole_ticks(yahoo, follow):
    assert follow().instrument.tick_size == Decimal("0.01")
