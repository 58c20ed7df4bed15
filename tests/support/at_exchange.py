"""A session and the account at the local exchange that has its orders: both must tell the same, to the last digit."""

from __future__ import annotations

import signal
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from killable import Point, runner
from live_session import Running, bars_of, rows
from sqlalchemy import select
from venue import Venue
from venue.private import KEY, SECRET, Account
from waiting import wait

from pregao.sessions.audit import audit
from pregao.sessions.brokers.orders import Orders
from pregao.sessions.journal import Journal
from pregao.sessions.schema import broker_orders

HAD = {"USDT": "100000", "BTC": "1", "ETH": "10", "SOL": "100"}
"""What the account has before a session begins, which is not the session's."""


def admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the account's credentials, and waits of seconds shortened."""
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_KEY", KEY)
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_SECRET", SECRET)
    monkeypatch.setattr("pregao.sessions.brokers.courier.POLL_S", 0.05)
    monkeypatch.setattr("pregao.sessions.brokers.courier._PAUSES_S", (0.05,))
    monkeypatch.setattr("pregao.market.sources.ccxt.patience.Patience.wait_s", lambda *_: 0.02)


def memory(journal: Journal) -> dict[str, Any]:
    """What was written down of the orders before they were sent, by client id."""
    with journal.reading() as connection:
        names = set(connection.scalars(select(broker_orders.c.broker)))
    return {order.client_id: order for name in names for order in Orders(journal.engine, name).all()}


def settled(journal: Journal, account: Account, session_id: str) -> bool:
    """Whether the session knows of every fill, hears its exchange, and each of its orders has come there."""
    heard = "broker" not in journal.session(session_id).details.get("notices", {})
    told = rows(journal, session_id, "order", "fill")
    fills = sum(r.kind == "fill" for r in told) == len(account.trades)
    over = {r.body["id"] for r in told if r.kind == "fill" or r.body["state"] in ("cancelled", "rejected")}
    wanted = {r.body["id"] for r in told if r.body["role"] != "stop_loss"} - over
    known = [name for name, order in memory(journal).items() if order.state not in ("waiting", "sent")]
    missing = [n for n in wanted if not any(name.endswith(f"-{n}") for name in known)]
    return heard and fills and not missing


def calm(journal: Journal, account: Account, session_id: str, still_s: float = 0.3) -> None:
    """Wait until it is `settled`, and nothing happens any more."""
    seen, since = -1, time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        last = journal.session(session_id).last_seq
        if last != seen or not settled(journal, account, session_id):
            seen, since = last, time.monotonic()
        return time.monotonic() - since > still_s

    wait(still)


def agree(journal: Journal, venue: Venue, account: Account, session_id: str) -> None:
    """The session's money is the account's, to the last quantum; no order is there twice, none is missing."""
    row = journal.session(session_id)
    total = {name: account.free.get(name, Decimal(0)) + account.locked.get(name, Decimal(0)) for name in HAD}
    gain = total["USDT"] - Decimal(HAD["USDT"])
    for book, instrument in enumerate(row.instruments):
        last = Decimal(bars_of(journal, session_id, book)[-1].close) * instrument.tick_size
        gain += (total[instrument.base] - Decimal(HAD[instrument.base])) * last
    bar = rows(journal, session_id, "bar")[-1]
    after = [r for r in rows(journal, session_id, "fill") if r.seq > bar.seq]
    if not after:
        assert abs(row.instrument.money(row.pnl_quanta) - gain) < 2 * row.instrument.quantum
    told = [
        (r.ts_ns // 1_000_000, r.body.get("b", 0), r.body["side"], r.body["qty"], r.body["price"])
        for r in rows(journal, session_id, "fill")
    ]
    places = {instrument.symbol.replace("/", ""): book for book, instrument in enumerate(row.instruments)}
    there = []
    for trade in account.trades:
        instrument = row.instruments[places[trade["symbol"]]]
        lots = int(Decimal(trade["qty"]) / instrument.lot_size)
        ticks = int(Decimal(trade["price"]) / instrument.tick_size)
        there.append((trade["time"], places[trade["symbol"]], 1 if trade["isBuyer"] else -1, lots, ticks))
    assert sorted(told) == sorted(there)
    ids = [order.client_id for order in account.orders]
    assert len(ids) == len(set(ids))
    found = audit(journal, session_id)
    assert found.identical
    assert found.witnessed == found.told == len(told)


def ended(journal: Journal, venue: Venue, account: Account, session_id: str) -> None:
    """Stop the session: what it holds is sold, nothing waits at the exchange, and both tell the same."""
    journal.command(session_id, "stop")
    wait(lambda: journal.session(session_id).status == "stopped")
    assert all(order.status not in ("NEW", "PARTIALLY_FILLED") for order in account.orders)
    row = journal.session(session_id)
    for instrument in row.instruments:
        had = Decimal(HAD[instrument.base])
        left = account.free[instrument.base] + account.locked.get(instrument.base, Decimal(0)) - had
        assert 0 <= left < instrument.lot_size * (1 + row.trades_count)  # of each trade less than a lot is left
    agree(journal, venue, account, session_id)


def killed(journal: Journal, venue: Venue, account: Account, session_id: str, home: Path, point: Point) -> bool:
    """Run a session in a process until it is killed at a point, then in another one that goes on, where both must tell
    the same; whether it came to the point."""
    process = runner(str(home), journal.url, session_id, point)
    for _ in range(40):
        bars, until = journal.session(session_id).bars, time.monotonic() + 60
        venue.advance(minutes=1)
        # The market must not run away from who has to send orders by its clock.
        while process.is_alive() and time.monotonic() < until:
            if journal.session(session_id).bars > bars and settled(journal, account, session_id):
                break
            time.sleep(0.05)
        process.join(0.3)
        if process.exitcode is not None:
            break
    came = process.exitcode == -signal.SIGKILL
    assert process.exitcode in (None, -signal.SIGKILL)
    process.kill()
    process.join()
    with Running(journal, session_id) as running:
        calm(journal, account, session_id)
        bars = journal.session(session_id).bars  # those that it missed may still be coming
        venue.advance(minutes=1)
        wait(lambda: journal.session(session_id).bars > bars)
        calm(journal, account, session_id)
        agree(journal, venue, account, session_id)
        assert running.error is None
    return came
