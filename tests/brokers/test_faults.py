"""Whatever breaks between us and the exchange, at whatever step: no order is doubled or lost, every fill is known.

What must be true in the end is in `brokers_agree`: our memory and the exchange's, order by order and fill by fill.
"""

from __future__ import annotations

import random

import pytest
from aiohttp import web
from brokers_agree import agree
from ordering import WIDE, connect
from venue import Cut, Delay, Malformed, Status
from venue.faults import Fault

from pregao.core.errors import PregaoError
from pregao.sessions.brokers.contract import Request
from pregao.sessions.brokers.orders import FINAL, Orders
from pregao.sessions.brokers.router import Router

BUY = Request("entry", 1, "market", 10_000)


class Lost(Fault):
    """The request never reaches the exchange: the connection ends before."""

    async def before(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()


FAULTS = {
    "lost on the way": Lost,
    "answer cut off": Cut,
    "answer no JSON": Malformed,
    "502 before": lambda: Status(502),
    "answer too late": lambda: Delay(2.4),
    "429": lambda: Status(429, retry_after=0.05),
    "unknown outcome": lambda: Status(400, code=-1006, message="Unexpected response; execution status unknown."),
    "timeout inside": lambda: Status(400, code=-1007, message="Timeout waiting for response from backend server."),
    "disconnected": lambda: Status(400, code=-1001, message="Internal error; unable to process your request."),
}


def settled(venue, router) -> None:
    """Everything works again, and whatever was interrupted is gone on with."""
    venue.mend()
    router.reconcile()
    router.collect()


@pytest.fixture
def hasty(router) -> Router:
    """It need not wait for the window in real time: the exchange's clock is moved on instead."""

    def wait(seconds: float) -> None:
        venue = router.venue
        venue.advance(seconds=seconds)
        router.broker.sync()

    router._sleep = wait
    return router


@pytest.fixture(autouse=True)
def _venue_of(router, venue):
    router.venue = venue


@pytest.mark.parametrize("what", FAULTS)
def test_placing(venue, account, hasty, what):
    venue.fault(FAULTS[what](), on="order")
    try:
        order = hasty.place(BUY)
    except PregaoError:
        order = None
    settled(venue, hasty)
    agree(account, hasty)
    if order is not None and order.state == "filled":
        assert len(account.orders) == 1
    else:  # it is certain that it never was
        assert account.orders == []


@pytest.mark.parametrize("what", FAULTS)
def test_asking_after_a_lost_answer(venue, account, hasty, what):
    venue.fault(Cut(), on="order")
    venue.fault(FAULTS[what](), on="order", times=2)
    assert hasty.place(BUY).state == "filled"
    settled(venue, hasty)
    agree(account, hasty)
    assert len(account.orders) == 1


@pytest.mark.parametrize("what", FAULTS)
def test_cancelling_and_amending(venue, account, hasty, what):
    low = venue.last_ticks(venue.market("BTC/USDT")) - 5_000
    first, second = (hasty.place(Request("entry", 1, "limit", 10_000, low)) for _ in range(2))
    for act in (lambda: hasty.cancel(first.client_id), lambda: hasty.amend(second.client_id, low - 500)):
        venue.fault(FAULTS[what](), on="order")
        try:
            act()
        except PregaoError:
            venue.mend()
    settled(venue, hasty)
    agree(account, hasty)
    if hasty.orders.order(first.client_id).state != "cancelled":  # the request never came: once more
        assert hasty.cancel(first.client_id).state == "cancelled"
    (left,) = hasty.broker.open_orders()
    assert hasty.orders.order(left.client_id).request.price_ticks in (low, low - 500)


def test_nobody_answers_for_a_while(venue, account, hasty):
    venue.fault(Cut(), on="order")
    venue.fault(Status(503), on="order", times=50)
    with pytest.raises(PregaoError, match="failed 4 times in a row"):
        hasty.place(BUY)
    (order,) = hasty.orders.unsettled()
    assert order.state == "sent"
    assert hasty.exposure().buying_lots == 10_000  # it counts as if it were there
    settled(venue, hasty)
    agree(account, hasty)


def test_an_exit_that_never_arrived_is_sent_again_and_an_entry_is_not(venue, account, hasty):
    for role, side, there in (("entry", 1, 0), ("exit", -1, 1)):
        venue.fault(Lost(), on="order")
        venue.fault(Status(503), on="order", times=50)
        with pytest.raises(PregaoError):
            hasty.place(Request(role, side, "market", 10_000))
        venue.mend()
        venue.advance(minutes=1)
        hasty.broker.sync()
        settled(venue, hasty)
        agree(account, hasty)
        assert len(account.orders) == there
    lost, again = hasty.orders.all()[-2:]
    assert (lost.state, again.state, again.replaces) == ("never", "filled", lost.client_id)


def test_a_request_on_its_way_for_long_is_waited_for(venue, account, hasty, database):
    """The connection is lost, the broker knows nothing of the order, and then it arrives after all."""
    hasty._sleep = lambda seconds: account_places(late)
    late = {}

    def account_places(late):
        order, stamp = late["order"], late["stamp"]
        hasty.broker.place(order.client_id, order.request, stamp)

    venue.fault(Lost(), on="order")
    write = hasty.orders.write_down

    def remembered(request, stamp_ms, replaces=None, key=None):
        late["order"], late["stamp"] = write(request, stamp_ms, replaces, key), stamp_ms
        return late["order"]

    hasty.orders.write_down = remembered
    order = hasty.place(BUY)
    assert order.state == "filled"
    hasty.collect()
    agree(account, hasty)
    stale = hasty.orders.write_down(BUY, hasty.broker.now_ms() - hasty.broker.window_ms)
    with pytest.raises(PregaoError, match="refused the time"):  # and so it cannot arrive once the window is over
        hasty.broker.place(stale.client_id, BUY, stale.stamp_ms)


def test_a_process_that_slept_sends_nothing_that_another_one_has_given_up(venue, account, hasty, database):
    """It wrote an order down and was stopped; another process took over, and it wakes when all is over."""
    asleep = Router(connect(venue.url), Orders(database, hasty.broker.name), WIDE)
    order = asleep.orders.write_down(BUY, asleep.broker.now_ms())
    venue.advance(minutes=1)
    hasty.broker.sync()
    (given_up,) = hasty.reconcile().settled
    assert (given_up.client_id, given_up.state) == (order.client_id, "never")
    with pytest.raises(PregaoError, match="Another process has dealt with"):
        asleep._send(order)
    assert account.orders == []


@pytest.mark.parametrize("skew_ms", [-30_000, 30_000])
def test_a_clock_off_by_30_s_is_set(venue, account, hasty, skew_ms):
    assert hasty.place(BUY).state == "filled"
    venue.clock.set(venue.clock.now() + skew_ms)
    venue.requests.clear()
    order = hasty.place(BUY)
    assert order.state == "filled"
    hasty.collect()
    agree(account, hasty)
    assert len(venue.asked("time")) in (1, 2)


def test_a_program_of_orders_among_random_faults(venue, account, hasty, database):
    rng = random.Random(11)
    market = venue.market("BTC/USDT")
    for i in range(120):
        if rng.random() < 0.3:
            venue.fault(FAULTS[rng.choice([f for f in FAULTS if f != "answer too late"])](), rng.choice(["order", "*"]))
        last = venue.last_ticks(market)
        waiting = [o for o in hasty.orders.all() if o.state == "open"]
        try:
            match rng.randrange(6):
                case 0:
                    hasty.place(BUY._replace(qty_lots=rng.randrange(1_000, 20_000)))
                case 1 | 2:
                    hasty.place(Request("entry", 1, "limit", rng.randrange(1_000, 90_000), last - rng.randrange(0, 60)))
                case 3:
                    hasty.place(Request("exit", -1, "limit", rng.randrange(1_000, 30_000), last + rng.randrange(0, 60)))
                case 4 if waiting:
                    hasty.cancel(rng.choice(waiting).client_id)
                case 5 if waiting:
                    order = rng.choice(waiting)
                    hasty.amend(order.client_id, order.request.price_ticks + rng.randrange(-30, 30))
        except PregaoError:
            pass  # what became of it is found out later
        venue.advance(seconds=rng.randrange(0, 90))
        hasty.broker.sync() if not venue._faults else None
        if i % 30 == 29:  # as after a restart
            venue.mend()
            hasty = Router(connect(venue.url), Orders(database, hasty.broker.name), WIDE, hasty._sleep)
            hasty.venue = venue
            settled(venue, hasty)
            agree(account, hasty)
    settled(venue, hasty)
    agree(account, hasty)
    assert len(account.orders) > 20
    assert len(account.trades) > 20
    assert {o.state for o in hasty.orders.all()} >= {"filled", "cancelled", "never"}
    assert all(o.state in FINAL or o.state == "open" for o in hasty.orders.all())
