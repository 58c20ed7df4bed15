"""What /v8/finance/chart answers: a stock at a moment, its prices adjusted for the splits that Yahoo knows then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from yahoo.market import DAY, Stock, seconds

STEPS = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1_800, "60m": 3_600, "1h": 3_600, "1d": DAY}
RANGES = {"1d": 1, "5d": 5, "1mo": 30, "3mo": 91, "6mo": 182, "1y": 365, "2y": 730, "5y": 1_826, "10y": 3_652}
BACK_DAYS = {"1m": 30, "2m": 60, "5m": 60, "15m": 60, "30m": 60, "60m": 730, "1h": 730}


class RefusalError(Exception):
    """An error as Yahoo words it."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"chart": {"result": None, "error": {"code": code, "description": description}}}


def answer(stock: Stock, query: Mapping[str, str], now: int) -> dict[str, Any]:
    """The answer to a request at the time ``now`` (seconds). Raises `RefusalError` beyond Yahoo's limits."""
    interval = query.get("interval", "1d")
    step = STEPS[interval]
    end = int(query.get("period2", now))
    start = int(query["period1"]) if "period1" in query else now - RANGES[query.get("range", "1mo")] * DAY
    _check_limits(interval, start, end, now)
    bars = stock.bars(step, min(now, 2**40))
    # Yahoo takes day bars by the date that the moment has at the exchange: midnight there begins the day.
    times = bars["time"]
    rows = np.flatnonzero((times >= start) & (times < end))
    days = stock.sessions["day"].to_numpy()[bars["session"][rows]]
    later = stock.later_shares(days, now)
    factor = np.array([float(shares) for shares in later])
    quote: dict[str, list[Any]] = {
        name: [_written(price, shares) for price, shares in zip(bars[name][rows] * stock.tick, factor, strict=True)]
        for name in ("open", "high", "low", "close")
    }
    quote["volume"] = [round(int(v) * shares) for v, shares in zip(bars["volume"][rows], later, strict=True)]
    result: dict[str, Any] = {
        "meta": _meta(stock, interval, query, now, bars),
        "timestamp": times[rows].tolist(),
        "indicators": {"quote": [quote]},
    }
    if step >= DAY:
        result["indicators"]["adjclose"] = [{"adjclose": [price * 0.97 for price in quote["close"]]}]
    else:
        result["meta"]["tradingPeriods"] = _periods(stock, start, end)
    events = _events(stock, start, end, now)
    if events:
        result["events"] = events
    if not len(rows):
        del result["timestamp"]
        result["indicators"]["quote"] = [{}]
    return {"chart": {"result": [result], "error": None}}


def _check_limits(interval: str, start: int, end: int, now: int) -> None:
    what = f"{interval} data not available for startTime={start} and endTime={end}."
    if interval in BACK_DAYS and now - start > BACK_DAYS[interval] * DAY:
        days = BACK_DAYS[interval]
        raise RefusalError(
            422, "Unprocessable Entity", f"{what} The requested range must be within the last {days} days."
        )
    if interval == "1m" and end - start > 8 * DAY:
        only = "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
        raise RefusalError(422, "Unprocessable Entity", f"{what} {only}")


def _written(price: float, shares: float) -> float:
    """A price as Yahoo writes it: a 32-bit float, divided by later splits, rounded to six decimals and to 32 bits."""
    kept = float(np.float32(price))
    return float(np.float32(round(kept / shares, 6))) if shares != 1 else kept


def _meta(stock: Stock, interval: str, query: Mapping[str, str], now: int, bars: Mapping[str, Any]) -> dict[str, Any]:
    traded = stock.minutes["time"]
    latest = int(traded[np.searchsorted(traded, now) - 1]) + 60 if len(bars["time"]) else 0
    table = stock.sessions
    # The session that is on, or comes next; of a share that is not traded any more, its last.
    which = min(int(np.searchsorted(table["close"].to_numpy(), now)), len(table) - 1)
    opened, closed = int(table["open"].iloc[which]), int(table["close"].iloc[which])
    period = {"timezone": "XXX", "start": opened, "end": closed, "gmtoffset": 0}
    return {
        "currency": stock.currency,
        "symbol": stock.symbol,
        "exchangeName": stock.exchange,
        "fullExchangeName": stock.exchange,
        "instrumentType": stock.kind,
        "firstTradeDate": int(stock.sessions["open"].iloc[0]),
        "regularMarketTime": min(latest, now),
        "gmtoffset": 0,
        "timezone": "XXX",
        "exchangeTimezoneName": stock.zone,
        "regularMarketPrice": 1.0,
        "longName": stock.name,
        "priceHint": 2,
        "currentTradingPeriod": dict.fromkeys(("pre", "regular", "post"), period),
        "dataGranularity": interval,
        "range": query.get("range", ""),
        "validRanges": [*RANGES, "ytd", "max"],
    }


def _periods(stock: Stock, start: int, end: int) -> list[list[dict[str, Any]]]:
    table = stock.sessions
    inside = table[(table["close"] > start) & (table["open"] < end)]
    return [
        [{"timezone": "XXX", "start": int(opened), "end": int(closed), "gmtoffset": 0}]
        for opened, closed in zip(inside["open"], inside["close"], strict=True)
    ]


def _events(stock: Stock, start: int, end: int, now: int) -> dict[str, Any]:
    """Dividends in the shares of today, and splits, at the open of their day."""
    dividends, splits = {}, {}
    for day, amount in stock.dividends.items():
        at = stock.opening(day)
        if start <= at < min(end, now + 1):
            (shares,) = stock.later_shares(np.array([seconds(day)]), now)
            dividends[str(at)] = {"amount": round(amount / float(shares), 6), "date": at}
    for day, ratio in stock.known(now).items():
        at = stock.opening(day)
        if start <= at < min(end, now + 1) and day not in stock.unlisted:
            new, old = float(ratio.numerator), float(ratio.denominator)
            told = f"{ratio.numerator}:{ratio.denominator}"
            splits[str(at)] = {"date": at, "numerator": new, "denominator": old, "splitRatio": told}
    return {name: found for name, found in (("dividends", dividends), ("splits", splits)) if found}
