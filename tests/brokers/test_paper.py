"""The paper engine behind the same seam: the same router, the same orders, simulated money."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ordering import WIDE

from pregao.core.bars import Bar
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions.brokers.contract import RefusedError, Request
from pregao.sessions.brokers.orders import Orders
from pregao.sessions.brokers.paper import Paper
from pregao.sessions.brokers.router import Router
from pregao.simulation.engine import Engine
from pregao.simulation.plan import Plan

BTC = Instrument(
    symbol="BTC/USDT", source="test", venue="paper", asset_class="crypto", base="BTC", quote="USDT",
    tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"), taker_fee_ppm=1_000, maker_fee_ppm=1_000,
)  # fmt: skip
MINUTE = 60_000_000_000


class Paced:
    """An engine that is fed bars by hand: open, high, low and close in whole USDT."""

    def __init__(self, database):
        self.engine = Engine(Plan.of(BTC, Timeframe.parse("1m"), cash=Decimal(100_000), entry_value=Decimal(1_000)))
        self.broker = Paper(self.engine)
        self.router = Router(self.broker, Orders(database, self.broker.name), WIDE)
        self.minutes = 0
        self.bar(30_000, 30_000, 30_000, 30_000)

    def bar(self, *prices: int) -> None:
        opened = self.minutes * MINUTE
        ticks = [price * 100 for price in prices]
        self.broker.hear(self.engine.step(Bar(opened, opened + MINUTE, *ticks, 1_000.0)))
        self.minutes += 1


@pytest.fixture
def paced(database):
    return Paced(database)


def test_an_order_waits_for_the_next_bar_and_its_fill_is_told(paced):
    router = paced.router
    order = router.place(Request("entry", 1, "market", 10_000))
    assert order.state == "open"
    paced.bar(30_100, 30_200, 30_000, 30_150)
    found = router.reconcile()
    assert [(o.state, o.filled_lots) for o in found.settled] == [("filled", 10_000)]
    (fill,) = found.fills
    assert (fill.qty_lots, fill.fee_currency, fill.maker) == (10_000, "USDT", False)
    assert fill.price_ticks >= 3_010_000
    assert found.balances["BTC"].total == Decimal("0.1")
    paid = fill.price_ticks * Decimal("0.01") * Decimal("0.1") + fill.fee
    assert found.balances["USDT"].total == Decimal(100_000) - paid


def test_limit_cancel_amend_and_refusals(paced):
    router = paced.router
    low = router.place(Request("entry", 1, "limit", 10_000, 2_990_000))
    again = router.amend(low.client_id, 2_980_000, 8_000)
    assert [o.state for o in router.orders.all()] == ["cancelled", "open"]
    assert router.broker.balances()["USDT"].free < 100_000
    paced.bar(30_000, 30_000, 29_700, 29_900)
    router.reconcile()
    assert router.orders.order(again.client_id).state == "filled"
    assert [f.maker for f in router.orders.fills(again.client_id)] == [True]
    top = router.place(Request("exit", -1, "limit", 8_000, 3_100_000))
    assert router.cancel(top.client_id).state == "cancelled"
    with pytest.raises(RefusedError, match="more than the 8000 that are held"):
        router.place(Request("exit", -1, "market", 8_001))
    poor = router.place(Request("entry", 1, "limit", 600_000, 2_900_000))
    assert (poor.state, poor.reason) == ("rejected", "The order was rejected: no funds.")


def test_immediate_or_cancel_expires(paced):
    order = paced.router.place(Request("entry", 1, "limit", 10_000, 2_900_000, tif="IOC"))
    paced.bar(30_000, 30_000, 29_900, 30_000)
    paced.router.reconcile()
    assert paced.router.orders.order(order.client_id).state == "expired"
