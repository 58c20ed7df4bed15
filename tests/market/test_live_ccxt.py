"""The live feed over the real ccxt.pro client: whatever the venue does, its bars come once each, in order, and right.

Market time passes only when a test says so (`venue.advance`); a reader that is told of a change by `Revised` corrects
what it has, as `heard` does here.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from itertools import pairwise

import ccxt.async_support
import ccxt.pro
import pytest
from venue import (
    Altered,
    Cut,
    Doubled,
    DroppedFrames,
    LateClose,
    Malformed,
    Market,
    MarketClock,
    Repeated,
    Revision,
    Short,
    Shuffled,
    Status,
    Swapped,
    Tampered,
    Venue,
)
from venue.faults import Fault
from venue.server import ms
from venue.truth import listed, true_bars
from waiting import wait

from pregao.core.bars import Bar
from pregao.core.timeframe import Timeframe
from pregao.market.feeds import Closed, Ended, Forming, Gap, Held, Recovered, Revised, Skewed, Stale, Traded, Watch
from pregao.market.feeds.live import LiveFeed
from pregao.market.sources.ccxt import Ccxt
from pregao.market.sources.ccxt.patience import Patience, UnreachableError
from pregao.market.sources.ccxt.wire import CcxtWire

MINUTE = 60_000_000_000
START = ms("2024-03-01") * 1_000_000
STREAM = "btcusdt@kline_1m"
WATCH = Watch(stale_s=0.4, poll_s=0.08, check_s=0.1, late_s=120.0, settle_s=0.5)
QUICK = Patience(tries=2, first_s=0.01, most_s=0.02, longest_s=0.5)


@pytest.fixture
def venue():
    with Venue([Market("BTC/USDT"), Market("ETH/USDT", price=2_000.0)]) as running:
        yield running


@pytest.fixture
def follow(venue):
    """Open a feed of BTC/USDT, one-minute bars, with its stream subscribed; it is closed at the end."""
    feeds = []

    def opened(after_ns=None, watch=WATCH, trades=False, stream=True) -> LiveFeed:
        instrument, options = listed(venue)
        minute = Timeframe.parse("1m")
        feed = LiveFeed(CcxtWire(options, instrument, minute, trades, QUICK), instrument, minute, after_ns, watch)
        feeds.append(feed)
        if stream:
            venue.subscribed(STREAM, 60)
        return feed

    yield opened
    for feed in feeds:
        feed._wire._client.timeout_on_exit = 0  # ccxt's own pause, for TLS
        feed.close()
        assert not feed._thread.is_alive()


class Heard:
    """What a reader has after it has read: its bars, corrected where it was told so, and all other events."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.origins: list[str] = []
        self.others: list[object] = []

    def read(self, feed: LiveFeed, bars: int, timeout_s: float = 60.0) -> Heard:
        """Read until there are so many bars, and then what still waits."""
        until = time.monotonic() + timeout_s
        while len(self.bars) < bars:
            event = feed.next_event(0.05)
            assert event is not None or time.monotonic() < until, f"{len(self.bars)} of {bars} bars; {self.others}"
            self.take(event)
        return self.rest(feed)

    def rest(self, feed: LiveFeed, quiet_s: float = 0.0) -> Heard:
        while (event := feed.next_event(quiet_s)) is not None:
            self.take(event)
        return self

    def wait(self, feed: LiveFeed, kind: type, count: int = 1, timeout_s: float = 60.0) -> object:
        until = time.monotonic() + timeout_s
        while len(found := self.of(kind)) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} {kind.__name__}; {self.others}"
            self.take(feed.next_event(0.05))
        return found[0]

    def take(self, event) -> None:
        if isinstance(event, Closed):
            self.bars.append(event.bar)
            self.origins.append(event.origin)
        elif isinstance(event, Revised):
            at = next(i for i, bar in enumerate(self.bars) if bar.open_ns == event.bar.open_ns)
            assert self.bars[at] == event.was
            self.bars[at] = event.bar
            self.others.append(event)
        elif event is not None and not isinstance(event, Skewed):
            self.others.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.others if isinstance(event, kind)]


def truth(venue, bars: int, first_ns: int = START) -> list[Bar]:
    return true_bars(venue, "BTC/USDT", "1m", first_ns, first_ns + bars * MINUTE)


