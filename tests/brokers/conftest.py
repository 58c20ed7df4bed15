"""A local exchange with an account, and the real ccxt client beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ordering import WIDE, connect
from venue import Market, MarketClock, Venue
from venue.private import KEY, SECRET, Account
from venue.server import ms

from pregao.sessions.brokers.exchange import Exchange
from pregao.sessions.brokers.orders import Orders
from pregao.sessions.brokers.router import Router
from pregao.sessions.database import open_database


@pytest.fixture
def account():
    return Account({"USDT": "100000", "BTC": "1"})


@pytest.fixture
def venue(account):
    clock = MarketClock(ms("2024-03-01T12:00"), rate=1.0)  # stamps are looked at, so time passes
    with Venue([Market("BTC/USDT")], clock, routes=[account.routes]) as running:
        yield running


@pytest.fixture
def credentials(monkeypatch):
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_KEY", KEY)
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_SECRET", SECRET)


@pytest.fixture
def exchange(venue, credentials) -> Exchange:
    return connect(venue.url)


@pytest.fixture
def database(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path / 'sessions.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def router(exchange, database) -> Router:
    return Router(exchange, Orders(database, exchange.name), WIDE)
