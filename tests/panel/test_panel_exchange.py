"""A session whose orders go to an exchange, in the panel: it fills between two bars, and the page tells it then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from at_exchange import HAD, admitted
from live_session import follower, play
from venue import Market, MarketClock, Venue
from venue.private import Account
from waiting import wait

SYMBOLS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture
def account() -> Account:
    return Account(dict(HAD))


@pytest.fixture
def venue(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Venue]:
    admitted(monkeypatch)
    markets = [Market(SYMBOLS[0]), Market(SYMBOLS[1], price=2_000.0)]
    with Venue(markets, MarketClock(int(time.time() // 60 * 60_000)), routes=[account.routes]) as running:
        yield running


@pytest.fixture
def trade(panel: Any, venue: Venue) -> Iterator[Any]:
    """Buys some markets at the exchange after the next bar; sessions are stopped in the end: a market has one owner."""
    started = []

    def begun(*symbols: str) -> str:
        feed = {
            "kind": "live", "source": "ccxt", "symbol": symbols[0], "also": symbols[1:], "stale_s": 1.5, "poll_s": 0.1,
            "options": {"base_url": venue.url},
        }  # fmt: skip
        session_id = follower(venue, panel.journal)(
            strategy="buy-and-hold", config={}, feed=feed, entry_value=2_000, take_profit=5, stop_loss=5,
            isolated=False, broker={"kind": "exchange", "options": {"base_url": venue.url}},
        )  # fmt: skip
        started.append(session_id)
        panel.run(session_id)
        for symbol in symbols:
            venue.subscribed(f"{symbol.replace('/', '').lower()}@kline_1m", 90)
        wait(lambda: sum(row.kind == "broker" for row in panel.journal.rows(session_id)) == len(symbols))
        return session_id

    yield begun
    for session_id in started:
        panel.journal.command(session_id, "stop")
        wait(lambda: panel.journal.session(session_id).status == "stopped")  # noqa: B023


@pytest.mark.parametrize("symbols", [SYMBOLS[:1], SYMBOLS], ids=["one", "two"])
def test_what_fills_between_two_bars_is_told_at_once(
    panel: Any, venue: Venue, account: Account, trade: Any, visit: Any, symbols: tuple[str, ...]
) -> None:
    session_id = trade(*symbols)
    visitor = visit(locale="en-GB")
    page = visitor.open(f"/?session={session_id}")
    visitor.wait_text("position", "^Flat$")

    play(venue, panel.journal, session_id, 1)
    held = r"^Long 0\.0" if len(symbols) == 1 else "^2 open$"
    visitor.wait_text("position", held)
    visitor.wait_text("open", "of the equity$")
    assert panel.journal.session(session_id).bars == 1  # bought after it closed, in two parts each
    assert len(account.trades) == 2 * len(symbols)
    orders = page.locator("[data-part=position] tbody tr:visible", has_text="Sell")
    wait(lambda: orders.count() == 2 * len(symbols))
    told = page.locator("[data-part=decisions] li.enter .then")
    assert [each.inner_text().count("Bought at") for each in told.all()] == [1] * len(symbols)
    if len(symbols) > 1:
        exits = page.locator(".pg-holdings td.exits")
        wait(lambda: all(each.inner_text().count(".") == 2 for each in exits.all()))

    page.click("[data-command=flatten]")
    visitor.wait_text("position", "^Flat$")
    visitor.wait_text("trades", f"^{len(symbols)} trade")
    wait(lambda: orders.count() == 0)
    results = page.locator("[data-part=decisions] li.enter .result")
    wait(lambda: results.count() == len(symbols))
    assert panel.journal.session(session_id).bars == 1
    equity = panel.journal.session(session_id).equity
    visitor.wait_text("equity", f"^{equity:,.2f}$".replace(".", r"\."))


def test_an_entry_that_the_exchange_refuses_says_so_at_its_decision(
    panel: Any, venue: Venue, account: Account, trade: Any, visit: Any
) -> None:
    account.free["USDT"] = account.free["USDT"] * 0 + 100  # less than the session believes to have
    session_id = trade(SYMBOLS[0])
    play(venue, panel.journal, session_id, 1)
    for locale, words in (("en-GB", "Not done: binance refused the order"), ("pt-BR", "Não feito: ")):
        visitor = visit(locale=locale)
        page = visitor.open(f"/?session={session_id}")
        page.wait_for_selector(f"[data-part=decisions] li.enter .then >> text={words}")
        assert "insufficient balance" in page.inner_text("[data-part=decisions] li.enter .then")
