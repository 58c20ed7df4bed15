"""Sessions whose orders go to an exchange: the real ccxt client at a local one that signs, fills, fails and lies.

The journal is the truth of the session, the exchange that of the money; in the end both must tell the same to the last
digit, whatever was killed or cut between them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from at_exchange import HAD, admitted, agree, calm, ended, killed
from killable import ORDERS, Point
from live_session import Running, begun, follower, play, rows
from venue import Cut, Market, MarketClock, Status, Venue
from venue.markets import EVERY_MS
from venue.private import KEY, SECRET, Account
from waiting import wait

from pregao.cli import main
from pregao.sessions.control import SpecError
from pregao.sessions.journal import Journal
from pregao.sessions.lineage import lineage
from pregao.sessions.records import CommandKind
from pregao.settings import settings

PROGRAM = str(Path(sys.executable).parent / "pregao")
STREAM = "btcusdt@kline_1m"


@pytest.fixture
def database(home: Path) -> str:
    return settings().sessions_url


@pytest.fixture
def account() -> Account:
    return Account(dict(HAD))


@pytest.fixture
def venue(plugin: None, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Venue]:
    admitted(monkeypatch)
    now_ms = int(time.time() // 60 * 60_000)
    with Venue([Market("BTC/USDT")], MarketClock(now_ms), routes=[account.routes]) as running:
        yield running


@pytest.fixture
def follow(venue: Venue, journal: Journal) -> Any:
    """Start a session on BTC/USDT that sends its orders there; keyword arguments change the spec."""
    return follower(venue, journal, broker={"kind": "exchange", "options": {"base_url": venue.url}})


WIDE: dict[str, Any] = {"take_profit": 5, "stop_loss": 5, "isolated": False}
CLOSE: dict[str, Any] = {"take_profit": "0.1", "stop_loss": "0.1", "entry_value": 2_000, "isolated": False}


def holding(venue: Venue, account: Account, journal: Journal, session_id: str) -> None:
    """Let the session begin, and minutes pass until it holds something."""
    begun(venue, journal, session_id)
    while not journal.session(session_id).position_lots:
        play(venue, journal, session_id, 1)
        calm(journal, account, session_id)


def test_a_session_trades_at_the_exchange_and_its_money_is_the_accounts(
    venue: Venue, account: Account, follow: Any, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entries, take profits, stop losses and a trailing stop, all at the exchange; what is told of it afterwards."""
    session_id = follow(**CLOSE, trailing=True)
    with Running(journal, session_id):
        begun(venue, journal, session_id)
        seen: set[str] = set()
        for _ in range(80):
            play(venue, journal, session_id, 1)
            calm(journal, account, session_id)
            agree(journal, venue, account, session_id)
            seen = {r.body["role"] for r in rows(journal, session_id, "fill")}
            seen |= {r.body["state"] for r in rows(journal, session_id, "order")}
            moved = any(o.status == "CANCELED" for o in account.orders)  # a bracket whose stop was moved
            if moved and seen >= {"entry", "amended"} and seen & {"take_profit", "stop_loss"}:
                break
        ended(journal, venue, account, session_id)
    assert seen >= {"entry", "amended"}
    assert seen & {"take_profit", "stop_loss"}
    assert [o.kind for o in account.orders if o.status == "CANCELED"]
    (joined,) = [r.body for r in rows(journal, session_id, "broker") if r.body["state"] == "joined"]
    assert joined["name"].startswith("binance sandbox/BTC/USDT/")
    everything = "".join(r.text for r in rows(journal, session_id))
    assert KEY[:6] not in everything
    assert SECRET not in everything
    steps = {step.what: step for step in lineage(journal, session_id)}
    assert steps["fill"].facts["rule"] == "venue"
    assert steps["order"].seq is not None
    assert steps["decision"].seq is not None
    for command, words in (
        ("report", "Return"), ("lineage", "venue"), ("audit", "what the exchange said"), ("export", ""),
    ):  # fmt: skip
        more = ["--out", str(settings().home / "tables")] if command == "export" else []
        main([command, session_id, *more])
        told = capsys.readouterr()
        assert words.lower() in (told.out + told.err).lower()
    main(["trade", "show", session_id])
    assert "Its orders go to binance sandbox" in capsys.readouterr().out


