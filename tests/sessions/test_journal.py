"""The journal on both databases: atomic, chained, fenced; damage is named, never mended in silence."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from probe_market import INSTRUMENT, a_spec
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.sessions import schema
from pregao.sessions.control import start
from pregao.sessions.journal import DamagedError, Journal
from pregao.sessions.records import Entry, Projection, Trade
from pregao.sessions.runtime import run
from pregao.sessions.writer import FencedError, UnwritableError, Writer

AT_WORK = Projection("running", None, 1, 9, 5, 10**12, -7, 3, 2, 1, 0)
TRADE = Trade(1, 10, 20, 1, 5, 500, 510, 2, 8, "take_profit", "path", False)


def new(journal: Journal) -> str:
    return journal.create(a_spec(), INSTRUMENT, None, bars_total=9)


def write(writer: Writer, n: int = 1, **more: Any) -> None:
    entries = [Entry(writer.seq + i, "bar", {"n": writer.seq + i, "ü": "é"}) for i in range(n)]
    writer.append(entries, AT_WORK, **more)


def edit(journal: Journal, statement: str, **values: Any) -> None:
    with journal.writing() as connection:
        connection.execute(text(statement), values)


def test_a_new_session_can_be_found_and_an_unknown_one_says_which_there_are(journal: Journal) -> None:
    assert journal.sessions() == []
    with pytest.raises(NotFoundError, match="pregao trade start"):
        journal.session("nobody")
    session_id = new(journal)
    assert session_id.startswith("test-usdt-")
    row = journal.session(session_id)
    assert (row.status, row.equity, row.pnl, row.bars_total, row.last_seq) == ("created", 10_000.0, 0.0, 9, 0)
    assert row.spec == a_spec()
    assert row.instrument == INSTRUMENT
    assert [r.id for r in journal.sessions()] == [session_id]
    with pytest.raises(NotFoundError, match=session_id):
        journal.session("nobody")


def test_rows_are_chained_in_order_and_the_projection_moves_with_them(journal: Journal) -> None:
    session_id = new(journal)
    writer = journal.take_ownership(session_id, "me")
    write(writer, 3, trades=[TRADE])
    write(writer, 2)
    rows = journal.rows(session_id)
    assert [r.seq for r in rows] == [1, 2, 3, 4, 5]
    assert rows[0].body == {"n": 0, "ü": "é"}
    assert [r.seq for r in journal.rows(session_id, after=2, limit=2)] == [3, 4]
    assert journal.tail_start(session_id, 2) == 3
    assert journal.tail_start(session_id, 20) == 0
    assert list(journal.verified(session_id)) == rows
    assert list(journal.verified(session_id, after=3)) == rows[3:]
    row = journal.session(session_id)
    assert (row.last_seq, row.chain, row.status, row.epoch, row.runner) == (5, rows[-1].chain, "running", 1, "me")
    assert row.pnl == pytest.approx(-7e-8)
    assert row.position == pytest.approx(2e-4)
    assert journal.trades(session_id) == [TRADE]


def test_equal_sessions_have_equal_chains(journal: Journal) -> None:
    one, two = new(journal), new(journal)
    for session_id in (one, two):
        write(journal.take_ownership(session_id), 4)
    assert [r.chain for r in journal.rows(one)] == [r.chain for r in journal.rows(two)]
    other = journal.create(a_spec(seed=8), INSTRUMENT)
    write(journal.take_ownership(other), 4)
    assert journal.session(other).chain != journal.session(one).chain


def test_an_old_epoch_can_write_nothing(journal: Journal) -> None:
    session_id = new(journal)
    old = journal.take_ownership(session_id, "old")
    write(old)
    young = journal.take_ownership(session_id, "young")
    before = journal.session(session_id)
    for forbidden in (lambda: write(old), old.heartbeat, lambda: old.refresh(AT_WORK)):
        with pytest.raises(FencedError, match="Another runner"):
            forbidden()
    old.fail("no")
    old.release("no")
    assert journal.session(session_id) == before
    write(young)
    assert [r.seq for r in journal.rows(session_id)] == [1, 2]
    assert [(r.epoch, r.runner, r.from_seq) for r in journal.runs(session_id)] == [(1, "old", 0), (2, "young", 1)]


def test_an_append_that_fails_in_its_middle_leaves_nothing(journal: Journal) -> None:
    session_id = new(journal)
    writer = journal.take_ownership(session_id)
    number = journal.command(session_id, "pause")
    write(writer, trades=[TRADE])
    before = journal.session(session_id)
    with pytest.raises(IntegrityError):
        write(writer, 2, trades=[TRADE], command=(number, "done"), snapshot=b"state")
    assert journal.session(session_id) == before
    assert len(journal.rows(session_id)) == 1
    assert journal.answer(number).outcome is None
    write(writer, 1)
    assert len(list(journal.verified(session_id))) == 2


@pytest.mark.parametrize(
    ("damage", "seq"),
    [
        ("UPDATE journal SET body = '{}' WHERE seq = 3", 3),
        ("UPDATE journal SET ts_ns = 77 WHERE seq = 1", 1),
        ("UPDATE journal SET kind = 'fill' WHERE seq = 5", 5),
        ("UPDATE journal SET chain = '00' WHERE seq = 2", 2),
        ("DELETE FROM journal WHERE seq = 4", 4),
        ("DELETE FROM journal WHERE seq = 5", 5),
        ("UPDATE sessions SET chain = '00'", 5),
        ("UPDATE sessions SET last_seq = 4", 5),
        ("UPDATE sessions SET last_seq = 7", 6),
    ],
)
def test_a_damaged_journal_is_named_at_its_first_bad_row(journal: Journal, damage: str, seq: int) -> None:
    session_id = new(journal)
    write(journal.take_ownership(session_id), 5)
    edit(journal, damage)
    with pytest.raises(DamagedError, match=session_id) as caught:
        list(journal.verified(session_id))
    assert caught.value.seq == seq


def test_the_last_three_snapshots_are_kept_and_a_damaged_one_is_passed_over(journal: Journal) -> None:
    session_id = new(journal)
    writer = journal.take_ownership(session_id)
    for i in range(5):
        state = f"state {i}".encode()
        entry = Entry(i, "snapshot", {"bars": i, "sha256": hashlib.sha256(state).hexdigest()})
        writer.append([entry], AT_WORK, snapshot=state)
    assert journal.snapshots(session_id) == [(5, b"state 4"), (4, b"state 3"), (3, b"state 2")]
    edit(journal, "UPDATE snapshots SET state = :state WHERE seq = 5", state=b"state 9")
    edit(journal, "UPDATE journal SET body = '{}' WHERE seq = 4")
    assert journal.snapshots(session_id) == [(3, b"state 2")]


def test_a_command_waits_once_and_is_answered_once(journal: Journal) -> None:
    session_id = new(journal)
    writer = journal.take_ownership(session_id)
    pause = journal.command(session_id, "pause")
    assert journal.command(session_id, "pause") == pause
    stop = journal.command(session_id, "stop")
    assert [(c.id, c.kind) for c in journal.inbox(session_id)] == [(pause, "pause"), (stop, "stop")]
    write(writer, command=(pause, "done"))
    assert [c.kind for c in journal.inbox(session_id)] == ["stop"]
    answered = journal.answer(pause)
    assert answered.outcome == "done"
    assert answered.done_ns is not None
    assert journal.command(session_id, "pause") != pause
    with pytest.raises(NotFoundError):
        journal.answer(10**6)


def test_a_session_nobody_attends_shows(journal: Journal) -> None:
    now = 10**18
    journal.clock = lambda: now
    session_id = new(journal)
    assert journal.unattended(30) == []
    now += 31 * 10**9
    assert [r.id for r in journal.unattended(30)] == [session_id]
    writer = journal.take_ownership(session_id)
    write(writer)
    now += 29 * 10**9
    assert journal.unattended(30) == []
    writer.heartbeat()
    now += 29 * 10**9
    assert journal.unattended(30) == []
    writer.release("let go")
    assert [r.id for r in journal.unattended(30)] == [session_id]
    gone = subprocess.Popen(["true"])
    gone.wait()
    writer = journal.take_ownership(session_id, f"{socket.gethostname()}:{gone.pid}")
    assert [r.id for r in journal.unattended(30)] == [session_id]  # a runner known to be gone need not be waited for
    journal.take_ownership(session_id, f"elsewhere:{gone.pid}")
    assert journal.unattended(30) == []
    now += 31 * 10**9
    journal.take_ownership(session_id).fail("broken")
    assert journal.unattended(30) == []


def test_many_can_open_a_new_database_at_once(database: str) -> None:
    opened: list[Journal] = []
    gate = threading.Barrier(12)

    def at_once() -> None:
        gate.wait()
        opened.append(Journal(database))

    threads = [threading.Thread(target=at_once) for _ in range(gate.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == gate.parties
    session_id = new(opened[0])
    assert opened[-1].session(session_id).id == session_id
    for journal in opened:
        journal.close()


def test_a_database_from_a_newer_version_is_refused(journal: Journal, database: str) -> None:
    edit(journal, "UPDATE alembic_version SET version_num = :v", v=f"{int(schema.HEAD) + 1:04d}")
    with pytest.raises(PregaoError, match="newer") as caught:
        Journal(database)
    assert "Update" in caught.value.mend


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_will_not_do_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Journal(url)


def test_a_database_that_cannot_be_reached_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "not-a-database.db").write_bytes(b"x" * 8192)
    for url in (f"sqlite:///{tmp_path}/file/sessions.db", f"sqlite:///{tmp_path}/not-a-database.db",
                "postgresql://nobody:secret@127.0.0.1:9/none?connect_timeout=2"):  # fmt: skip
        with pytest.raises(PregaoError) as caught:
            Journal(url)
        assert caught.value.mend
        assert "secret" not in str(caught.value)


def test_sqlite_is_durable_and_lets_readers_read(home: Path) -> None:
    journal = Journal()
    with journal.reading() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]
    session_id = new(journal)
    writer = journal.take_ownership(session_id)
    with journal.reading() as connection:
        count = text("SELECT count(*) FROM journal")
        assert connection.execute(count).scalar() == 0
        write(writer)  # a reader in the middle of its transaction holds nobody up
        assert connection.execute(count).scalar() == 0
    assert len(journal.rows(session_id)) == 1
    journal.close()


def test_a_full_disk_stops_the_session_and_it_goes_on_later(market: Bars) -> None:
    journal = Journal()
    calm, starved = start(a_spec(), journal), start(a_spec(), journal)
    run(calm, journal)
    with journal.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    limit = f"PRAGMA max_page_count={int(pages or 0) + 40}"
    event.listen(journal.engine, "connect", lambda c, _: c.execute(limit).close())
    journal.engine.dispose()
    with pytest.raises(UnwritableError, match="full") as caught:
        run(starved, journal)
    assert "resume" in caught.value.mend
    again = Journal(journal.url)
    assert again.session(starved).status == "running"
    assert 0 < again.session(starved).last_seq < again.session(calm).last_seq
    assert run(starved, again) == "finished"
    assert again.session(starved).chain == again.session(calm).chain
    again.close()
