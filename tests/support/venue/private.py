"""The private endpoints of Binance spot: signed requests, balances, orders that the market's own trades fill.

    account = Account({"USDT": "1000", "BTC": "0.1"})
    with Venue([Market("BTC/USDT")], routes=[account.routes]) as venue: ...

Orders are looked at whenever somebody asks: a market order fills at the last price at once; a limit order fills by each
later trade that reaches its price, no more than that trade's quantity. Fees are taken from what is received. Of a pair
("one cancels the other") the trade that comes first decides: the limit order fills as any other, and the first part of
it ends the stop order; the stop order, once triggered, sells what there is at that trade's price.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

from venue.markets import Market
from venue.rest import price, quantity, refusal

if TYPE_CHECKING:
    from venue.server import Venue

KEY, SECRET = "the-key-of-a-test", "the-secret-of-a-test"
FEE = Decimal("0.001")
_UNIT = Decimal("0.00000001")
_OPEN = ("NEW", "PARTIALLY_FILLED")


@dataclass(eq=False)
class Order:
    """One order, as the venue keeps it; quantities in lots, prices in ticks."""

    id: int
    client_id: str
    market: Market
    side: str
    kind: str
    tif: str
    lots: int
    ticks: int
    at_ms: int
    looked_ms: int
    status: str = "NEW"
    done: int = 0
    spent: Decimal = Decimal(0)
    locked: Decimal = Decimal(0)
    stop_ticks: int = 0
    list_id: int = -1
    twin: Order | None = None

    def answer(self) -> dict[str, Any]:
        market = self.market
        return {
            "symbol": market.id, "orderId": self.id, "orderListId": self.list_id, "clientOrderId": self.client_id,
            "price": price(market, self.ticks), "origQty": quantity(market, self.lots),
            "executedQty": quantity(market, self.done), "cummulativeQuoteQty": f"{self.spent:.8f}",
            "status": self.status, "timeInForce": self.tif, "type": self.kind, "side": self.side,
            "stopPrice": price(market, self.stop_ticks), "icebergQty": "0.00000000", "time": self.at_ms,
            "updateTime": self.looked_ms, "transactTime": self.at_ms, "isWorking": True,
            "origQuoteOrderQty": "0.00000000",
        }  # fmt: skip


@dataclass(eq=False)
class Account:
    """One account at the venue.

    Args:
        assets: what it has, by asset.

    Attributes:
        orders: all there ever were, in their order.
        trades: the fills, as ``/api/v3/myTrades`` tells them.
        skew_ms: how far the venue's clock is ahead of the market's (and so of the client's).
        silent: ids of markets whose signed requests fail.
    """

    assets: dict[str, str]
    orders: list[Order] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    skew_ms: int = 0
    silent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.free = {name: Decimal(amount) for name, amount in self.assets.items()}
        self.locked: dict[str, Decimal] = {}
        self._venue: Venue | None = None

    def routes(self, venue: Venue) -> list[web.RouteDef]:
        """For `Venue(routes=[account.routes])`."""
        self._venue = venue
        venue.then.append(self._settle)  # orders that rest there fill whether anybody asks or not
        return [
            web.get("/api/v3/account", self._signed(self._account)),
            web.post("/api/v3/order", self._signed(self._place)),
            web.post("/api/v3/orderList/oco", self._signed(self._place_pair)),
            web.get("/api/v3/order", self._signed(self._query)),
            web.delete("/api/v3/order", self._signed(self._cancel)),
            web.get("/api/v3/openOrders", self._signed(self._open)),
            web.get("/api/v3/myTrades", self._signed(self._my_trades)),
        ]

    def by_client_id(self, client_id: str) -> list[Order]:
        """All orders that came under this id: more than one is an order doubled."""
        return [order for order in self.orders if order.client_id == client_id]

    # -- what every request must bring

    def _signed(self, endpoint: Any) -> Any:
        async def handler(request: web.Request) -> web.Response:
            raw = request.query_string or (await request.read()).decode()
            payload, _, signature = raw.partition("&signature=")
            if request.headers.get("X-MBX-APIKEY") != KEY:
                return refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
            wanted = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(wanted, signature):
                return refusal(-1022, "Signature for this request is not valid.")
            q = dict(parse_qsl(payload))
            now, asked = self._now() + self.skew_ms, int(q["timestamp"])
            if not asked < now + 1_000:
                return refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
            if now - asked > int(q.get("recvWindow", 5_000)):
                return refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
            if q.get("symbol") in self.silent:
                return refusal(-1001, "Internal error; unable to process your request.", 503)
            self._settle()
            answer: web.Response = endpoint(q)
            return answer

        return handler

    # -- the endpoints

    def _account(self, q: dict[str, str]) -> web.Response:
        names = sorted({*self.free, *self.locked})
        return web.json_response({
            "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
            "commissionRates": {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"},
            "canTrade": True, "canWithdraw": False, "canDeposit": True, "updateTime": self._now(),
            "accountType": "SPOT", "permissions": ["SPOT"],
            "balances": [
                {"asset": name, "free": f"{self.free.get(name, Decimal(0)):.8f}",
                 "locked": f"{self.locked.get(name, Decimal(0)):.8f}"}
                for name in names
            ],
        })  # fmt: skip

    def _place(self, q: dict[str, str]) -> web.Response:
        assert self._venue is not None
        market = self._venue.markets.get(q["symbol"])
        if market is None:
            return refusal(-1121, "Invalid symbol.")
        if market.status != "TRADING":
            return refusal(-1013, "Market is closed.")
        client_id = q.get("newClientOrderId", f"venue-{len(self.orders)}")
        if any(o.client_id == client_id and o.status in _OPEN for o in self.orders):
            return refusal(-2010, "Duplicate order sent.")
        lots, off = _units(q["quantity"], market.lot_decimals)
        if off or lots <= 0:
            return refusal(-1013, "Filter failure: LOT_SIZE")
        limit = q["type"] in ("LIMIT", "LIMIT_MAKER")
        ticks, off = _units(q["price"], market.decimals) if limit else (0, False)
        if off or (limit and ticks <= 0):
            return refusal(-1013, "Filter failure: PRICE_FILTER")
        last = self._venue.last_ticks(market)
        worth = Decimal(lots * (ticks or last)).scaleb(-market.decimals - market.lot_decimals)
        if worth < Decimal(market.min_notional):
            return refusal(-1013, "Filter failure: NOTIONAL")
        buys, now = q["side"] == "BUY", self._now()
        better = limit and (last - ticks) * (1 if buys else -1) <= 0
        if q["type"] == "LIMIT_MAKER" and better:
            return refusal(-2010, "Order would immediately match and take.")
        locked = worth.quantize(_UNIT, "ROUND_UP") if buys else Decimal(lots).scaleb(-market.lot_decimals)
        asset = market.quote if buys else market.base
        if self.free.get(asset, Decimal(0)) < locked:
            return refusal(-2010, "Account has insufficient balance for requested action.")
        order = Order(
            len(self.orders) + 1, client_id, market, q["side"], q["type"], q.get("timeInForce", "GTC"), lots, ticks,
            now, now, locked=locked,
        )  # fmt: skip
        self.free[asset] -= locked
        self.locked[asset] = self.locked.get(asset, Decimal(0)) + locked
        self.orders.append(order)
        if not limit or better:
            half = lots // 2
            for part in (half, lots - half):  # from two levels of the book
                if part:
                    self._fill(order, part, last, now, maker=False)
        elif order.tif in ("IOC", "FOK"):
            self._end(order, "EXPIRED")
        return web.json_response(order.answer() | {"fills": []})

    def _place_pair(self, q: dict[str, str]) -> web.Response:
        """To sell only: a limit order above, a stop order below."""
        assert self._venue is not None
        market = self._venue.markets.get(q["symbol"])
        if market is None:
            return refusal(-1121, "Invalid symbol.")
        if (q["side"], q["aboveType"], q["belowType"]) != ("SELL", "LIMIT_MAKER", "STOP_LOSS"):
            return refusal(-1158, "This pair is not known here.")
        names = q["aboveClientOrderId"], q["belowClientOrderId"]
        if any(o.client_id in names and o.status in _OPEN for o in self.orders):
            return refusal(-2010, "Duplicate order sent.")
        lots, off = _units(q["quantity"], market.lot_decimals)
        if off or lots <= 0:
            return refusal(-1013, "Filter failure: LOT_SIZE")
        above, off = _units(q["abovePrice"], market.decimals)
        below, wrong = _units(q["belowStopPrice"], market.decimals)
        if off or wrong or min(above, below) <= 0:
            return refusal(-1013, "Filter failure: PRICE_FILTER")
        last = self._venue.last_ticks(market)
        if above <= last:
            return refusal(-2010, "Order would immediately match and take.")
        if below >= last:
            return refusal(-2010, "Stop price would trigger immediately.")
        if Decimal(lots * below).scaleb(-market.decimals - market.lot_decimals) < Decimal(market.min_notional):
            return refusal(-1013, "Filter failure: NOTIONAL")
        amount = Decimal(lots).scaleb(-market.lot_decimals)
        if self.free.get(market.base, Decimal(0)) < amount:
            return refusal(-2010, "Account has insufficient balance for requested action.")
        now, number = self._now(), len(self.orders)
        first = Order(number + 1, names[0], market, "SELL", "LIMIT_MAKER", "GTC", lots, above, now, now, locked=amount,
                      list_id=number)  # fmt: skip
        second = Order(number + 2, names[1], market, "SELL", "STOP_LOSS", "GTC", lots, 0, now, now, stop_ticks=below,
                       list_id=number, twin=first)  # fmt: skip
        first.twin = second
        self.free[market.base] -= amount
        self.locked[market.base] = self.locked.get(market.base, Decimal(0)) + amount
        self.orders += [first, second]
        return web.json_response({
            "orderListId": number, "contingencyType": "OCO", "listStatusType": "EXEC_STARTED",
            "listOrderStatus": "EXECUTING", "listClientOrderId": q["listClientOrderId"], "transactionTime": now,
            "symbol": market.id,
            "orders": [{"symbol": market.id, "orderId": o.id, "clientOrderId": o.client_id} for o in (first, second)],
            "orderReports": [o.answer() for o in (first, second)],
        })  # fmt: skip

    def _query(self, q: dict[str, str]) -> web.Response:
        order = self._named(q)
        return web.json_response(order.answer()) if order else refusal(-2013, "Order does not exist.")

    def _cancel(self, q: dict[str, str]) -> web.Response:
        order = self._named(q)
        if order is None or order.status not in _OPEN:
            return refusal(-2011, "Unknown order sent.")
        for each in (order, order.twin):
            if each is not None and each.status in _OPEN:
                self._end(each, "CANCELED")
        return web.json_response(order.answer())

    def _open(self, q: dict[str, str]) -> web.Response:
        symbol = q.get("symbol")
        found = [o for o in self.orders if o.status in _OPEN and symbol in (None, o.market.id)]
        return web.json_response([order.answer() for order in found])

    def _my_trades(self, q: dict[str, str]) -> web.Response:
        found = [t for t in self.trades if t["symbol"] == q["symbol"] and t["id"] >= int(q.get("fromId", 0))]
        limit = int(q.get("limit", 500))
        return web.json_response(found[:limit] if "fromId" in q else found[-limit:])

    # -- inside

    def _named(self, q: dict[str, str]) -> Order | None:
        for order in reversed(self.orders):
            if order.market.id == q["symbol"] and (
                order.client_id == q.get("origClientOrderId") or str(order.id) == q.get("orderId")
            ):
                return order
        return None

    def _now(self) -> int:
        assert self._venue is not None
        return self._venue.clock.now()

    def _settle(self) -> None:
        """Let the trades of the market since the last look meet the resting orders."""
        now = self._now()
        for order in self.orders:
            if order.status not in _OPEN:
                continue
            if order.kind == "STOP_LOSS":
                order.looked_ms = now  # the other of the pair looks for both
                continue
            for trade in order.market.between(order.looked_ms, now):
                reached = (order.ticks - trade.ticks) * (1 if order.side == "BUY" else -1) >= 0
                if reached and order.status in _OPEN:
                    if order.twin is not None and order.twin.status in _OPEN:
                        self._end(order.twin, "EXPIRED")
                    self._fill(order, min(trade.lots, order.lots - order.done), order.ticks, trade.ms, maker=True)
                elif order.status in _OPEN and order.twin is not None and order.twin.status in _OPEN:
                    self._trigger(order, order.twin, trade.ticks, trade.ms)
            order.looked_ms = now

    def _trigger(self, profit: Order, stop: Order, ticks: int, at_ms: int) -> None:
        """Let a stop order of a pair sell at the market, if a trade has reached it."""
        if ticks > stop.stop_ticks:
            return
        stop.locked, profit.locked = profit.locked, Decimal(0)
        self._end(profit, "EXPIRED")
        half = stop.lots // 2
        for part in (half, stop.lots - half):
            if part:
                self._fill(stop, part, ticks, at_ms, maker=False)

    def _fill(self, order: Order, lots: int, ticks: int, at_ms: int, *, maker: bool) -> None:
        market, buys = order.market, order.side == "BUY"
        amount = Decimal(lots).scaleb(-market.lot_decimals)
        value = Decimal(lots * ticks).scaleb(-market.decimals - market.lot_decimals)
        received, asset = (amount, market.base) if buys else (value, market.quote)
        fee = (received * FEE).quantize(_UNIT, "ROUND_UP")
        given, paid = (market.quote, value) if buys else (market.base, amount)
        self.locked[given] -= paid
        order.locked -= paid
        self.free[asset] = self.free.get(asset, Decimal(0)) + received - fee
        order.done += lots
        order.spent += value
        order.status = "FILLED" if order.done == order.lots else "PARTIALLY_FILLED"
        self.trades.append({
            "symbol": market.id, "id": len(self.trades) + 1, "orderId": order.id, "orderListId": -1,
            "price": price(market, ticks), "qty": quantity(market, lots), "quoteQty": f"{value:.8f}",
            "commission": f"{fee:.8f}", "commissionAsset": asset, "time": at_ms, "isBuyer": buys, "isMaker": maker,
            "isBestMatch": True,
        })  # fmt: skip
        if order.status == "FILLED":
            self._end(order, "FILLED")

    def _end(self, order: Order, status: str) -> None:
        """What it still locks is free again."""
        order.status = status
        asset = order.market.quote if order.side == "BUY" else order.market.base
        self.locked[asset] -= order.locked
        self.free[asset] += order.locked
        order.locked = Decimal(0)


def _units(text: str, decimals: int) -> tuple[int, bool]:
    """A decimal in whole units of its grid, and whether it is off the grid."""
    scaled = Decimal(text).scaleb(decimals)
    return int(scaled), scaled != int(scaled)
