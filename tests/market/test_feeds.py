"""The replay feed: paced, in order, never skipping a bar and never in a burst."""

from __future__ import annotations

import time

import pytest

from pregao.core.errors import UsageError
from pregao.market.feeds import ReplayFeed


def test_speed_zero_plays_every_bar_as_fast_as_asked(make_bars):
    bars = make_bars(1_000)
    feed = ReplayFeed(bars, speed=0)
    assert [feed.next(0) for _ in range(1_000)] == [bars.bar(i) for i in range(1_000)]
    assert feed.finished
    assert feed.next(0) is None


def test_bars_come_at_the_pace(make_bars):
    feed = ReplayFeed(make_bars(20), speed=50)
    began = time.monotonic()
    for _ in range(20):
        assert feed.next(1.0) is not None
    assert 0.38 <= time.monotonic() - began < 0.8


def test_a_bar_that_is_not_due_is_waited_for_only_so_long(make_bars):
    feed = ReplayFeed(make_bars(3), speed=2)
    began = time.monotonic()
    assert feed.next(0.05) is None
    assert 0.04 <= time.monotonic() - began < 0.3
    assert feed.next(0) is None
    bar = feed.next(5)
    assert bar == feed.bars.bar(0)


def test_a_late_consumer_gets_every_bar_but_no_burst(make_bars):
    feed = ReplayFeed(make_bars(50), speed=20)
    time.sleep(0.5)  # ten bars would be due
    began = time.monotonic()
    got = [feed.next(1.0) for _ in range(10)]
    assert [bar.open_ns for bar in got if bar] == feed.bars.open_ns[:10].tolist()
    assert time.monotonic() - began >= 0.35


def test_it_resumes_at_an_index(make_bars):
    feed = ReplayFeed(make_bars(10), speed=0, start_index=7)
    assert [feed.next(0).open_ns for _ in range(3)] == feed.bars.open_ns[7:].tolist()
    assert ReplayFeed(make_bars(10), speed=0, start_index=10).finished


@pytest.mark.parametrize(("speed", "start"), [(-1, 0), (float("nan"), 0), (float("inf"), 0), (1, 11), (1, -1)])
def test_impossible_replays_are_refused(make_bars, speed, start):
    with pytest.raises(UsageError):
        ReplayFeed(make_bars(10), speed, start)
