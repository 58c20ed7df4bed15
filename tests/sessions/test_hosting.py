"""Many sessions in one process: each comes out as it would alone, and what happens to one happens to no other."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from venue import Market, MarketClock, Venue
from waiting import wait

from pregao.cli import main
from pregao.core.bars import Bars
from pregao.core.errors import PregaoError
from pregao.sessions import hosting as hosting_of
from pregao.sessions import hosts
from pregao.sessions.control import spec_of, start
from pregao.sessions.hosting import Host
from pregao.sessions.journal import Journal
from pregao.sessions.records import OFFERED
from pregao.sessions.runtime import run
from pregao.sessions.together import Together
from pregao.settings import settings

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pregao.sessions.hosting", "pregao.learning", "warm_engine"])


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""The one below that kills a host is on PostgreSQL too."""


@contextmanager
def hosting(**how: Any) -> Iterator[Host]:
    """A host in a thread of this process."""
    host, go = Host(**how), threading.Event()
    thread = threading.Thread(target=host.run, args=(go.is_set,))
    thread.start()
    try:
        yield host
    finally:
        go.set()
        thread.join(60)
        assert not thread.is_alive()


def live(home: str, url: str) -> None:
    """A host in a process of its own, until it is killed."""
    os.environ["PREGAO_HOME"] = home
    os.environ["PREGAO_DATABASE_URL"] = url
    settings.cache_clear()
    Host(url).run()


def lived(session_id: str, url: str) -> None:
    """Run a session alone, to its end."""
    journal = Journal(url)
    run(session_id, journal)
    journal.close()


def end(journal: Journal, session_id: str) -> tuple[int, str]:
    row = journal.session(session_id)
    assert row.status == "finished", row
    return row.last_seq, row.chain


@on_sqlite
def test_sessions_of_one_host_come_out_as_each_alone_and_share_their_commits(begin: Any, journal: Journal) -> None:
    spec = {"feed": {"speed": 150}}
    alone = begin(isolated=False, **spec)
    run(alone, journal)
    many = [begin(isolated=False, **spec) for _ in range(4)]
    beside = [begin(strategy="harm", config={"how": "exit"}, isolated=True, **spec), begin(isolated=True, **spec)]
    host = Host(journal.url, only=[*many, *beside])
    host.run()
    assert {end(journal, each) for each in many} == {end(journal, alone)}
    assert [journal.session(each).status for each in beside] == ["finished", "finished"]
    assert "ended by itself" in str(journal.session(beside[0]).error)
    assert journal.session(beside[1]).error is None
    together = host.journal.together
    assert together is not None
    assert together.commits < together.writes
    (row,) = hosts.hosts(journal)
    assert (row.name, row.sessions, row.ended_ns is None) == (host.name, 0, False)
    assert row.memory_bytes > 10e6


def test_killed_another_host_goes_on_with_its_sessions(
    begin: Any, journal: Journal, home: Any, market: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "LIVE_S", 2.0)
    monkeypatch.setattr(hosting_of, "UNATTENDED_S", 8.0)
    alone = begin()
    run(alone, journal)
    twins = [begin(feed={"speed": 20}, seed=n) for n in range(2)]
    beside = [threading.Thread(target=lived, args=(twin, journal.url)) for twin in twins]
    for thread in beside:
        thread.start()
    many = [begin(feed={"speed": 20}, seed=n % 2) for n in range(5)]
    with journal.writing() as connection:
        offer = text("UPDATE sessions SET runner = :r WHERE id = :id")
        connection.execute(offer, [{"r": OFFERED, "id": each} for each in many])
    process = _context.Process(target=live, args=(str(home), journal.url), daemon=True)
    process.start()
    wait(lambda: all(journal.session(each).bars >= 10 for each in many))
    process.kill()
    process.join()
    left = [journal.session(each) for each in many]
    assert all(row.bars < 300 for row in left)
    with hosting(url=journal.url):
        wait(lambda: all(journal.session(each).status == "finished" for each in many))
    assert {journal.session(each).epoch for each in many} == {2}
    ends = [end(journal, each) for each in many]
    assert len(set(ends)) == 2  # one for each seed
    for thread in beside:
        thread.join(60)
    assert set(ends) == {end(journal, twin) for twin in twins}


@on_sqlite
def test_sessions_join_leave_and_are_steered_while_it_runs(
    begin: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting_of, "UNATTENDED_S", 8.0)
    monkeypatch.setattr(hosting_of, "AGAIN_S", 5.0)
    slow = {"feed": {"speed": 2}}
    with hosting(url=journal.url) as host:
        wait(lambda: hosts.live_hosts(journal))
        first, second = begin(**slow), begin(**slow)
        for each in (first, second):
            assert hosts.offer(journal, each)
        wait(lambda: journal.session(first).bars and journal.session(second).bars)
        assert not hosts.offer(journal, first)  # it has a runner
        pause = journal.command(first, "pause")
        wait(lambda: journal.answer(pause).outcome == "done")
        run(second, journal, stop=lambda: True)  # another runner takes it, and lets go at once
        wait(lambda: second not in host.sessions or journal.session(second).epoch >= 3)
        stop = journal.command(first, "stop")
        wait(lambda: journal.answer(stop).outcome == "done")
        wait(lambda: first not in host.sessions)
        assert journal.session(first).status == "stopped"
        wait(lambda: journal.session(second).epoch >= 3 and journal.session(second).runner == host.runner, 90)
    assert journal.session(second).runner == ""
    assert journal.session(second).status == "running"
    assert hosts.live_hosts(journal) == []


