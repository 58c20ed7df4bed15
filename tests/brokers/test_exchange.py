"""Orders to a local exchange by the real ccxt client: placed, filled, amended, cancelled, each remembered exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ordering import WIDE, connect
from venue import Cut

from pregao.core.errors import NotFoundError, UsageError
from pregao.market.sources.ccxt.client import CcxtOptions
from pregao.sessions.brokers.contract import RefusedError, Request
from pregao.sessions.brokers.exchange import Exchange
from pregao.sessions.brokers.orders import Orders
from pregao.sessions.brokers.router import Router

BUY = Request("entry", 1, "market", 10_000)  # 0.1 BTC
SELL = Request("exit", -1, "market", 10_000)


def resting(venue, below=5_000, lots=10_000, **more) -> Request:
    """A limit order to buy, so many ticks below the market."""
    return Request("entry", 1, "limit", lots, venue.last_ticks(venue.market("BTC/USDT")) - below, **more)


def test_a_market_order_fills_in_two_parts_and_every_figure_is_exact(venue, account, router):
    order = router.place(BUY)
    assert (order.state, order.filled_lots) == ("filled", 10_000)
    fills = router.collect()
    assert [(f.qty_lots, f.side, f.maker) for f in fills] == [(5_000, 1, False), (5_000, 1, False)]
    paid = sum(f.qty_lots * f.price_ticks for f in fills) * Decimal("0.0000001")
    fees = sum(f.fee for f in fills)
    assert {f.fee_currency for f in fills} == {"BTC"}
    balances = router.broker.balances()
    assert balances["USDT"].total == balances["USDT"].free == Decimal(100_000) - paid
    assert balances["BTC"].total == Decimal("1.1") - fees
    assert router.orders.fills(order.client_id) == fills
    assert router.collect() == []
    assert len(account.by_client_id(order.client_id)) == 1


def test_a_limit_order_rests_fills_as_the_market_comes_and_is_told_part_by_part(venue, router):
    order = router.place(resting(venue, below=2, lots=200_000))
    assert (order.state, order.filled_lots) == ("open", 0)
    seen = []
    for _ in range(40):
        venue.advance(minutes=1)
        router.reconcile()
        order = router.orders.order(order.client_id)
        seen.append(order.filled_lots)
        if order.state == "filled":
            break
    assert order.state == "filled"
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    fills = router.orders.fills(order.client_id)
    assert sum(f.qty_lots for f in fills) == 200_000
    assert {f.price_ticks for f in fills} == {order.request.price_ticks}
    assert all(f.maker for f in fills)


def test_cancel(venue, account, router):
    order = router.place(resting(venue))
    assert router.broker.balances()["USDT"].free < 100_000
    assert router.cancel(order.client_id).state == "cancelled"
    assert router.cancel(order.client_id).state == "cancelled"
    assert router.broker.balances()["USDT"].free == 100_000
    filled = router.place(BUY)
    assert router.cancel(filled.client_id).state == "filled"
    with pytest.raises(NotFoundError, match="no order pg-none at binance"):
        router.cancel("pg-none")


def test_amend_orders_what_is_left_anew(venue, account, router):
    order = router.place(resting(venue))
    again = router.amend(order.client_id, order.request.price_ticks - 100, 8_000)
    assert router.orders.order(order.client_id).state == "cancelled"
    assert (again.state, again.request.qty_lots, again.replaces) == ("open", 8_000, order.client_id)
    assert [o.status for o in account.orders] == ["CANCELED", "NEW"]
    with pytest.raises(RefusedError, match="no order that rests: it is cancelled"):
        router.amend(order.client_id, 5)
    with pytest.raises(RefusedError, match="the least that is accepted is 5"):
        router.amend(again.client_id, 1)
    assert router.orders.order(again.client_id).state == "open"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (BUY._replace(qty_lots=0), "bad quantity"),
        (BUY._replace(qty_lots=9_000 * 100_000 + 1), "bad quantity"),
        (BUY._replace(qty_lots=1), "below the minimum notional"),
        (BUY._replace(kind="limit"), "bad price"),
        (BUY._replace(kind="limit", price_ticks=10**12), "bad price"),
        (BUY._replace(tif="IOC"), "bad time in force"),
        (BUY._replace(side=-1), "no short"),
        (SELL._replace(qty_lots=100_001), "would open"),
    ],
)
def test_what_cannot_be_is_refused_before_the_wire(venue, router, request_, reason):
    with pytest.raises(RefusedError) as error:
        router.place(request_)
    assert error.value.reason == reason
    assert venue.asked("order") == []
    assert router.orders.all() == []


def test_what_the_exchange_refuses_is_remembered_with_its_words(venue, router):
    order = router.place(resting(venue, lots=500_000_00 // 100))
    assert order.state == "rejected"
    assert "insufficient balance" in order.reason
    late = router.place(resting(venue, below=-10, post_only=True))
    assert (late.state, "immediately match" in late.reason) == ("rejected", True)
    venue.delist("BTC/USDT")
    assert "Market is closed" in router.place(BUY).reason


def test_immediate_or_cancel(venue, router):
    order = router.place(resting(venue, tif="IOC"))
    assert (order.state, order.filled_lots) == ("expired", 0)


def test_orders_of_other_programs_are_left_alone(venue, account, router):
    other = router.broker._client.create_order("BTC/USDT", "limit", "buy", "0.1", "20000", {"clientOrderId": "mine"})
    assert router.reconcile().strays == []
    assert [r.client_id for r in router.broker.open_orders()] == ["mine"]
    assert other["status"] == "open"


def test_orders_that_a_restored_database_does_not_know_are_cancelled(venue, account, router, tmp_path):
    from pregao.sessions.database import open_database

    order = router.place(resting(venue))
    empty = open_database(f"sqlite:///{tmp_path / 'restored.db'}")
    restored = Router(connect(venue.url), Orders(empty, router.broker.name), WIDE)
    assert restored.reconcile().strays == [order.client_id]
    assert account.orders[0].status == "CANCELED"
    empty.dispose()


def test_two_owners_of_an_account_cannot_send_the_same_id(venue, router, database):
    first, second = Orders(database, "one"), Orders(database, "one")
    ids = [first.write_down(BUY, 1).client_id, second.write_down(BUY, 1).client_id]
    assert len(set(ids)) == 2
    with pytest.raises(UsageError, match="are not those of"):
        Router(router.broker, first, WIDE)


def test_real_money_is_refused_unless_it_is_enabled_twice(credentials, monkeypatch):
    options = CcxtOptions(exchange="binance", base_url="https://api.example.com")
    with pytest.raises(UsageError, match="off on this machine"):
        Exchange(options, "BTC/USDT", sandbox=False)
    monkeypatch.setenv("PREGAO_REAL_MONEY", "allowed")
    with pytest.raises(UsageError, match="Type exactly: trade real money on binance"):
        Exchange(options, "BTC/USDT", sandbox=False, confirmation="yes")
    with pytest.raises(UsageError, match="that none is doubled was proved for others only"):
        Exchange(CcxtOptions(exchange="kraken"), "BTC/USDT")


def test_without_credentials_or_with_wrong_ones(venue, monkeypatch):
    for name in ("KEY", "SECRET"):
        monkeypatch.delenv(f"PREGAO_CCXT_BINANCE_{name}", raising=False)
    with pytest.raises(UsageError, match="Set PREGAO_CCXT_BINANCE_KEY and PREGAO_CCXT_BINANCE_SECRET"):
        connect(venue.url)
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_KEY", "wrong")
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_SECRET", "wrong")
    with pytest.raises(UsageError, match="refused the credentials"):
        connect(venue.url).balances()


def bracket(venue, up: int, down: int, lots: int = 20_000) -> Request:
    last = venue.last_ticks(venue.market("BTC/USDT"))
    return Request("exit", -1, "bracket", lots, last + up, stop_ticks=last - down)


@pytest.mark.parametrize(("up", "down", "leg"), [(900, 90_000, 0), (90_000, 900, 1)], ids=["take profit", "stop loss"])
def test_one_exit_of_a_bracket_fills_and_ends_the_other(venue, account, router, up, down, leg):
    order = router.place(bracket(venue, up, down))
    assert order.state == "open"
    assert [o.kind for o in account.orders] == ["LIMIT_MAKER", "STOP_LOSS"]
    for _ in range(40):
        venue.advance(minutes=5)
        router.broker.sync()
        if (order := router.refresh(order.client_id)).state != "open":
            break
    assert (order.state, order.filled_lots) == ("filled", 20_000)
    fills = router.collect()
    assert {fill.broker_id for fill in fills} == {order.broker_id.split("/")[leg]}
    assert sum(fill.qty_lots for fill in router.orders.fills(order.client_id)) == 20_000
    assert [o.status for o in account.orders] == (["FILLED", "EXPIRED"] if leg == 0 else ["EXPIRED", "FILLED"])


def test_a_bracket_is_moved_and_cancelled_as_one(venue, account, router):
    order = router.place(bracket(venue, 90_000, 90_000))
    moved = router.amend(order.client_id, order.request.price_ticks, stop_ticks=order.request.stop_ticks + 500)
    assert [o.status for o in account.orders] == ["CANCELED", "CANCELED", "NEW", "NEW"]
    assert account.orders[-1].stop_ticks == order.request.stop_ticks + 500
    assert [found.client_id for found in router.orders.chain(order.client_id)] == [order.client_id, moved.client_id]
    assert router.cancel(moved.client_id).state == "cancelled"
    assert router.broker.open_orders() == []


@pytest.mark.parametrize(("up", "down"), [(-900, 900), (900, -900)])
def test_a_bracket_that_would_act_at_once_is_refused_here_and_there(venue, account, router, up, down):
    with pytest.raises(RefusedError, match="one of them is reached already"):
        router.place(bracket(venue, up, down))
    with pytest.raises(RefusedError, match="immediately"):
        router.broker.place("pg-by-hand", bracket(venue, up, down), router.broker.now_ms())
    assert account.orders == []


def test_a_bracket_whose_answer_was_lost_is_found_with_both_its_exits(venue, account, router):
    venue.fault(Cut(), on="orderList/oco")
    order = router.place(bracket(venue, 90_000, 90_000))
    assert order.state == "open"
    assert order.broker_id == "/".join(str(o.id) for o in account.orders)