def play(venue, feed, heard: Heard, minutes: int) -> None:
    """Let minutes pass one by one, and read each minute's bar before the next passes."""
    for _ in range(minutes):
        venue.advance(minutes=1)
        heard.read(feed, len(heard.bars) + 1)


def test_bars_come_as_they_close_by_the_stream_alone(venue, follow):
    feed, heard = follow(watch=replace(WATCH, stale_s=60.0, check_s=60.0)), Heard()
    venue.advance(seconds=10)
    wait(lambda: feed._streaming)
    before = venue.counts()["klines"]
    play(venue, feed, heard, 5)
    time.sleep(10 * WATCH.poll_s)
    assert heard.bars == truth(venue, 5)
    assert heard.origins == ["live"] * 5
    assert venue.counts()["klines"] - before <= 2  # one that was under way, and one that was wanted meanwhile


def test_each_bar_is_compared_with_the_venues_record(venue, follow):
    feed, heard = follow(watch=replace(WATCH, stale_s=60.0)), Heard()
    for _ in range(3):
        before = len(venue.asked("klines"))
        play(venue, feed, heard, 1)
        wait(lambda: not feed._sequence.unchecked)
        since = [int(one.query["startTime"]) for one in venue.asked("klines")[before:]]
        assert min(since) <= heard.bars[-1].open_ns // 1_000_000


def test_the_forming_bar_moves_between_closes(venue, follow):
    feed, heard = follow(), Heard()
    for n in range(5):  # there is a trade in each of these spans
        venue.advance(seconds=10)
        heard.wait(feed, Forming, n + 1)
    forming = [event.bar for event in heard.of(Forming)]
    assert {bar.open_ns for bar in forming} == {START}
    assert all(a.volume < b.volume and a.high <= b.high and a.low >= b.low for a, b in pairwise(forming))
    assert not heard.bars