def test_hosts_share_what_waits() -> None:
    def host(name: str, sessions: int) -> hosts.HostRow:
        return hosts.HostRow(name, "m:1", False, 100, 0, 0, None, sessions, 0, 0)

    assert hosts.share([], "a", 100, 7) == 7
    assert hosts.share([host("a", 0), host("b", 0)], "a", 100, 7) == 4
    assert hosts.share([host("a", 2), host("b", 6)], "a", 100, 2) == 5
    assert hosts.share([host("a", 2), host("b", 6)], "a", 3, 2) == 3


@on_sqlite
def test_one_that_fails_in_a_shared_commit_does_not_hold_the_others_up(database: str) -> None:
    journal = Journal(database)
    with journal.writing() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    together = Together(journal.writing)

    def write(n: int) -> Callable[[Any], None]:
        def written(connection: Any) -> None:
            if n == 3:
                raise PregaoError("fenced")
            connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": 1 if n == 5 else n})

        return written

    said: dict[int, str] = {}
    gate = threading.Event()

    def first(connection: Any) -> None:
        gate.wait(120)  # the others queue up behind it
        connection.execute(text("INSERT INTO t VALUES (1)"))

    def live(n: int) -> None:
        try:
            together.run(first if n == 1 else write(n))
        except Exception as error:
            said[n] = type(error).__name__

    threads = [threading.Thread(target=live, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
        wait(lambda: together._turn.locked())
    wait(lambda: len(together._queue) == 7)
    gate.set()
    for thread in threads:
        thread.join(60)
    with journal.reading() as connection:
        assert list(connection.scalars(text("SELECT n FROM t ORDER BY n"))) == [1, 2, 4, 6, 7, 8]
    assert said == {3: "PregaoError", 5: "IntegrityError"}
    journal.close()


def test_sessions_of_one_market_hear_it_through_one_line(home: Any, plugin: None) -> None:
    """The real ccxt client at a local exchange whose minutes take three seconds: every bar in time, once, for each."""
    journal = Journal(settings().sessions_url)
    with Venue([Market("BTC/USDT")], MarketClock(int(time.time() // 60 * 60_000), rate=20.0)) as venue:
        feed = {"kind": "live", "source": "ccxt", "symbol": "BTC/USDT", "options": {"base_url": venue.url}}
        asked = {
            "instrument": "ccxt/binance/BTC-USDT", "timeframe": "1m", "strategy": "probe", "feed": feed,
            "config": {"every": 3, "leave": 8}, "take_profit": "0.2", "stop_loss": "0.2",
        }  # fmt: skip
        early = [start(spec_of(asked), journal) for _ in range(5)]
        with hosting(url=journal.url, only=None) as host:
            wait(lambda: hosts.live_hosts(journal))
            for each in early:
                assert hosts.offer(journal, each)
            wait(lambda: all(journal.session(each).bars >= 2 for each in early), 120)
            late = start(spec_of(asked), journal)
            assert hosts.offer(journal, late)
            wait(lambda: all(journal.session(each).bars >= 6 for each in [*early, late]), 120)
            assert len(host.feeds) == 1
            assert sum(bool(c.streams) for c in list(venue.streams.connections)) == 1
        for each in [*early, late]:
            bars = [r for r in journal.rows(each, limit=10**6) if r.kind == "bar"]
            opens = [r.body["t"] // 10**9 for r in bars]
            assert opens == list(range(opens[0], opens[0] + 60 * len(opens), 60))
            truth = venue.truth("BTC/USDT", "1m", opens[0] * 1_000, opens[-1] * 1_000 + 60_000)
            assert [r.body["c"] for r in bars] == [int(row.close * 100) for row in truth]
    journal.close()


@on_sqlite
def test_the_commands_say_what_a_host_runs_and_takes(
    begin: Any, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [begin(feed={"speed": 0}), begin(feed={"speed": 0})]
    main(["trade", "host", *many])
    assert [journal.session(each).status for each in many] == ["finished", "finished"]
    main(["trade", "hosts", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["capacity"], row["sessions"], row["live"], row["flow"]) == (2, 0, False, False)
    with pytest.raises(SystemExit) as wrong:
        main(["trade", "host", "nobody"])
    assert wrong.value.code == 2
    assert "nobody" in capsys.readouterr().err
