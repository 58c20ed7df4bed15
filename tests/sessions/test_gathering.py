"""Bars of several markets that close together: who is waited for, how long, and what becomes of who comes too late."""

from __future__ import annotations

from collections import deque

from probe_market import MINUTE, START_NS

from pregao.core.bars import Bar
from pregao.market.feeds import Closed, Ended, Event, Gap, Stale
from pregao.sessions import gathering
from pregao.sessions.gathering import Moment, Together


class Told:
    """A market as it is heard: events, and the time."""

    def __init__(self, *events: Event) -> None:
        self.events = deque(events)
        self.now_ns = START_NS
        self.last_price = None

    def next_event(self, timeout_s: float) -> Event | None:
        return self.events.popleft() if self.events else None

    def close(self) -> None: ...


def bar(minute: int) -> Bar:
    opened = START_NS + minute * MINUTE.ns
    return Bar(opened, opened + MINUTE.ns, 100, 101, 99, 100, 1.0)


def closed(minute: int) -> Closed:
    return Closed(bar(minute), "live")


def never(start_ns: int, end_ns: int) -> bool:
    return False


def moments(together: Together, last: Bar | None = None) -> list[list[int] | str]:
    """What comes until nothing does: the places of the bars of a moment, or what else is said."""
    found: list[list[int] | str] = []
    while (heard := together.next(0.0, last)) is not None:
        if isinstance(heard, Moment):
            found.append(list(heard.bars))
            last = next(iter(heard.bars.values()))
        else:
            found.append(type(heard[1]).__name__)
    return found


def test_bars_that_close_together_come_together_in_the_order_of_the_account() -> None:
    one, two = Told(closed(0), closed(1)), Told(closed(0), closed(1))
    assert moments(Together([one, two], [never, never])) == [[0, 1], [0, 1]]


def test_a_bar_waits_for_the_others_as_long_as_it_is_worth_trading_on() -> None:
    one, two = Told(closed(0)), Told()
    together = Together([one, two], [never, never])
    one.now_ns = two.now_ns = bar(0).close_ns + 5 * 10**9
    assert moments(together) == []
    two.events.append(closed(0))
    assert moments(together) == [[0, 1]]


def test_one_that_was_waited_for_in_vain_is_passed_over_and_what_it_says_later_is_told() -> None:
    one, two = Told(closed(0)), Told()
    together = Together([one, two], [never, never])
    one.now_ns = two.now_ns = bar(0).close_ns + 16 * 10**9
    assert moments(together) == []  # it has its grace, however late it is at the market
    together._since -= gathering.GRACE_S
    assert moments(together) == [[0]]
    two.events.extend([closed(0), closed(1)])
    one.events.append(closed(1))
    assert moments(together, bar(0)) == ["Passed", [0, 1]]


def test_nobody_waits_for_a_gap_an_ended_market_or_a_closed_exchange() -> None:
    for silent in (Gap(START_NS, START_NS + 5 * MINUTE.ns, 5), Ended("delisted")):
        assert moments(Together([Told(closed(0)), Told(silent)], [never, never])) == [type(silent).__name__, [0]]
    at_night = Together([Told(closed(0)), Told()], [never, lambda start_ns, end_ns: True])
    assert moments(at_night) == [[0]]


def test_one_that_is_not_heard_has_only_its_grace() -> None:
    one, two = Told(closed(0)), Told(Stale(1.0, "no answer"))
    together = Together([one, two], [never, never])
    one.now_ns = two.now_ns = bar(0).close_ns
    assert moments(together) == ["Stale"]
    together._since -= gathering.GRACE_S
    assert moments(together) == [[0]]


def test_while_it_catches_up_one_without_bars_is_waited_for_once() -> None:
    one, two = Told(closed(0), closed(1), closed(2)), Told()
    together = Together([one, two], [never, never])
    one.now_ns = two.now_ns = bar(90).close_ns
    assert moments(together) == []
    together._since -= gathering.CATCH_UP_S
    assert moments(together) == [[0], [0], [0]]