def test_trades_come_too_if_they_are_wanted(venue, follow):
    feed, heard = follow(trades=True), Heard()
    venue.subscribed("btcusdt@trade", 60)
    venue.advance(minutes=2)
    venue_trades = venue.market("BTC/USDT").between(START // 1_000_000, START // 1_000_000 + 120_000)
    heard.wait(feed, Traded, len(venue_trades))
    heard.rest(feed, 0.2)
    assert [(t.ts_ns // 1_000_000, t.price) for t in heard.of(Traded)] == [(t.ms, t.ticks) for t in venue_trades]
    assert {t.side for t in heard.of(Traded)} == {"buy", "sell"}


def test_a_reader_that_knows_a_bar_gets_those_since_first(venue, follow):
    venue.advance(minutes=1_300)
    feed, heard = follow(after_ns=START + 99 * MINUTE), Heard()
    heard.read(feed, 1_200)
    play(venue, feed, heard, 2)
    assert heard.bars == truth(venue, 1_202, START + 100 * MINUTE)
    assert set(heard.origins[:1_200]) == {"backfill"}


# -- the stream misbehaves

FRAMES = {
    "every frame twice, and closes again later": Repeated,
    "frames out of order": Swapped,
    "closes after frames of the next bar": LateClose,
    "no frame says that a bar closed": DroppedFrames,
    "most frames lost": lambda: DroppedFrames(lambda frame: frame["E"] % 3 != 0),
    "a price of zero": lambda: tampered("c", "0.00000000"),
    "a negative price": lambda: tampered("l", "-1.00000000"),
    "a price ten times too high": lambda: tampered("h", "341645.80000000"),
    "no price": lambda: tampered("o", None),
    "a price that is no number": lambda: tampered("c", "abc"),
    "a price off the grid": lambda: tampered("c", "34164.24700000"),
    "a high below the low": lambda: tampered("h", "1.00000000"),
    "a future time": lambda: tampered("t", ms("2031-01-01")),
    "a wrong but likely price": lambda: tampered("c", "34170.00000000"),
}


def tampered(name, value):
    return Tampered(lambda frame: {**frame, "k": {**frame["k"], name: value}}, times=2)


@pytest.mark.parametrize("name", FRAMES)
def test_the_stream_misbehaves_and_every_bar_comes_once_and_right(venue, follow, name):
    feed, heard = follow(), Heard()
    venue.streams.faults.append(FRAMES[name]())
    play(venue, feed, heard, 6)
    until = time.monotonic() + 60.0  # the record is looked at a little later, and later still on a busy machine
    while heard.bars != truth(venue, 6) and time.monotonic() < until:
        heard.rest(feed, 0.1)
    assert heard.rest(feed, 0.1).bars == truth(venue, 6)
    assert not heard.of(Gap)
    assert not heard.of(Held)
    forming = [event.bar for event in heard.of(Forming)]
    assert all(3_000_000 < bar.low <= bar.high < 4_000_000 for bar in forming)


def test_minutes_of_wild_frames_without_a_pause_to_read(venue, follow):
    feed, heard = follow(), Heard()
    venue.streams.faults += [Repeated(), Swapped(5), DroppedFrames(lambda frame: frame["E"] % 7 == 0)]
    venue.advance(minutes=40)
    heard.read(feed, 40)
    assert heard.bars == truth(venue, 40)


def test_a_candle_that_changes_after_it_closed_is_told(venue, follow):
    second = START + MINUTE
    venue.market("BTC/USDT").revisions.append(Revision("1m", second // 1_000_000, second // 1_000_000 + 60_200))
    feed, heard = follow(watch=replace(WATCH, stale_s=60.0, check_s=1.0)), Heard()
    play(venue, feed, heard, 1)
    wait(lambda: not feed._sequence.unchecked and time.monotonic() - venue.requests[-1].at > 0.5)  # no question waits
    venue.advance(seconds=60.3)  # closed on the stream, changed 200 ms later, before anybody asked
    heard.read(feed, 2)
    (revised,) = [heard.wait(feed, Revised)]
    assert (revised.bar.open_ns, revised.bar.close - revised.was.close) == (second, 25)
    assert heard.bars == truth(venue, 2)


# -- the connection misbehaves


@pytest.mark.parametrize("mid_message", [False, True])
def test_a_disconnect_loses_nothing(venue, follow, mid_message):
    feed, heard = follow(), Heard()
    for _ in range(3):
        play(venue, feed, heard, 1)
        venue.advance(seconds=25)
        venue.disconnect(mid_message=mid_message)
        venue.advance(seconds=95)  # nobody listens
        heard.read(feed, len(heard.bars) + 2)
        venue.subscribed(STREAM, 60)
    play(venue, feed, heard, 2)
    assert heard.bars == truth(venue, 11)
    assert venue.streams.opened == 4
    assert heard.origins[-1] == "live"


def test_a_half_open_connection_is_noticed_and_replaced(venue, follow):
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 2)
    venue.mute()
    venue.advance(minutes=3)
    heard.read(feed, 5)
    time.sleep(WATCH.stale_s + 0.1)
    venue.advance(seconds=30)  # the venue's record moves, the stream says nothing
    venue.subscribed(STREAM, 60)
    play(venue, feed, heard, 1)
    assert heard.bars == truth(venue, 6)
    assert venue.streams.opened == 2


def test_a_silent_market_is_not_a_stale_feed(venue, follow):
    watch = replace(WATCH, stale_s=1.5)
    feed, heard = follow(watch=watch), Heard()
    play(venue, feed, heard, 1)
    time.sleep(3 * watch.stale_s)
    heard.rest(feed)
    assert not heard.of(Stale)
    assert venue.streams.opened == 1


def test_everything_down_is_stale_and_recovers_without_a_hole(venue, follow):
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 1)
    venue.streams.refused = True
    venue.fault(Status(503), on="*", times=10_000)
    venue.disconnect()
    venue.advance(minutes=4)
    stale = heard.wait(feed, Stale)
    assert stale.silent_s > WATCH.stale_s
    assert "does not answer" in stale.reason
    assert len(heard.bars) == 1
    venue.mend()
    recovered = heard.wait(feed, Recovered)
    assert recovered.after_s > WATCH.stale_s
    assert heard.bars == truth(venue, 5)  # before the event, all of them
    assert len(heard.of(Stale)) == len(heard.of(Recovered)) == 1


def test_rest_alone_suffices_where_the_stream_is_refused(venue, follow):
    venue.streams.refused = True
    feed, heard = follow(stream=False), Heard()
    play(venue, feed, heard, 4)
    venue.advance(seconds=20)
    heard.wait(feed, Forming)
    assert heard.bars == truth(venue, 4)
    assert set(heard.origins) == {"backfill"}
    venue.streams.refused = False
    venue.subscribed(STREAM, 60)
    play(venue, feed, heard, 2)
    assert heard.bars == truth(venue, 6)


def test_an_exchange_without_streams_is_followed_by_the_asynchronous_client(venue, monkeypatch):
    """One that ``ccxt.pro`` does not know: the client of ``ccxt.async_support`` asks, through faults."""
    monkeypatch.setattr("pregao.market.sources.ccxt.wire.ccxt.pro.exchanges", [])
    instrument, options = listed(venue)
    minute = Timeframe.parse("1m")
    with LiveFeed(CcxtWire(options, instrument, minute, True, QUICK), instrument, minute, None, WATCH) as feed:
        client = feed._wire._client
        assert isinstance(client, ccxt.async_support.binance)
        assert not isinstance(client, ccxt.pro.binance)
        assert not feed._wire.streams
        heard = Heard()
        for fault in (Status(429, retry_after=0.05), Malformed(), Short((0,)), Doubled(), Shuffled(), Cut()):
            venue.fault(fault)
            play(venue, feed, heard, 1)
        assert heard.bars == truth(venue, 6)
        assert set(heard.origins) == {"backfill"}
        assert not venue.streams.opened
        client.timeout_on_exit = 0


def test_the_stream_alone_suffices_while_rest_is_down(venue, follow):
    """For longer than a silence would be told."""
    feed, heard = follow(watch=replace(WATCH, stale_s=2.0)), Heard()
    venue.fault(Status(503), on="*", times=10_000)
    until = time.monotonic() + 3.0
    while time.monotonic() < until:
        play(venue, feed, heard, 1)
        time.sleep(0.1)
    assert heard.bars == truth(venue, len(heard.bars))
    assert not heard.of(Stale)


class Ban(Status):
    """It knows when it was told."""

    told_at = 0.0

    async def before(self, request):
        self.told_at = time.monotonic()
        return await super().before(request)


def test_a_ban_is_kept_to_while_the_stream_goes_on(venue, follow):
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 1)
    wait(lambda: not feed._sequence.unchecked)
    ban = Ban(418, retry_after=0.8)
    venue.fault(ban, on="time")
    play(venue, feed, heard, 1)
    wait(lambda: ban.told_at)
    wait(lambda: [one for one in venue.asked("time") if one.at > ban.told_at])
    again = next(one for one in venue.requests if one.at > ban.told_at)
    assert again.at - ban.told_at >= 0.8
    play(venue, feed, heard, 1)
    assert heard.bars == truth(venue, 3)


class Hanging(Fault):
    """No answer until the test lets it come."""

    over = False

    async def before(self, request):
        until = time.monotonic() + 60
        while not self.over and time.monotonic() < until:
            await asyncio.sleep(0.01)


def test_a_venue_that_hangs_is_stale_before_it_times_out(venue, follow):
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 1)
    venue.streams.refused = True
    hanging = Hanging()
    venue.fault(hanging, on="*", times=2)
    venue.disconnect()
    venue.advance(minutes=2)
    assert heard.wait(feed, Stale).reason == "The venue sends nothing and does not answer."
    hanging.over = True
    venue.mend()
    heard.wait(feed, Recovered)
    assert heard.read(feed, 3).bars == truth(venue, 3)


def test_a_perpetual_is_followed_too():
    with Venue([Market("BTC/USDT", perpetual=True)]) as venue:
        instrument, options = listed(venue, kind="swap")
        minute = Timeframe.parse("1m")
        with LiveFeed(CcxtWire(options, instrument, minute, patience=QUICK), instrument, minute, None, WATCH) as feed:
            venue.subscribed(STREAM, 60)
            heard = Heard()
            play(venue, feed, heard, 3)
        assert heard.bars == truth(venue, 3)
        assert heard.origins == ["live"] * 3


REST = {
    "429": Status(429, retry_after=0.05),
    "418": Status(418, retry_after=0.05),
    "500": Status(500),
    "malformed": Malformed(),
    "cut": Cut(),
    "one row short": Short((-2,)),
    "first row missing": Short((0,)),
    "doubled": Doubled(),
    "shuffled": Shuffled(),
    "a zero": Altered(lambda row: [*row[:4], "0.0", *row[5:]]),
}


@pytest.mark.parametrize("name", REST)
def test_back_filling_through_faults(venue, follow, name):
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 1)
    venue.fault(REST[name], times=1)
    venue.fault(REST[name], times=1, after=1)
    venue.disconnect()
    venue.advance(minutes=5)
    heard.read(feed, 6)
    assert heard.bars == truth(venue, 6)
    assert not heard.of(Gap)


