"""The real ccxt client of a local exchange, for orders."""

from __future__ import annotations

from decimal import Decimal

from pregao.market.sources.ccxt.client import CcxtOptions
from pregao.market.sources.ccxt.patience import Patience
from pregao.sessions.brokers.exchange import Exchange
from pregao.sessions.brokers.limits import Limits

WIDE = Limits(Decimal(1_000_000), Decimal(1_000_000), waiting=1_000, orders_a_minute=10_000)


def connect(url: str) -> Exchange:
    """A new client; it tries questions again quickly."""
    quick = Patience(tries=4, first_s=0.01, most_s=0.05)
    broker = Exchange(CcxtOptions(exchange="binance", base_url=url), "BTC/USDT", patience=quick)
    broker._client.timeout = 2_000
    broker._client.enableRateLimit = False
    return broker