def test_commands_reach_the_exchange_at_once(venue: Venue, account: Account, follow: Any, journal: Journal) -> None:
    """Between two bars: a position is closed when a person says so, the bracket before it."""
    session_id = follow(**WIDE)
    with Running(journal, session_id):
        holding(venue, account, journal, session_id)
        assert [o.status for o in account.orders if o.list_id >= 0] == ["NEW", "NEW"]
        bars = journal.session(session_id).bars
        number = journal.command(session_id, "flatten")
        wait(lambda: journal.answer(number).outcome == "done")
        wait(lambda: not journal.session(session_id).position_lots)
        assert journal.session(session_id).bars == bars
        assert [o.status for o in account.orders if o.list_id >= 0] == ["CANCELED", "CANCELED"]
        ended(journal, venue, account, session_id)


def test_a_request_whose_time_the_exchange_refuses_is_sent_again_by_its_clock(
    venue: Venue, account: Account, follow: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange's clock runs slower than ours by a second a second: what was true when it was last asked for is
    refused a second later, whatever is sent. A stop must come through all the same."""
    session_id = follow(**WIDE)
    with Running(journal, session_id):
        holding(venue, account, journal, session_id)
        monkeypatch.setattr("pregao.sessions.brokers.courier.POLL_S", 60)
        monkeypatch.setattr("pregao.sessions.brokers.courier._PAUSES_S", (1.5,))
        time.sleep(1.5)
        journal.command(session_id, "stop")
        wait(lambda: journal.session(session_id).status == "stopped", 20)
        assert "away" not in [r.body["state"] for r in rows(journal, session_id, "broker")]
    agree(journal, venue, account, session_id)


class Lost(Status):
    """The request never reaches the exchange."""

    def __init__(self) -> None:
        super().__init__(502)

    async def before(self, request: Any) -> Any:
        request.transport.close()
        return await super().before(request)


FAULTS: tuple[Callable[[], Any], ...] = (
    Cut, Lost, lambda: Status(502), lambda: Status(429, retry_after=0.05),
    lambda: Status(400, code=-1006, message="Unexpected response; execution status unknown."),
)  # fmt: skip


@pytest.mark.long
def test_whatever_fails_on_the_way_no_order_is_doubled_and_no_fill_is_lost(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    chance = random.Random(5)
    session_id = follow(**CLOSE, config={"every": 2, "leave": 5})
    asked = ("order", "orderList/oco", "myTrades", "account", "ticker/24hr")
    with Running(journal, session_id) as running:
        begun(venue, journal, session_id)
        for _ in range(60 if "PREGAO_KILLS" in os.environ else 16):
            for _ in range(chance.randint(0, 3)):
                venue.fault(chance.choice(FAULTS)(), on=chance.choice(asked), times=chance.randint(1, 2))
            play(venue, journal, session_id, 1)
            time.sleep(0.1)
            if chance.random() < 0.3:
                venue.mend()
                calm(journal, account, session_id)
                agree(journal, venue, account, session_id)
            assert running.error is None
        venue.mend()
        ended(journal, venue, account, session_id)
    assert len(account.trades) > 4


SHORT = ("after an order was sent", "before what was told is journaled")


@pytest.mark.timeout(0 if "PREGAO_KILLS" in os.environ else 300)
def test_killed_at_the_steps_of_an_order_none_is_doubled_and_none_is_lost(
    venue: Venue, account: Account, follow: Any, journal: Journal, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.free["USDT"] = Decimal(HAD["USDT"])
    session_id = follow(**CLOSE, config={"every": 2, "leave": 4}, trailing=True)
    points = [p for _ in range(3) for p in ORDERS] if "PREGAO_KILLS" in os.environ else SHORT
    kills = sum(
        killed(journal, venue, account, session_id, home, Point(name, 1 + i // len(ORDERS)))
        for i, name in enumerate(points)
    )
    with Running(journal, session_id):
        ended(journal, venue, account, session_id)
    with capsys.disabled():
        print(f"\n{kills} kills at the steps of orders, {len(account.orders)} orders, none doubled or lost")
    assert kills == len(points)


@pytest.mark.long
def test_an_exchange_that_is_gone_is_waited_for_and_nothing_is_decided_or_bought_meanwhile(
    venue: Venue, account: Account, follow: Any, journal: Journal
) -> None:
    session_id = follow(**WIDE, mode="approve", approval_bars=1_000, config={"every": 2, "leave": 1_000})
    with Running(journal, session_id):
        begun(venue, journal, session_id)
        while (journal.session(session_id).proposal or {}).get("side") != "long":
            play(venue, journal, session_id, 1)
        venue.fault(Status(503), on="account", times=10_000)
        number = journal.command(session_id, "approve")
        wait(lambda: journal.answer(number).outcome == "done")
        wait(lambda: "broker" in journal.session(session_id).details.get("notices", {}))
        decided = len(rows(journal, session_id, "intent"))
        play(venue, journal, session_id, 3)
        assert len(rows(journal, session_id, "intent")) == decided
        venue.mend()
        wait(lambda: "broker" not in journal.session(session_id).details.get("notices", {}))
        calm(journal, account, session_id)
        assert account.orders == []  # what was decided minutes ago is not bought now
        assert [r.body["state"] for r in rows(journal, session_id, "order")] == ["accepted", "cancelled"]
        ended(journal, venue, account, session_id)


class Steered(Market):
    """Every trade is of 400 lots, at a price in ticks that the test sets for those to come."""

    levels: list[tuple[int, int]]

    def trades(self, first: int, count: int) -> Any:
        at, ticks, lots = super().trades(first, count)
        numbers = np.arange(first, first + count)
        for begins, level in self.levels:
            ticks = np.where(numbers >= begins, level, ticks)
        return at, ticks, np.full_like(lots, 400)


@pytest.fixture
def steered(venue: Venue) -> Steered:
    """The market, from now on at one price until the test moves it."""
    market = Steered("BTC/USDT")
    market.levels = [(venue.clock.now() // EVERY_MS - 10_000, 3_000_000)]
    venue.markets[market.id] = market
    return market


@pytest.mark.parametrize("then", ["falls", "rises", "closes better", "nobody looks"])
def test_a_take_profit_that_fills_in_part_leaves_no_stop_loss_and_the_rest_is_still_looked_after(
    steered: Steered, venue: Venue, account: Account, follow: Any, journal: Journal, then: str
) -> None:
    """One leg of the pair ends the other as soon as it begins to fill: from then on the session is the stop loss."""
    session_id = follow(
        take_profit=1, stop_loss=1, entry_value=2_000, config={"every": 2, "leave": 1_000}, isolated=False,
        trailing=then == "closes better",
    )  # fmt: skip

    def at(number: int, level: int) -> None:
        steered.levels.append((venue.clock.now() // EVERY_MS + number, level))

    def minute() -> None:
        play(venue, journal, session_id, 1)
        calm(journal, account, session_id)
        agree(journal, venue, account, session_id)

    with Running(journal, session_id) as running:
        begun(venue, journal, session_id)
        while not journal.session(session_id).position_lots:
            minute()
        held = journal.session(session_id).position_lots
        profit, stop = (o for o in account.orders if o.list_id >= 0)
        at(2, profit.ticks)
        at(3, profit.ticks - 100)  # one trade of 400 lots came there
        if then == "nobody looks":
            running.go.set()
            running.thread.join(20)
            venue.advance(minutes=1)
        else:
            minute()
    if then != "nobody looks":
        assert profit.status == ("CANCELED" if then == "closes better" else "PARTIALLY_FILLED")
        assert (profit.done, stop.status) == (400, "EXPIRED")
        assert journal.session(session_id).position_lots == held - 400
    with Running(journal, session_id):
        wait(lambda: journal.session(session_id).position_lots == held - 400)
        calm(journal, account, session_id)
        if then == "rises":
            at(1, profit.ticks)
            for _ in range(4):
                minute()
            assert profit.status == "FILLED"
        elif then == "closes better":
            second = [o for o in account.orders if o.list_id >= 0][2:]
            assert [(o.kind, o.status, o.lots) for o in second] == [
                ("LIMIT_MAKER", "NEW", held - 400), ("STOP_LOSS", "NEW", held - 400),
            ]  # fmt: skip
            assert profit.status == "CANCELED"
            assert second[1].stop_ticks > stop.stop_ticks
        else:
            at(1, stop.stop_ticks - 100)
            minute()
            assert profit.status == "CANCELED"
            assert [r.body["role"] for r in rows(journal, session_id, "fill")][-1] == "exit"
        if then != "closes better":
            assert sum(o.done * (1 if o.side == "BUY" else -1) for o in account.orders) <= 10  # what fees left
            assert not journal.session(session_id).position_lots
        calm(journal, account, session_id)
        ended(journal, venue, account, session_id)


SIGNED = ("account", "order", "orderList/oco", "openOrders", "myTrades", "ticker/24hr")


@pytest.mark.parametrize("command", ["stop", "flatten"])
def test_what_cannot_be_closed_because_the_exchange_is_gone_is_never_called_flat(
    venue: Venue, account: Account, follow: Any, journal: Journal, command: CommandKind
) -> None:
    """It is said what may rest there, also after the runner has gone; the next one goes on with closing it."""
    session_id = follow(**WIDE, config={"every": 2, "leave": 1_000})

    def notices() -> dict[str, str]:
        found: dict[str, str] = journal.session(session_id).details.get("notices", {})
        return found

    def holds() -> str:
        row = journal.session(session_id)
        assert (row.status, row.position > 0) == ("running", True)
        return f"{row.instrument.quantity(row.position_lots):f} BTC"

    with Running(journal, session_id) as running:
        holding(venue, account, journal, session_id)
        pair = [o for o in account.orders if o.list_id >= 0]
        for name in SIGNED:
            venue.fault(Status(503), on=name, times=100_000)
        number = journal.command(session_id, command)
        wait(lambda: journal.answer(number).outcome == "done")
        wait(lambda: "orders" in notices())
        play(venue, journal, session_id, 2)
        told, held = notices()["orders"], holds()
        assert f"the session holds {held}." in told
        stop = journal.session(session_id).instrument.price(pair[1].stop_ticks)
        assert f"and a stop loss at {stop:f} for {held} may rest there." in told
        assert "Closing waits until the broker is heard again." in told
        assert ("The session does not end before." in told) == (command == "stop")
    assert running.error is None
    assert notices()["orders"] == told  # nobody runs it now, and it says so all the same
    assert [o.status for o in pair] == ["NEW", "NEW"]
    with Running(journal, session_id):
        wait(lambda: len(journal.runs(session_id)) == 2)
        play(venue, journal, session_id, 1)
        assert notices()["orders"] == told
        assert holds() == held
        venue.mend()
        wait(lambda: not journal.session(session_id).position_lots)
        wait(lambda: not notices())
        assert [o.status for o in pair] == ["CANCELED", "CANCELED"]
        if command == "flatten":
            assert journal.session(session_id).status == "running"
            ended(journal, venue, account, session_id)
        wait(lambda: journal.session(session_id).status == "stopped")
    agree(journal, venue, account, session_id)


@pytest.mark.long
def test_the_limits_hold_before_the_wire(venue: Venue, account: Account, follow: Any, journal: Journal) -> None:
    """Whatever the price does between a decision and its order, no order is worth more than the profile allows."""
    session_id = follow(entry_value=5_000, risk={"profile": "conservative", "kelly": 100}, isolated=False)
    with Running(journal, session_id):
        begun(venue, journal, session_id)
        for _ in range(12):
            play(venue, journal, session_id, 1)
            calm(journal, account, session_id)
        ended(journal, venue, account, session_id)
    bought = [o for o in account.orders if o.side == "BUY"]
    assert bought
    equity = (
        max(r.body["eq"] for r in rows(journal, session_id, "bar")) * journal.session(session_id).instrument.quantum
    )
    assert all(order.spent <= equity / 10 for order in bought)


REFUSED = {
    "no credentials": ({}, "takes orders with credentials only"),
    "another exchange": ({"broker": {"kind": "exchange", "exchange": "kraken"}}, "Orders are not sent to kraken"),
    "real money": (
        {"broker": {"kind": "exchange", "sandbox": False, "options": {"base_url": "https://api.binance.example"}}},
        "trades real money, which is off on this machine",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_sent_is_refused_at_the_start(
    venue: Venue, follow: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    changes, words = REFUSED[what]
    if what == "no credentials":
        monkeypatch.delenv("PREGAO_CCXT_BINANCE_KEY")
    with pytest.raises(SpecError, match=words) as caught:
        follow(**changes)
    assert list(caught.value.problems) == ["broker"]


def test_a_replay_has_no_exchange_and_a_market_of_an_account_one_owner(venue: Venue, follow: Any) -> None:
    with pytest.raises(SpecError, match="not for a replay") as caught:
        follow(feed={"kind": "replay"})
    assert list(caught.value.problems) == ["broker"]
    first = follow()
    with pytest.raises(SpecError, match=f"The session {first} sends its orders of BTC/USDT to binance already"):
        follow()


def test_the_credentials_of_another_account_end_the_session_with_the_reason(
    venue: Venue, account: Account, follow: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = follow(**WIDE)
    with Running(journal, session_id):
        wait(lambda: rows(journal, session_id, "broker"))
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_KEY", "another-key")
    with Running(journal, session_id) as running:
        running.thread.join(30)
    assert journal.session(session_id).status == "failed"
    assert "the credentials now are those of" in str(journal.session(session_id).error)
    assert "As last heard, the session holds nothing." in str(journal.session(session_id).error)
    assert account.orders == []


def test_the_command_line_trades_at_the_exchange_is_killed_and_goes_on(
    venue: Venue, account: Account, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)
    command = [
        PROGRAM, "trade", "start", "BTC/USDT", "--source", "ccxt", "--strategy", "probe", "--set", "every=2",
        "--set", "leave=100", "--take-profit", "5", "--stop-loss", "5", "--seed", "7", "--broker", "binance", "--here",
    ]  # fmt: skip
    first = subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE, text=True)
    journal = Journal()
    venue.subscribed(STREAM, 60)
    (session,) = journal.sessions()
    while not journal.session(session.id).position_lots:
        play(venue, journal, session.id, 1)
        calm(journal, account, session.id)
    first.kill()
    first.wait()
    venue.advance(minutes=4)
    again = [PROGRAM, "trade", "resume", session.id, "--here", "--json"]
    second = subprocess.Popen(again, env=os.environ, stdout=subprocess.PIPE, text=True)
    bars = journal.session(session.id).bars
    wait(lambda: journal.session(session.id).bars > bars, 60)
    main(["trade", "stop", session.id])
    told = json.loads(second.communicate(timeout=60)[0])
    assert (told["status"], told["position"], told["broker"]) == ("stopped", 0, "binance sandbox")
    agree(journal, venue, account, session.id)
    capsys.readouterr()
    main(["trade", "list", "--all", "--json"])
    assert [row["broker"] for row in json.loads(capsys.readouterr().out)] == ["binance sandbox"]
    journal.close()