def test_a_candle_that_comes_late_is_waited_for(venue, follow):
    """The venue's record lacks a candle while the one after it is there, and has it a little later."""
    venue.streams.refused = True
    feed, heard = follow(stream=False), Heard()
    play(venue, feed, heard, 1)
    gone = str(START // 1_000_000 + 60_000)
    venue.fault(Hidden(int(gone)), times=6)
    venue.advance(minutes=2)
    heard.read(feed, 3)
    assert heard.bars == truth(venue, 3)
    assert not heard.of(Gap)


class Hidden(Short):
    """The row of one time is missing."""

    def __init__(self, open_ms: int) -> None:
        super().__init__(())
        self.open_ms = open_ms

    def rows(self, rows):
        return [row for row in rows if row[0] != self.open_ms]


def test_minutes_without_any_trade_are_a_gap_that_is_told(venue, follow):
    halt = START // 1_000_000 + 120_000
    venue.market("BTC/USDT").halts = ((halt, halt + 180_000),)
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 2)
    venue.advance(minutes=4)
    venue.advance(minutes=2)
    heard.read(feed, 5)
    assert heard.of(Gap) == [Gap(halt * 1_000_000, (halt + 180_000) * 1_000_000, 3)]
    assert heard.bars == truth(venue, 8)


def test_a_price_that_really_jumps_is_held_told_and_delivered_with_the_next(venue, follow):
    feed, heard = follow(watch=Watch(stale_s=2, poll_s=0.08, check_s=0.1, jump=0.0005)), Heard()
    for _ in range(12):  # so narrow a bound that ordinary minutes break it
        venue.advance(minutes=1)
        time.sleep(0.1)
        heard.rest(feed)
    venue.advance(minutes=2)
    heard.read(feed, 13)
    held = heard.of(Held)
    assert held
    assert "away from the bars before" in held[0].reason
    assert len({event.open_ns for event in held}) == len(held)
    assert heard.bars == truth(venue, 14)[: len(heard.bars)]
    assert not heard.of(Gap)


