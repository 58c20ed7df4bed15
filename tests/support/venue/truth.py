"""The venue's truth in the platform's own terms, to compare with what a client made of it."""

from __future__ import annotations

from pregao.core.bars import Bar
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.sources.ccxt import CcxtOptions
from pregao.market.sources.ccxt.client import match, open_client
from pregao.market.sources.ccxt.rules import instrument_of
from venue.server import Venue


def true_bars(venue: Venue, symbol: str, interval: str, start_ns: int, end_ns: int) -> list[Bar]:
    """The closed bars with ``start_ns <= open < end_ns`` as the venue has them now."""
    market, length = venue.market(symbol), Timeframe.parse(interval).ns
    return [
        Bar(
            row.open_ms * 1_000_000,
            row.open_ms * 1_000_000 + length,
            *(int(price.scaleb(market.decimals)) for price in row[1:5]),
            float(row.volume),
        )
        for row in venue.truth(symbol, interval, -(-start_ns // 1_000_000), -(-end_ns // 1_000_000))
    ]


def listed(venue: Venue, symbol: str = "BTC/USDT", **options: object) -> tuple[Instrument, CcxtOptions]:
    """An instrument with its rules as the venue states them, by the real client, and the options that lead there."""
    given = CcxtOptions.model_validate({"base_url": venue.url, **options})
    client = open_client(given)
    client.load_markets()
    instrument = instrument_of(client, match(client, symbol, given.kind), None, None)
    client.session.close()
    venue.requests.clear()
    return instrument, given
