"""Sessions of several instruments whose orders go to an exchange: one account, one courier, the real ccxt client."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from at_exchange import HAD, admitted, agree, calm, ended, killed
from killable import ORDERS, Point
from live_session import Running, follower, play, rows
from venue import Market, MarketClock, Status, Venue
from venue.private import Account
from waiting import wait

from pregao.sessions.control import SpecError
from pregao.sessions.journal import Journal
from pregao.settings import settings

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
STREAMS = ("btcusdt@kline_1m", "ethusdt@kline_1m", "solusdt@kline_1m")


@pytest.fixture
def database(home: Path) -> str:
    return settings().sessions_url


@pytest.fixture
def account() -> Account:
    return Account(dict(HAD))


@pytest.fixture
def venue(plugin: None, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Venue]:
    admitted(monkeypatch)
    markets = [Market(SYMBOLS[0]), Market(SYMBOLS[1], price=2_000.0), Market(SYMBOLS[2], price=150.0, lot_decimals=3)]
    with Venue(markets, MarketClock(int(time.time() // 60 * 60_000)), routes=[account.routes]) as running:
        yield running


@pytest.fixture
def follow(venue: Venue, journal: Journal) -> Any:
    """Start a session of the three that sends its orders there; keyword arguments change the spec."""
    feed = {
        "kind": "live", "source": "ccxt", "symbol": SYMBOLS[0], "also": SYMBOLS[1:], "stale_s": 1.5, "poll_s": 0.1,
        "options": {"base_url": venue.url},
    }  # fmt: skip
    broker = {"kind": "exchange", "options": {"base_url": venue.url}}
    return follower(venue, journal, feed=feed, broker=broker, isolated=False, entry_value=2_000)


def begun(venue: Venue) -> None:
    for stream in STREAMS:
        venue.subscribed(stream, 90)


def held(journal: Journal, session_id: str) -> list[int]:
    """Lots of each instrument."""
    return [each["pos"] for each in journal.session(session_id).details["books"]]


def minute(venue: Venue, journal: Journal, account: Account, session_id: str) -> None:
    play(venue, journal, session_id, 1)
    calm(journal, account, session_id)


def holding_all(venue: Venue, journal: Journal, account: Account, session_id: str) -> None:
    begun(venue)
    play(venue, journal, session_id, 1)
    while not all(held(journal, session_id)):
        minute(venue, journal, account, session_id)


WIDE: dict[str, Any] = {"take_profit": 5, "stop_loss": 5, "config": {"every": 2, "leave": 1_000}}
CLOSE: dict[str, Any] = {"take_profit": "0.1", "stop_loss": "0.1", "config": {"every": 2, "leave": 5}}


def test_all_are_traded_from_one_account_and_its_money_is_the_sessions(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    session_id = follow(**CLOSE, trailing=True)
    with Running(journal, session_id) as running:
        begun(venue)
        for _ in range(60):
            minute(venue, journal, account, session_id)
            agree(journal, venue, account, session_id)
            fills = [(r.body.get("b", 0), r.body["role"]) for r in rows(journal, session_id, "fill")]
            if {(b, "entry") for b in range(3)} <= set(fills) and {"take_profit", "stop_loss"} & {r for _, r in fills}:
                break
        assert {b for b, role in fills if role == "entry"} == {0, 1, 2}
        ended(journal, venue, account, session_id)
    assert running.error is None
    joined = [r.body for r in rows(journal, session_id, "broker") if r.body["state"] == "joined"]
    assert [each.get("b", 0) for each in joined] == [0, 1, 2]
    for symbol, each in zip(SYMBOLS, joined, strict=True):
        assert each["name"].startswith(f"binance sandbox/{symbol}/")


def test_orders_that_rest_are_asked_for_and_nothing_dearer(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    """An exchange grants so many requests a minute, and the executions of a market cost five times an order."""
    session_id = follow(**WIDE)
    with Running(journal, session_id):
        holding_all(venue, journal, account, session_id)
        venue.requests.clear()
        wait(lambda: venue.counts()["order"] > 30)
        assert set(venue.counts()) <= {"order", "ping", "time", "klines"}
        ended(journal, venue, account, session_id)


def test_one_is_closed_alone_and_the_others_keep_their_exits(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    session_id = follow(**WIDE)
    with Running(journal, session_id):
        holding_all(venue, journal, account, session_id)
        before = held(journal, session_id)
        number = journal.command(session_id, "flatten", {"book": 1})
        wait(lambda: journal.answer(number).outcome == "done")
        wait(lambda: held(journal, session_id) == [before[0], 0, before[2]])
        resting = Counter(o.market.id for o in account.orders if o.status == "NEW")
        assert resting == {"BTCUSDT": 2, "SOLUSDT": 2}
        calm(journal, account, session_id)
        agree(journal, venue, account, session_id)
        ended(journal, venue, account, session_id)


def test_entries_of_one_moment_never_spend_the_same_money(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    """Three want 4,000 of 5,000 at once: what one is going to spend the others cannot."""
    session_id = follow(**WIDE | {"config": {"every": 1, "leave": 1_000}}, cash=5_000, entry_value=4_000)
    with Running(journal, session_id):
        begun(venue)
        for _ in range(4):
            minute(venue, journal, account, session_id)
            spent = sum((o.spent for o in account.orders if o.side == "BUY"), Decimal(0))
            assert spent <= 5_000
            if len({o.market.id for o in account.orders if o.side == "BUY"}) > 1:
                break
        assert spent > 4_000
        agree(journal, venue, account, session_id)
        ended(journal, venue, account, session_id)


def test_what_all_may_be_worth_together_holds_before_the_wire(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    session_id = follow(
        **WIDE | {"config": {"every": 1, "leave": 1_000}}, cash=10_000, entry_value=2_000,
        risk={"max_exposure": 25},
    )  # fmt: skip
    with Running(journal, session_id):
        begun(venue)
        most = Decimal(0)
        for _ in range(5):
            minute(venue, journal, account, session_id)
            now = Decimal(0)
            for each, instrument in zip(
                journal.session(session_id).details["books"], journal.session(session_id).instruments, strict=True
            ):
                now += instrument.quantity(each["pos"]) * instrument.price(each["c"])
            most = max(most, now)
        assert 2_000 < most <= Decimal("2500") * Decimal("1.05")  # bought at most 2,500; prices have moved since
        assert sum((o.spent for o in account.orders if o.side == "BUY"), Decimal(0)) <= 2_500
        ended(journal, venue, account, session_id)


def test_a_market_whose_orders_are_not_answered_does_not_hold_up_the_others(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    session_id = follow(**WIDE)

    def notices() -> dict[str, str]:
        found: dict[str, str] = journal.session(session_id).details.get("notices", {})
        return found

    with Running(journal, session_id) as running:
        holding_all(venue, journal, account, session_id)
        before = held(journal, session_id)
        account.silent.add("ETHUSDT")
        journal.command(session_id, "flatten")
        wait(lambda: held(journal, session_id) == [0, before[1], 0])
        wait(lambda: "broker 1" in notices())
        assert "About ETH/USDT: The broker is not heard" in notices()["broker 1"]
        assert "broker" not in notices()
        instrument = journal.session(session_id).instruments[1]
        assert f"the session holds {instrument.quantity(before[1]):f} ETH." in notices()["orders"]
        account.silent.clear()
        wait(lambda: held(journal, session_id) == [0, 0, 0])
        wait(lambda: not notices())
        calm(journal, account, session_id)
        agree(journal, venue, account, session_id)
        ended(journal, venue, account, session_id)
    assert running.error is None


@pytest.mark.timeout(0 if "PREGAO_KILLS" in os.environ else 300)
def test_killed_at_the_steps_of_orders_none_is_doubled_and_none_is_lost(
    venue: Venue, account: Account, follow: Any, journal: Journal, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session_id = follow(**CLOSE, trailing=True)
    points = [p for _ in range(3) for p in ORDERS] if "PREGAO_KILLS" in os.environ else ["after an order was sent"]
    kills = sum(
        killed(journal, venue, account, session_id, home, Point(name, 2 + i // len(ORDERS)))
        for i, name in enumerate(points)
    )
    with Running(journal, session_id):
        ended(journal, venue, account, session_id)
    with capsys.disabled():
        print(f"\n{kills} kills with three markets, {len(account.orders)} orders, none doubled or lost")
    assert kills == len(points)


@pytest.mark.long
def test_whatever_fails_on_the_way_no_order_is_doubled_and_no_fill_is_lost(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    chance = random.Random(11)
    session_id = follow(**CLOSE)
    asked = ("order", "orderList/oco", "myTrades", "account", "ticker/24hr")
    with Running(journal, session_id) as running:
        begun(venue)
        for _ in range(60 if "PREGAO_KILLS" in os.environ else 16):
            for _ in range(chance.randint(0, 4)):
                venue.fault(Status(chance.choice((502, 503))), on=chance.choice(asked), times=chance.randint(1, 3))
            play(venue, journal, session_id, 1)
            time.sleep(0.1)
            if chance.random() < 0.3:
                venue.mend()
                calm(journal, account, session_id)
                agree(journal, venue, account, session_id)
            assert running.error is None
        venue.mend()
        ended(journal, venue, account, session_id)
    assert len({trade["symbol"] for trade in account.trades}) == 3


def test_a_market_has_one_owner_also_if_it_is_only_one_of_several(venue: Venue, follow: Any) -> None:
    first = follow()
    with pytest.raises(SpecError, match=f"The session {first} sends its orders of ETH/USDT to binance already"):
        follow(instrument="ccxt/binance/ETH-USDT", feed={
            "kind": "live", "source": "ccxt", "symbol": "ETH/USDT", "options": {"base_url": venue.url},
        })  # fmt: skip
