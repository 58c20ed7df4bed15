"""The public REST endpoints of Binance spot: exchangeInfo, time, klines, trades, depth, tickers; some of futures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from venue.markets import EVERY_MS, INTERVALS, Candle, Market

if TYPE_CHECKING:
    from venue.server import Venue

_NO_SYMBOL = (-1121, "Invalid symbol.")


def refusal(code: int, message: str, status: int = 400) -> web.Response:
    """An error as Binance words it."""
    return web.json_response({"code": code, "msg": message}, status=status)


def price(market: Market, ticks: int) -> str:
    """A price in ticks as Binance writes it, eight decimals."""
    return _decimal(ticks, market.decimals)


def quantity(market: Market, lots: int) -> str:
    """A quantity in lots as Binance writes it, eight decimals."""
    return _decimal(lots, market.lot_decimals)


def kline(market: Market, interval: str, candle: Candle) -> list[Any]:
    """A candle as a row of ``/api/v3/klines``."""
    spent = candle.lots * (candle.open + candle.close) // 2
    return [
        candle.open_ms,
        *(price(market, ticks) for ticks in (candle.open, candle.high, candle.low, candle.close)),
        quantity(market, candle.lots),
        candle.open_ms + INTERVALS[interval] - 1,
        _decimal(spent, market.decimals + market.lot_decimals),
        candle.trades,
        quantity(market, candle.lots // 2),
        _decimal(spent // 2, market.decimals + market.lot_decimals),
        "0",
    ]


def routes(venue: Venue) -> list[web.RouteDef]:
    """The endpoints over one venue's markets and clock."""

    async def ping(request: web.Request) -> web.Response:
        return web.json_response({})

    async def time(request: web.Request) -> web.Response:
        return web.json_response({"serverTime": venue.clock.now()})

    async def exchange_info(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "timezone": "UTC",
                "serverTime": venue.clock.now(),
                "rateLimits": [],
                "exchangeFilters": [],
                "symbols": [
                    _rules(market)
                    for market in venue.markets.values()
                    if market.perpetual == request.path.startswith("/fapi")
                ],
            }
        )

    async def klines(request: web.Request) -> web.Response:
        q = request.query
        market, interval = venue.markets.get(q.get("symbol", "")), q.get("interval", "")
        if market is None:
            return refusal(*_NO_SYMBOL)
        if interval not in INTERVALS:
            return refusal(-1120, "Invalid interval.")
        now = venue.clock.now()
        limit = max(1, min(int(q.get("limit", 500)), 1_000))
        end = min(int(q.get("endTime", now)), now)
        if market.ended_ms is not None:
            end = min(end, market.ended_ms)  # the last candles there are
        start = int(q["startTime"]) if "startTime" in q else end - limit * INTERVALS[interval] + 1
        candles = market.candles(interval, start, end, now, limit)
        rows = [kline(market, interval, candle) for candle in candles]
        for fault in venue.taken(request):
            rows = fault.rows(rows)
        return web.json_response(rows)

    async def trades(request: web.Request) -> web.Response:
        market = venue.markets.get(request.query.get("symbol", ""))
        if market is None:
            return refusal(*_NO_SYMBOL)
        limit = min(int(request.query.get("limit", 500)), 1_000)
        now = venue.clock.now()
        found = market.between(now - (limit + 1) * EVERY_MS, now)[-limit:]
        return web.json_response(
            [
                {
                    "id": trade.id,
                    "price": price(market, trade.ticks),
                    "qty": quantity(market, trade.lots),
                    "quoteQty": _decimal(trade.ticks * trade.lots, market.decimals + market.lot_decimals),
                    "time": trade.ms,
                    "isBuyerMaker": trade.buyer_is_maker,
                    "isBestMatch": True,
                }
                for trade in found
            ]
        )

    async def agg_trades(request: web.Request) -> web.Response:
        market = venue.markets.get(request.query.get("symbol", ""))
        if market is None:
            return refusal(*_NO_SYMBOL)
        q, now = request.query, venue.clock.now()
        limit = max(1, min(int(q.get("limit", 500)), 1_000))
        end = min(int(q.get("endTime", now)), now)
        if "startTime" in q:
            found = market.between(int(q["startTime"]) - 1, end)[:limit]
        else:
            found = market.between(end - (limit + 1) * EVERY_MS, end)[-limit:]
        return web.json_response(
            [
                {
                    "a": trade.id, "p": price(market, trade.ticks), "q": quantity(market, trade.lots), "f": trade.id,
                    "l": trade.id, "T": trade.ms, "m": trade.buyer_is_maker, "M": True,
                }
                for trade in found
            ]
        )  # fmt: skip

    async def depth(request: web.Request) -> web.Response:
        market = venue.markets.get(request.query.get("symbol", ""))
        if market is None:
            return refusal(*_NO_SYMBOL)
        last, levels = venue.last_ticks(market), min(int(request.query.get("limit", 100)), 5_000)
        sides = {
            side: [[price(market, last + sign * (i + 1)), quantity(market, 10_000 * (i + 1))] for i in range(levels)]
            for side, sign in (("bids", -1), ("asks", 1))
        }
        return web.json_response({"lastUpdateId": venue.clock.now() // EVERY_MS, **sides})

    async def ticker(request: web.Request) -> web.Response:
        name = request.query.get("symbol")
        if name is None:
            return web.json_response([_ticker(venue, market) for market in venue.markets.values()])
        if name not in venue.markets:
            return refusal(*_NO_SYMBOL)
        return web.json_response(_ticker(venue, venue.markets[name]))

    handlers = {
        "ping": ping, "time": time, "exchangeInfo": exchange_info, "klines": klines, "trades": trades,
        "aggTrades": agg_trades, "depth": depth, "ticker/24hr": ticker,
    }  # fmt: skip
    futures = ("ping", "time", "exchangeInfo", "klines")
    return [
        *(web.get(f"/api/v3/{name}", handler) for name, handler in handlers.items()),
        *(web.get(f"/fapi/v1/{name}", handlers[name]) for name in futures),
    ]


def _decimal(units: int, decimals: int) -> str:
    whole, part = divmod(units, 10**decimals)
    text = f"{whole}.{part:0{decimals}d}" if decimals else f"{whole}."
    return text + "0" * max(0, 8 - decimals)


def _rules(market: Market) -> dict[str, Any]:
    """A market as an entry of exchangeInfo, with its filters."""
    tick, step = price(market, 1), quantity(market, 1)
    if market.perpetual:
        return {
            "symbol": market.id, "pair": market.id, "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000,
            "onboardDate": market.listed_ms, "status": market.status, "baseAsset": market.base,
            "quoteAsset": market.quote, "marginAsset": market.quote, "pricePrecision": market.decimals,
            "quantityPrecision": market.lot_decimals, "underlyingType": "COIN", "orderTypes": ["LIMIT", "MARKET"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000", "stepSize": step},
                {"filterType": "MIN_NOTIONAL", "notional": market.min_notional},
            ],
        }  # fmt: skip
    return {
        "symbol": market.id,
        "status": market.status,
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
            {
                "filterType": "NOTIONAL",
                "minNotional": market.min_notional,
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
    }


def _ticker(venue: Venue, market: Market) -> dict[str, Any]:
    now = venue.clock.now()
    day = market.candles("1m", now - 86_400_000, now, now, 1_440)
    last = venue.last_ticks(market)
    first = day[0].open if day else last
    high, low = max((c.high for c in day), default=last), min((c.low for c in day), default=last)
    volume = quantity(market, sum(c.lots for c in day))
    change = _decimal(abs(last - first), market.decimals)
    return {
        "symbol": market.id, "priceChange": change if last >= first else "-" + change,
        "priceChangePercent": f"{100 * (last - first) / first:.3f}", "weightedAvgPrice": price(market, last),
        "prevClosePrice": price(market, first), "lastPrice": price(market, last), "lastQty": quantity(market, 1),
        "bidPrice": price(market, last - 1), "bidQty": quantity(market, 10_000),
        "askPrice": price(market, last + 1), "askQty": quantity(market, 10_000),
        "openPrice": price(market, first), "highPrice": price(market, high), "lowPrice": price(market, low),
        "volume": volume, "quoteVolume": volume, "openTime": now - 86_400_000, "closeTime": now,
        "firstId": day[0].first if day else -1, "lastId": day[-1].last if day else -1,
        "count": sum(c.trades for c in day),
    }  # fmt: skip
