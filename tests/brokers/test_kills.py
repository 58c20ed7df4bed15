"""The process that sends orders is killed, anywhere; the next one finds out what became of each and goes on.

Real processes and real SIGKILLs: a child runs a program of orders and dies at the n-th of its steps, which are all
calls to the exchange and all writes to the database, before and after each. `PREGAO_BROKER_KILLS` says how many times.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from brokers_agree import agree
from ordering import WIDE, connect
from venue.server import Venue

from pregao.sessions.brokers.contract import Request
from pregao.sessions.brokers.orders import Orders
from pregao.sessions.brokers.router import Router
from pregao.sessions.database import open_database

KILLS = int(os.environ.get("PREGAO_BROKER_KILLS", "12"))
STEPS = {
    "broker": ("place", "cancel", "order", "fills"),
    "orders": ("write_down", "stamp", "settle", "end", "add_fills"),
}


def program(router: Router) -> None:
    """Buy, rest, amend, cancel, sell: every way through the router."""
    last = router.broker.last_ticks()
    router.place(Request("entry", 1, "market", 20_000))
    router.collect()
    low = router.place(Request("entry", 1, "limit", 10_000, last - 4_000))
    low = router.amend(low.client_id, last - 4_100)
    high = router.place(Request("exit", -1, "limit", 15_000, last + 9_000))
    router.amend(high.client_id, last + 9_500, 12_000)
    router.cancel(low.client_id)
    router.place(Request("exit", -1, "market", 5_000))
    router.collect()


def live(url: str, database: str, die_at: int) -> None:
    """In the child: run the program and die at a step; or send the number of steps home."""
    engine = open_database(database)
    broker = connect(url)
    router = Router(broker, Orders(engine, broker.name), WIDE)
    seen = 0

    def step() -> None:
        nonlocal seen
        seen += 1
        if seen == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            step()
            result = function(*arguments, **more)
            step()
            return result

        return call

    for part, names in STEPS.items():
        for name in names:
            setattr(getattr(router, part), name, watched(getattr(getattr(router, part), name)))
    program(router)
    os._exit(min(seen, 255))


@pytest.fixture
def child(tmp_path: Path, credentials) -> Callable[[Venue, int], int]:
    """Run the program in a process of its own: how it ended."""
    context = multiprocessing.get_context("fork")

    def run(venue: Venue, die_at: int) -> int:
        process = context.Process(target=live, args=(venue.url, f"sqlite:///{tmp_path / 'sessions.db'}", die_at))
        process.start()
        process.join(60)
        assert process.exitcode is not None
        return process.exitcode

    return run


def test_killed_anywhere(venue, account, child, database, capsys):
    account.free["USDT"] *= 1_000  # for many rounds
    steps = child(venue, 0)
    assert 30 < steps < 255
    whole = len(account.orders)
    at = random.Random(3).sample(range(1, steps + 1), min(KILLS, steps)) if steps > KILLS else range(1, steps + 1)
    resumed = 0
    for n in at:
        before = len(account.orders)
        assert child(venue, n) == -signal.SIGKILL
        broker = connect(venue.url)

        def wait(seconds: float, broker=broker) -> None:
            venue.advance(seconds=seconds)
            broker.sync()

        router = Router(broker, Orders(database, broker.name), WIDE, wait)
        found = router.reconcile()
        resumed += len(found.settled) > 0
        agree(account, router)
        assert len(account.orders) - before <= whole
        for order in router.orders.unsettled():  # for the next round
            router.cancel(order.client_id)
        assert router.broker.open_orders() == []
        agree(account, router)
    assert resumed > 0
    with capsys.disabled():
        print(f"\n{len(at)} kills among {steps} steps, {resumed} with orders to go on with", end=" ")
