"""The replay feed: paced, in order, never skipping a bar and never in a burst; and the hand-over between threads."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.market.feeds import Closed, Ended, Forming, Gap, Held, ReplayFeed, Traded, replay
from pregao.market.feeds.mailbox import Mailbox
from pregao.market.feeds.sequence import Candle, Sequence
from pregao.market.sources import Request, source
from pregao.market.store import Store
from pregao.market.versions import Versions


class Clock:
    """A time of the replay's own: it passes when a reader waits, or a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()

    class Condition(threading.Condition):
        def wait(self, timeout=None):
            clock.wait(timeout)
            return False

    monkeypatch.setattr(replay, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(replay, "threading", SimpleNamespace(Condition=Condition))
    return clock


def test_speed_zero_plays_every_bar_as_fast_as_asked(make_bars):
    bars = make_bars(1_000)
    feed = ReplayFeed(bars, speed=0)
    assert [feed.next(0) for _ in range(1_000)] == [bars.bar(i) for i in range(1_000)]
    assert feed.finished
    assert feed.next(0) is None


def test_bars_come_at_the_pace(make_bars):
    """By the real clock, which may only be late."""
    feed = ReplayFeed(make_bars(20), speed=50)
    began = time.monotonic()
    for _ in range(20):
        assert feed.next(60) is not None
    assert time.monotonic() - began >= 0.38


def test_bars_come_when_they_are_due_and_no_later(make_bars, clock):
    feed = ReplayFeed(make_bars(20), speed=50)
    for n in range(20):
        assert feed.next(1.0) is not None
        assert clock.now == pytest.approx((n + 1) / 50)


def test_a_bar_that_is_not_due_is_waited_for_only_so_long(make_bars, clock):
    feed = ReplayFeed(make_bars(3), speed=2)
    assert feed.next(0.05) is None
    assert clock.now == pytest.approx(0.05)
    assert feed.next(0) is None
    bar = feed.next(5)
    assert bar == feed.bars.bar(0)
    assert clock.now == pytest.approx(0.5)


def test_a_late_consumer_gets_every_bar_but_no_burst(make_bars, clock):
    feed = ReplayFeed(make_bars(50), speed=20)
    clock.wait(0.5)  # ten bars would be due
    got = [feed.next(1.0) for _ in range(10)]
    assert [bar.open_ns for bar in got if bar] == feed.bars.open_ns[:10].tolist()
    assert clock.now == pytest.approx(0.5 + 8 / 20)  # no more than one is made up for


def test_it_resumes_at_an_index(make_bars):
    feed = ReplayFeed(make_bars(10), speed=0, start_index=7)
    assert [feed.next(0).open_ns for _ in range(3)] == feed.bars.open_ns[7:].tolist()
    assert ReplayFeed(make_bars(10), speed=0, start_index=10).finished


@pytest.mark.parametrize(("speed", "start"), [(-1, 0), (float("nan"), 0), (float("inf"), 0), (1, 11), (1, -1)])
def test_impossible_replays_are_refused(make_bars, speed, start):
    with pytest.raises(UsageError):
        ReplayFeed(make_bars(10), speed, start)


# -- pause, seek, events


def test_a_pause_stops_the_clock_and_resuming_goes_on_with_what_was_left(make_bars, clock):
    feed = ReplayFeed(make_bars(5), speed=5)
    clock.wait(0.1)
    feed.pause()
    assert feed.paused
    assert feed.next(0.3) is None
    feed.resume()
    assert feed.next(1.0) == feed.bars.bar(0)
    assert clock.now == pytest.approx(0.1 + 0.3 + 0.1)


def test_a_pause_holds_at_any_speed(make_bars):
    feed = ReplayFeed(make_bars(5), speed=0)
    feed.pause()
    feed.pause()
    assert feed.next(0.02) is None
    feed.resume()
    feed.resume()
    assert feed.next(0) == feed.bars.bar(0)


def test_resuming_from_another_thread_wakes_the_reader(make_bars):
    feed = ReplayFeed(make_bars(5), speed=0)
    feed.pause()
    threading.Timer(0.1, feed.resume).start()
    began = time.monotonic()
    assert feed.next(60) == feed.bars.bar(0)
    assert 0.08 <= time.monotonic() - began < 30  # not only when it would have looked by itself


def test_seeking_goes_to_the_first_bar_at_or_after_a_time(make_bars):
    feed = ReplayFeed(make_bars(100), speed=0)
    times = feed.bars.open_ns
    feed.seek(int(times[40]))
    assert feed.next(0) == feed.bars.bar(40)
    feed.seek(int(times[7]) - 1)
    assert [feed.next(0), feed.next(0)] == [feed.bars.bar(7), feed.bars.bar(8)]
    feed.seek(0)
    assert feed.next(0) == feed.bars.bar(0)
    feed.seek(int(times[99]) + 1)
    assert feed.finished
    feed.seek(int(times[99]))
    assert not feed.finished


def test_seeking_while_paused_waits_for_the_resuming(make_bars, clock):
    feed = ReplayFeed(make_bars(10), speed=20)
    feed.pause()
    feed.seek(int(feed.bars.open_ns[5]))
    assert feed.next(0.1) is None
    feed.resume()
    assert feed.next(1.0) == feed.bars.bar(5)


def test_the_speed_can_change_on_the_way(make_bars, clock):
    feed = ReplayFeed(make_bars(30), speed=0.01)
    assert feed.next(0.02) is None
    feed.speed = 100
    assert feed.speed == pytest.approx(100)
    for _ in range(10):
        assert feed.next(1.0) is not None
    assert clock.now == pytest.approx(0.02 + 10 / 100)
    with pytest.raises(UsageError):
        feed.speed = -1


def test_a_replay_says_what_a_live_feed_says(make_bars):
    whole = make_bars(10)
    rows = [0, 1, 2, 6, 7, 9]
    holed = Bars(
        whole.instrument,
        whole.timeframe,
        *(getattr(whole, name)[rows] for name in ("open_ns", "open", "high", "low", "close", "volume")),
    )
    feed = ReplayFeed(holed, speed=0)
    events = []
    while (event := feed.next_event(0)) is not None:
        events.append(event)
    start, length = int(whole.open_ns[0]), whole.timeframe.ns
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["Closed", "Closed", "Closed", "Gap", "Closed", "Closed", "Gap", "Closed", "Ended"]
    assert events[3] == Gap(start + 3 * length, start + 6 * length, 3)
    assert events[6] == Gap(start + 8 * length, start + 9 * length, 1)
    assert [event.bar for event in events if isinstance(event, Closed)] == [holed.bar(i) for i in range(6)]
    assert {event.origin for event in events if isinstance(event, Closed)} == {"replay"}


def test_a_replay_says_of_absurd_prices_what_a_live_feed_says(make_bars):
    """A price that goes up by half and stays: one bar is hard to believe, the next ones stand beside it."""
    bars = make_bars(12)
    for name in ("open", "high", "low", "close"):
        getattr(bars, name)[6:] *= 2
    feed = ReplayFeed(bars, speed=0)
    events = []
    while (event := feed.next_event(0)) is not None:
        events.append(event)
    live, told, rows = Sequence(bars.instrument, bars.timeframe, int(bars.open_ns[0])), [], []
    for i in range(len(bars)):
        prices = (price / 100 for price in bars.bar(i)[2:6])
        rows.append(Candle(int(bars.open_ns[i]), *prices, float(bars.volume[i])))
        for _ in range(2):
            told += live.answered([row for row in rows if row.open_ns >= live.next_ns], int(bars.close_ns[i])).events
    held = [event for event in events if isinstance(event, Held)]
    assert len(held) == 1
    assert held == [event for event in told if isinstance(event, Held)]
    assert [e.bar for e in events if isinstance(e, Closed)] == [e.bar for e in told if isinstance(e, Closed)]
    assert held[0].open_ns == bars.open_ns[6]
    assert held[0].reason.startswith("its price is ")
    at = events.index(held[0])
    assert events[at + 1] == Closed(bars.bar(6), "replay")
    assert [event.bar for event in events if isinstance(event, Closed)] == [bars.bar(i) for i in range(12)]


def test_any_stored_version_is_played_and_only_that_one(home, make_bars, tmp_path):
    """What a version held is played bit for bit, whatever the store holds by then."""
    store, versions = Store(), Versions()
    one, other = make_bars(50, seed=1), make_bars(80, seed=2)
    store.write(one)
    first = versions.commit("one")
    store.write(other, replace=True)
    second = versions.commit("other")
    for version, bars in ((first, one), (second, other), (first, one)):
        versions.snapshot(version, tmp_path / "played")
        feed = ReplayFeed(Store(tmp_path / "played").bars(bars.instrument, bars.timeframe), speed=0)
        played = []
        while (bar := feed.next(0)) is not None:
            played.append(bar)
        assert played == [bars.bar(i) for i in range(len(bars))]


def test_a_closed_market_is_no_gap():
    """Friday's and Monday's bars of a stock follow each other."""
    request = Request(("SPX",), None, 946_857_600_000_000_000, 948_672_000_000_000_000, None)
    series = next(iter(source("sample").fetch(request)))
    bars = Bars.from_frame(series.frame, series.instrument, series.timeframe)
    feed = ReplayFeed(bars, speed=0)
    events = [feed.next_event(0) for _ in range(len(bars) + 1)]
    assert {type(event) for event in events} == {Closed, Ended}


# -- the hand-over between threads


def test_a_mailbox_keeps_bars_in_order_and_only_the_latest_forming_one(make_bars):
    bars = make_bars(10)
    box = Mailbox(100)
    for i in range(5):
        box.put(Forming(bars.bar(i)))
        box.put(Closed(bars.bar(i), "live"))
    box.put(Forming(bars.bar(5)))
    box.put(Forming(bars.bar(5)._replace(volume=99.0)))
    got = [box.get(0) for _ in range(6)]
    assert got[:5] == [Closed(bars.bar(i), "live") for i in range(5)]
    assert got[5] == Forming(bars.bar(5)._replace(volume=99.0))
    assert box.get(0) is None


def test_a_mailbox_is_full_when_bars_wait_and_drops_only_old_trades(make_bars):
    bars = make_bars(3)
    box = Mailbox(3)
    for i in range(5_000):
        box.put(Traded(i, 1, 1.0, "buy"))
    assert not box.full
    for i in range(3):
        box.put(Closed(bars.bar(i), "live"))
    assert box.full
    assert [box.get(0) for _ in range(3)] == [Closed(bars.bar(i), "live") for i in range(3)]
    assert box.get(0) == Traded(4_000, 1, 1.0, "buy")


def test_a_mailbox_wakes_its_reader(make_bars):
    box = Mailbox(3)
    event = Closed(make_bars(1).bar(0), "live")
    threading.Timer(0.05, box.put, (event,)).start()
    began = time.monotonic()
    assert box.get(60) == event
    assert time.monotonic() - began < 30
