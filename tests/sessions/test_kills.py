"""Real runners, really killed: what is left equals what an uninterrupted run leaves, row for row and byte for byte."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from killable import runner
from probe_market import MINUTE, START_NS, a_spec
from waiting import wait

from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run

KILLS = 10
BARS = 220
SETTINGS = {
    "config": {"every": 5, "leave": 17, "slow_s": 0.01},
    "feed": {"speed": 0, "end": START_NS + BARS * MINUTE.ns},
}


def history(journal: Journal, session_id: str) -> list[tuple[int, int, str, str, str]]:
    rows = journal.rows(session_id, limit=100_000)
    return [(r.seq, r.ts_ns, r.kind, r.text, r.chain) for r in rows]


def test_a_session_killed_again_and_again_ends_as_if_it_had_not_been(
    begin: Any, journal: Journal, database: str, home: Path
) -> None:
    calm, killed = begin(**SETTINGS), begin(**SETTINGS)
    assert run(calm, journal) == "finished"
    chance = random.Random(20)
    kills = 0
    for _ in range(KILLS):
        target = journal.session(killed).last_seq + chance.randrange(1, 50)
        process = runner(str(home), database, killed)
        wait(lambda: journal.session(killed).last_seq >= target)  # noqa: B023
        time.sleep(chance.random() * 0.01)
        process.kill()
        process.join()
        assert process.exitcode == -9
        assert journal.session(killed).status in ("created", "running")
        kills += 1
    assert run(killed, journal) == "finished"
    assert kills == KILLS
    assert len(journal.runs(killed)) == KILLS + 1
    assert history(journal, killed) == history(journal, calm)
    assert journal.snapshots(killed) == journal.snapshots(calm)
    assert journal.trades(killed) == journal.trades(calm)
    ours, theirs = journal.session(killed), journal.session(calm)
    for name in ("chain", "last_seq", "status", "equity_quanta", "fees_quanta", "bars", "trades_count", "win_count"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_killed_while_recovering_it_still_recovers(begin: Any, journal: Journal, database: str, home: Path) -> None:
    calm, killed = begin(**SETTINGS), begin(**SETTINGS)
    run(calm, journal)
    chance = random.Random(5)
    for _ in range(4):
        epoch = journal.session(killed).epoch
        process = runner(str(home), database, killed)
        wait(lambda: journal.session(killed).epoch > epoch)  # noqa: B023
        time.sleep(chance.random() * 0.2)
        process.kill()
        process.join()
    run(killed, journal)
    assert history(journal, killed) == history(journal, calm)


def test_two_runners_never_both_write(begin: Any, journal: Journal, database: str, home: Path) -> None:
    calm, fought_over = begin(**SETTINGS), begin(**SETTINGS)
    run(calm, journal)
    first = runner(str(home), database, fought_over)
    wait(lambda: journal.session(fought_over).last_seq > 100)
    assert run(fought_over, journal) == "finished"
    first.join(120)
    assert first.exitcode == 3
    assert history(journal, fought_over) == history(journal, calm)


@pytest.mark.servers
def test_a_connection_cut_at_any_moment_loses_and_doubles_nothing(postgres: Any, market: Any, home: Path) -> None:

    journal = Journal(postgres.create(f"cut{time.time_ns()}"))
    calm, cut = start(a_spec(**SETTINGS), journal), start(a_spec(**SETTINGS), journal)
    run(calm, journal)
    done = threading.Event()
    cuts = 0

    def cutter() -> None:
        nonlocal cuts
        chance = random.Random(1)
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            while not done.wait(0.05 + chance.random() * 0.1):
                found = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [journal.engine.url.database],
                ).fetchall()
                cuts += len(found)

    thread = threading.Thread(target=cutter)
    thread.start()
    try:
        assert run(cut, journal) == "finished"
    finally:
        done.set()
        thread.join()
    assert cuts > 3
    assert history(journal, cut) == history(journal, calm)
    journal.close()