def test_a_bar_that_stays_impossible_is_held_and_then_given_up(venue, follow):
    venue.streams.refused = True
    feed, heard = follow(stream=False), Heard()
    play(venue, feed, heard, 1)
    bad = START // 1_000_000 + 60_000
    venue.fault(Zeroed(bad), times=10_000)
    venue.advance(minutes=1)
    assert heard.wait(feed, Held) == Held(bad * 1_000_000, "its close is 0")
    assert len(heard.bars) == 1
    venue.advance(minutes=1)
    heard.read(feed, 2)
    assert heard.of(Gap) == [Gap(bad * 1_000_000, (bad + 60_000) * 1_000_000, 1)]
    assert heard.bars[1] == truth(venue, 3)[2]


class Zeroed(Altered):
    """The row of one time closes at zero."""

    def __init__(self, open_ms: int) -> None:
        super().__init__(lambda row: row)
        self.open_ms = open_ms

    def rows(self, rows):
        return [[*row[:4], "0.00", *row[5:]] if row[0] == self.open_ms else row for row in rows]


def test_a_delisted_symbol_is_stale_and_says_why(venue, follow):
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 2)
    venue.delist("BTC/USDT")
    venue.advance(minutes=3)
    assert "suspended or delisted" in heard.wait(feed, Stale).reason
    assert heard.bars == truth(venue, 2)


def test_a_symbol_that_is_gone_ends_the_feed(venue, follow):
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 2)
    venue.delist("BTC/USDT", gone=True)
    venue.advance(minutes=2)
    assert "does not know this symbol any more" in heard.wait(feed, Ended).reason
    heard.rest(feed)
    assert feed.finished
    assert feed.next_event(0) is None


# -- the clock, the queue, the end


