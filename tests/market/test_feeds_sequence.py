"""Which candles become bars: once each, in order, right, whatever is heard and however the venue answers."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.core.bars import Bar
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.feeds import Closed, Forming, Gap, Held, Revised
from pregao.market.feeds.sequence import Candle, Sequence

MINUTE = 60_000_000_000
START = 1_709_251_200_000_000_000
INSTRUMENT = Instrument(
    symbol="BTC/USDT",
    source="ccxt",
    venue="binance",
    asset_class="crypto",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)


def candle(i: int, close: float = 100.0, **changed: object) -> Candle:
    made = Candle(START + i * MINUTE, 100.0, max(101.0, close), min(99.0, close), close, 5.0 + i)
    return made._replace(**changed)


def sequence(**settings) -> Sequence:
    return Sequence(INSTRUMENT, Timeframe.parse("1m"), START, **settings)


def at(minutes: float) -> int:
    return START + round(minutes * MINUTE)


def closed(step) -> list[int]:
    return [(event.bar.open_ns - START) // MINUTE for event in step.events if isinstance(event, Closed)]


# -- what is heard


def test_a_candle_that_the_venue_marks_as_closed_is_delivered_at_once():
    one = sequence()
    step = one.heard(candle(0, marked=True), at(1))
    assert step.events == [Closed(Bar(START, START + MINUTE, 10_000, 10_100, 9_900, 10_000, 5.0), "live")]
    assert not step.ask
    assert one.next_ns == START + MINUTE


def test_a_mark_long_before_the_end_is_not_believed():
    step = sequence().heard(candle(0, marked=True), at(0.5))
    assert closed(step) == []
    assert step.ask


def test_a_candle_that_nobody_marked_is_only_shown():
    step = sequence().heard(candle(0), at(0.5))
    assert [type(event) for event in step.events] == [Forming]


def test_of_forming_candles_only_those_that_go_on_are_shown():
    one = sequence()
    volumes = [1.0, 3.0, 2.0, 3.0, 4.0]
    shown = [one.heard(candle(0, volume=volume), at(0.5)).events for volume in volumes]
    assert [len(events) for events in shown] == [1, 1, 0, 0, 1]


def test_a_candle_after_the_next_is_a_reason_to_ask():
    one = sequence()
    step = one.heard(candle(1, marked=True), at(2))
    assert step.ask
    assert closed(step) == []
    assert closed(one.answered([candle(0), candle(1)], at(2))) == [0, 1]


def test_the_same_candle_again_is_nothing():
    one = sequence()
    one.heard(candle(0, marked=True), at(1))
    again = one.heard(candle(0, marked=True), at(1))
    assert (again.events, again.ask) == ([], False)


def test_a_delivered_candle_heard_with_other_values_is_asked_about_and_the_record_decides():
    one = sequence()
    one.heard(candle(0, marked=True), at(1))
    assert one.heard(candle(0, volume=9.0, marked=True), at(1)).ask
    assert one.wanted_ns == START
    assert one.answered([candle(0)], at(1.5)).events == []
    assert one.heard(candle(0, volume=9.0, marked=True), at(2)).ask
    (revised,) = one.answered([candle(0, volume=9.0)], at(2)).events
    assert isinstance(revised, Revised)
    assert (revised.was.volume, revised.bar.volume) == (5.0, 9.0)


def test_a_time_in_the_future_is_never_shown():
    step = sequence().heard(candle(5, marked=True), at(1))
    assert (step.events, step.ask) == ([], True)


WRONG = {
    "zero": {"close": 0.0},
    "negative": {"low": -1.0},
    "nan": {"open": float("nan")},
    "infinite": {"high": float("inf")},
    "off the grid": {"close": 100.001},
    "high below low": {"high": 98.0},
    "no volume": {"volume": float("nan")},
    "negative volume": {"volume": -1.0},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_a_bar_is_asked_about_and_not_shown(name):
    one = sequence()
    step = one.heard(candle(0, marked=True)._replace(**WRONG[name]), at(1))
    assert (step.events, step.ask) == ([], True)
    assert closed(one.answered([candle(0)], at(1))) == [0]


# -- what is answered


def test_what_is_not_over_by_the_venues_clock_is_not_closed():
    assert closed(sequence().answered([candle(0), candle(1)], at(2) - 1)) == [0]
    assert closed(sequence().answered([candle(0), candle(1)], at(2))) == [0, 1]


def test_a_hole_is_asked_about_again_and_waited_for_until_it_is_old():
    one = sequence(late_ns=30_000_000_000)
    rows = [candle(0), candle(2)]
    first = one.answered(rows, at(3))
    assert (closed(first), first.ask) == ([0], True)
    early = sequence(late_ns=3 * MINUTE)
    assert [len(early.answered(rows, at(3)).events) for _ in range(5)] == [1, 0, 0, 0, 0]
    assert early.holding
    second = one.answered(rows, at(3))
    assert second.events[0] == Gap(at(1), at(2), 1)
    assert closed(second) == [2]


def test_a_hole_that_is_filled_was_none():
    one = sequence()
    one.answered([candle(0), candle(2)], at(3))
    step = one.answered([candle(1), candle(2)], at(3.2))
    assert closed(step) == [1, 2]
    assert not one.holding


def test_several_old_holes_need_one_second_look_not_one_each():
    one = sequence()
    rows = [candle(i) for i in (0, 2, 4, 6, 8)]
    one.answered(rows, at(60))
    step = one.answered(rows, at(60))
    assert closed(step) == [2, 4, 6, 8]
    assert len([event for event in step.events if isinstance(event, Gap)]) == 4


def test_a_jump_is_asked_about_held_told_once_and_delivered_with_the_next():
    one = sequence(jump=0.4)
    one.answered([candle(0)], at(1))
    far = candle(1, close=200.0)
    first = one.answered([far], at(2))
    assert (first.events, first.ask) == ([], True)
    second = one.answered([far], at(2))
    assert second.events == [Held(at(1), "its price is 100% away from the bars before")]
    assert one.answered([far], at(2)).events == []
    assert one.holding
    after = one.answered([far, candle(2, close=200.0, open=200.0, low=199.0)], at(3))
    assert closed(after) == [1, 2]


def test_a_spike_that_goes_back_holds_one_bar_only():
    one = sequence(jump=0.4)
    one.answered([candle(0)], at(1))
    for _ in range(2):
        one.answered([candle(1, close=200.0)], at(2))
    assert closed(one.answered([candle(1, close=200.0), candle(2)], at(3))) == [1, 2]


def test_a_jump_that_was_a_mistake_is_mended_by_asking_again():
    one = sequence(jump=0.4)
    one.answered([candle(0)], at(1))
    assert one.answered([candle(1, close=200.0)], at(2)).ask
    step = one.answered([candle(1)], at(2))
    assert closed(step) == [1]
    assert not one.holding


def test_an_impossible_bar_that_stays_is_a_gap():
    one = sequence()
    bad = candle(0)._replace(close=0.0)
    for _ in range(3):
        one.answered([bad], at(1))
    step = one.answered([bad, candle(1)], at(2))
    assert step.events[0] == Gap(at(0), at(1), 1)
    assert closed(step) == [1]


def test_a_bar_that_closes_while_the_venue_is_asked_is_compared_by_the_next_question():
    one = sequence()
    one.heard(candle(0, marked=True), at(1))
    one.heard(candle(1, close=100.5, marked=True), at(2))
    assert one.answered([candle(0)], at(2) - 1).events == []  # asked before the second had closed
    assert one.unchecked
    assert one.wanted_ns == at(1)
    (revised,) = one.answered([candle(1)], at(2)).events
    assert isinstance(revised, Revised)
    assert revised.bar.close == 10_000
    assert not one.unchecked


def test_fresh_bars_are_compared_with_the_record_once():
    one = sequence()
    one.answered([candle(0)], at(1))
    assert one.unchecked
    one.answered([candle(0)], at(1.1))
    assert not one.unchecked
    one.answered([candle(i) for i in range(1, 60)], at(120))
    assert not one.unchecked  # so old that nothing changes any more


# -- anything at all


@st.composite
def wild(draw):
    """What is heard of ten minutes: frames lost, doubled, swapped, spoilt; and how the venue answers each question."""
    frames = []
    for i in range(10):
        for k in range(3):
            frames.append((i, candle(i, volume=1.0 + k), at(i + 0.2 * (k + 1))))
        frames.append((i, candle(i, volume=4.0, marked=True), at(i + 1)))
    mess = []
    for _, frame, now in frames:
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2]))):
            spoilt = draw(st.sampled_from([None] * 6 + [*WRONG.values(), {"open_ns": frame.open_ns + 10**17}]))
            mess.append((frame._replace(**(spoilt or {})), now))
    for _ in range(draw(st.integers(0, 12))):
        if len(mess) > 1:
            i = draw(st.integers(0, len(mess) - 2))
            mess[i], mess[i + 1] = (mess[i + 1][0], mess[i][1]), (mess[i][0], mess[i + 1][1])
    answers = draw(st.lists(st.sampled_from(["good", "good", "nothing", "short", "spoilt", "fails"]), max_size=60))
    return mess, answers, draw(st.randoms(use_true_random=False))


@settings(max_examples=150)
@given(wild())
def test_every_bar_once_in_order_and_right(case):
    mess, answers, rng = case
    truth = [candle(i, volume=4.0) for i in range(10)]
    one = sequence(late_ns=10**15)
    got: list[Bar] = []

    def take(step) -> bool:
        for event in step.events:
            if isinstance(event, Closed):
                got.append(event.bar)
            elif isinstance(event, Revised):
                place = next(i for i, bar in enumerate(got) if bar.open_ns == event.bar.open_ns)
                assert got[place] == event.was
                got[place] = event.bar
            assert not isinstance(event, Gap)
        return step.ask

    def ask(now: int, kind: str) -> None:
        if kind == "fails":
            return
        rows = [row for row in truth if one.wanted_ns <= row.open_ns and row.open_ns + MINUTE <= now]
        if kind == "nothing":
            rows = []
        elif kind == "short" and rows:
            rows.pop(rng.randrange(len(rows)))
        elif kind == "spoilt" and rows:
            i = rng.randrange(len(rows))
            rows[i] = rows[i]._replace(close=-1.0)
            rows = rows[: i + 1]  # with its successor it would be given up
        take(one.answered(rows, now))

    for frame, now in mess:
        if take(one.heard(frame, now)) and answers:
            ask(now, answers.pop())
        assert all(bar.close_ns <= now + 10**9 for bar in got)
        assert all(a.close_ns == b.open_ns for a, b in pairwise(got))
    for _ in range(3):
        ask(at(10), "good")
    assert got == [one.bar(row) for row in truth]