@pytest.mark.parametrize("stream", [True, False])
def test_a_market_in_motion_four_hundred_times_as_fast(stream):
    """Trades, closes and questions at once, in real time: a bar in 0.15 s, a trade in 25 ms."""
    with Venue([Market("BTC/USDT")], start=MarketClock(START // 1_000_000 + 12_345, rate=400.0)) as venue:
        venue.streams.refused = not stream
        instrument, options = listed(venue)
        minute = Timeframe.parse("1m")
        with LiveFeed(CcxtWire(options, instrument, minute, patience=QUICK), instrument, minute, None, WATCH) as feed:
            heard = Heard().read(feed, 10)
        assert heard.bars == truth(venue, len(heard.bars), heard.bars[0].open_ns)
        assert not heard.of(Gap)


@pytest.mark.parametrize("ahead", [False, True])
def test_a_clock_off_by_half_a_minute_is_measured_told_and_tolerated(ahead):
    """In real time: the venue's minute ends in two seconds, this machine's half a minute or more before or after."""
    local = int(time.time() * 1_000)
    minute_end = (local + 80_000) // 60_000 * 60_000 if ahead else (local - 20_000) // 60_000 * 60_000
    off = (minute_end - 2_000 - local) / 1_000
    with Venue([Market("BTC/USDT")], start=MarketClock(minute_end - 2_000, rate=1.0)) as venue:
        instrument, options = listed(venue)
        minute = Timeframe.parse("1m")
        wire, known = CcxtWire(options, instrument, minute, patience=QUICK), (minute_end - 120_000) * 1_000_000
        with LiveFeed(wire, instrument, minute, known, WATCH) as feed:
            first = feed.next_event(60)
            assert isinstance(first, Skewed)
            assert abs(first.seconds - off) < 1.0
            assert abs(off) >= 18
            bar = feed.next(60)
            assert bar is not None
            assert minute_end == bar.close_ns // 1_000_000 <= venue.clock.now()
        assert [bar] == true_bars(venue, "BTC/USDT", "1m", bar.open_ns, bar.close_ns)


def test_a_reader_that_sleeps_misses_no_bar_and_the_queue_stays_small(venue, follow):
    feed, heard = follow(watch=Watch(stale_s=5, poll_s=0.08, check_s=0.1, waiting=10)), Heard()
    venue.advance(minutes=60)
    time.sleep(0.3)
    assert len(feed._mail._kept) <= 10 + 60
    heard.read(feed, 60)
    assert heard.bars == truth(venue, 60)


def test_the_source_opens_the_feed_of_what_it_ingested(venue):
    """What a session will do: the last stored bar, and from there on live."""
    instrument, options = listed(venue)
    with Ccxt().live(instrument, Timeframe.parse("1m"), options, START - 11 * MINUTE, WATCH, trades=True) as feed:
        venue.subscribed("btcusdt@trade", 60)
        heard = Heard().read(feed, 10)
        play(venue, feed, heard, 1)
        heard.wait(feed, Traded)
    assert heard.bars == truth(venue, 11, START - 10 * MINUTE)


def test_next_gives_bars_only(venue, follow):
    feed = follow(trades=True)
    venue.advance(minutes=3)
    assert [feed.next(60) for _ in range(3)] == truth(venue, 3)
    assert feed.next(0.01) is None
    assert not feed.finished


def test_closing_ends_the_thread_and_the_connections_at_once(venue, follow):
    threads = threading.active_count()
    feed = follow()
    venue.mute()
    began = time.monotonic()
    feed.close()
    feed.close()
    assert time.monotonic() - began < 9.0  # a thread that does not end is given up after ten seconds
    assert threading.active_count() <= threads
    Heard().rest(feed)
    assert feed.finished
    wait(lambda: not venue.streams.connections)


def test_a_venue_that_cannot_be_reached_to_begin_with(venue):
    instrument, options = listed(venue)
    away = options.model_copy(update={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(UnreachableError, match=r"no connection to 127\.0\.0\.1:9"):
        LiveFeed(CcxtWire(away, instrument, Timeframe.parse("1m"), patience=QUICK), instrument, Timeframe.parse("1m"))


def test_a_venue_that_marks_no_closes_is_followed_by_what_it_says_next(venue, follow, monkeypatch):
    """Most exchanges send candles without a word on whether they are closed: their record decides."""
    monkeypatch.setattr("pregao.market.sources.ccxt.wire._Marks.on_kline", property(lambda self: None, lambda *_: None))
    feed, heard = follow(), Heard()
    play(venue, feed, heard, 4)
    assert heard.bars == truth(venue, 4)
    assert set(heard.origins) == {"backfill"}


def test_most_bars_take_the_short_way(venue, follow):
    """From the frame that the venue sends to the event that the reader has: no question decides when that is."""
    feed = follow(watch=Watch(stale_s=60.0, poll_s=20.0, check_s=60.0, settle_s=20.0))
    took = []
    for _ in range(20):
        began = time.perf_counter()
        venue.advance(minutes=1)
        assert feed.next(60) is not None
        took.append(time.perf_counter() - began)
    assert sorted(took)[10] < 2.0
