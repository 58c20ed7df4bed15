"""The databases of every release: opened, they are migrated, and their sessions replay and go on."""

from __future__ import annotations

import re
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from probe_market import FINE, INSTRUMENT, START_NS, a_spec, like
from sqlalchemy import Engine, inspect, text

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError
from pregao.market.store import Store
from pregao.sessions import schema
from pregao.sessions.assembly import assembled
from pregao.sessions.audit import audit
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Machine
from pregao.sessions.recovery import recover, replay
from pregao.sessions.runtime import run
from pregao.settings import settings

RELEASES = sorted((Path(__file__).parent / "releases").glob("schema-*.sql"))
SEVERAL = sorted((Path(__file__).parent / "releases").glob("several-*.sql"))
"""Sessions of several instruments."""


def load(release: Path, url: str) -> None:
    """Fill an empty database with what a release left behind."""
    dump = release.read_text()
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        file.parent.mkdir(parents=True)
        with sqlite3.connect(file) as connection:
            connection.executescript(dump)
        return
    import psycopg

    dump = dump.replace("WITHOUT ROWID", "").replace(" BLOB ", " BYTEA ").replace("BEGIN TRANSACTION;", "")
    dump = re.sub(r"X'([0-9A-F]+)'", r"decode('\1', 'hex')", dump).replace("COMMIT;", "")
    dump = re.sub(r"(INSERT INTO \"trades\" VALUES\(.*),([01])\);", r"\1,\2::boolean);", dump)
    dump = dump.replace("id INTEGER NOT NULL,", "id BIGSERIAL NOT NULL,")
    ordered = sorted(re.split(r";\n", dump), key=_order)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ordered:
            if statement.strip():
                connection.execute(statement)  # type: ignore[call-overload]
        connection.execute("SELECT setval('commands_id_seq', (SELECT max(id) FROM commands))")


def _order(statement: str) -> tuple[int, bool]:
    """Tables before rows, and those that others refer to first."""
    made = "CREATE TABLE" in statement
    return (
        0 if made else 1 if "INSERT" in statement else 2,
        '"sessions"' not in statement and "sessions (" not in statement.split("FOREIGN")[0],
    )


@pytest.fixture(params=RELEASES, ids=[path.stem for path in RELEASES])
def old(request: pytest.FixtureRequest, database: str, market: Bars) -> str:
    load(request.param, database)
    return database


def shape(engine: Engine) -> dict[str, Any]:
    """The columns of every table, and its keys and indexes."""
    tables = inspect(engine)
    return {
        name: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in tables.get_columns(name)),
            tables.get_pk_constraint(name)["constrained_columns"],
            sorted(str(index["name"]) for index in tables.get_indexes(name)),
        )
        for name in tables.get_table_names()
    }


def test_every_revision_has_its_migration() -> None:
    folder = Path(schema.__file__).parent / "migrations" / "versions"
    assert tuple(sorted(path.name[1:5] for path in folder.glob("r*.py"))) == schema.REVISIONS
    assert len(RELEASES) >= 1
    assert len(SEVERAL) >= 1


def test_a_migrated_database_is_like_a_new_one(old: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    migrated = Journal(old)
    if old.startswith("sqlite"):
        fresh = Journal(f"sqlite:///{tmp_path}/fresh.db")
    else:
        fresh = Journal(request.getfixturevalue("postgres").create(f"fresh_{id(old)}"))
    assert shape(migrated.engine) == shape(fresh.engine)
    for journal in (migrated, fresh):
        with journal.reading() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == schema.HEAD
            assert connection.scalar(text("SELECT max(version) FROM schema_version")) == 2  # 0.1.0 refuses it
        journal.close()


def test_every_session_of_an_old_release_replays_and_goes_on(old: str) -> None:
    journal = Journal(old)
    rows = journal.sessions()
    assert {row.status for row in rows} == {"finished", "running", "paused"}
    for row in rows:
        parts = assembled(row)

        def make(parts: Any = parts) -> Machine:
            return parts.machine()

        whole = make()
        replay(whole, journal.verified(row.id))  # from its beginning, row for row
        recovered = recover(journal, row.id, make)  # its snapshots are of another version
        assert recovered.to_bytes() == whole.to_bytes()
        before = journal.rows(row.id, limit=10**6)
        assert run(row.id, journal) == "finished"
        after = journal.rows(row.id, limit=10**6)
        assert after[: len(before)] == before
        replay(make(), journal.verified(row.id))
    journal.close()


@pytest.mark.parametrize("release", SEVERAL, ids=[path.stem for path in SEVERAL])
def test_every_session_of_several_instruments_replays_and_goes_on(release: Path, database: str, market: Bars) -> None:
    load(release, database)
    Store().write(like(FINE, 2, slice(5, 8)))
    journal = Journal(database)
    rows = journal.sessions()
    assert [(row.spec.feed.kind, row.status) for row in sorted(rows, key=lambda row: row.created_ns)] == [
        ("replay", "running"), ("replay", "running"), ("live", "stopped"),
    ]  # fmt: skip
    told = {row.body["state"] for each in rows for row in journal.rows(each.id, limit=10**6) if row.kind == "feed"}
    assert told == {"stale", "recovered", "passed", "ended"}
    filled: set[int] = set()
    for row in rows:
        assert [each.key for each in row.instruments] == [row.spec.instrument, *row.spec.also]
        assert {INSTRUMENT.symbol, FINE.symbol} == set(row.names)
        assert {trade.book for trade in journal.trades(row.id)} <= {0, 1}
        assert audit(journal, row.id).identical
        if row.active:
            before = journal.rows(row.id, limit=10**6)
            assert run(row.id, journal) == "finished"
            assert journal.rows(row.id, limit=10**6)[: len(before)] == before
            assert audit(journal, row.id).identical
            after = journal.rows(row.id, before[-1].seq, 10**6)
            filled |= {each.body.get("b", 0) for each in after if each.kind == "fill"}
    assert filled == {0, 1}  # what was held of each has met its exits
    journal.close()


def test_it_trades_on_as_if_there_had_been_no_migration(old: str) -> None:
    """What an old session decides and fills from the middle on equals what a new one does, but for its snapshots."""
    journal = Journal(old)
    held = next(row for row in journal.sessions() if row.bars > 100)
    for command in journal.inbox(held.id):
        with journal.writing() as connection:
            connection.execute(text("DELETE FROM commands WHERE id = :id"), {"id": command.id})
    anew = start(held.spec, journal)
    assert run(held.id, journal) == run(anew, journal) == "finished"
    ours, theirs = (
        [(r.ts_ns, r.kind, r.text) for r in journal.rows(s, limit=10**6) if r.kind not in ("snapshot", "started")]
        for s in (held.id, anew)
    )
    assert ours == theirs
    assert len([r for r in ours if r[1] == "fill"]) > 2
    journal.close()


def test_the_old_file_is_kept_beside_the_new_one(home: Path, market: Bars) -> None:
    release = RELEASES[0]
    url = settings().sessions_url
    load(release, url)
    Journal(url).close()
    kept = [p for p in settings().var.iterdir() if p.name.startswith("sessions.db.schema-0001.")]
    assert [p.suffix for p in kept] == [".backup"]  # not even a part of a copy is left
    with sqlite3.connect(kept[0]) as connection:
        told = connection.execute("SELECT version FROM schema_version").fetchall()
        count = connection.execute("SELECT count(*) FROM journal").fetchone()[0]
    assert told == [(1,)]
    assert count == release.read_text().count('INSERT INTO "journal"')
    Journal(url).close()  # it is migrated once
    assert len(list(settings().var.glob("*.backup"))) == 1


def test_without_room_for_the_copy_nothing_is_migrated(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = settings().sessions_url
    load(RELEASES[0], url)
    monkeypatch.setattr("os.fsync", _no_space)
    with pytest.raises(PregaoError, match="cannot be copied") as caught:
        Journal(url)
    assert "Free disk space" in caught.value.mend
    with sqlite3.connect(settings().var / "sessions.db") as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
        assert not connection.execute("SELECT * FROM sqlite_master WHERE name = 'quarantine'").fetchall()
    assert [p.name for p in settings().var.iterdir() if "backup" in p.name] == []


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_many_processes_that_meet_an_old_database_migrate_it_once(old: str) -> None:
    failed: list[BaseException] = []

    def opened() -> None:
        try:
            journal = Journal(old)
            assert len(journal.sessions()) == 4
            journal.close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=opened) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    if old.startswith("sqlite"):
        assert len([p for p in settings().var.iterdir() if ".schema-" in p.name]) == 1


def test_a_spec_of_another_time_does_not_break_the_chain(database: str, market: Bars) -> None:
    """The chain begins with the stored text of the spec, not with what this release makes of it."""
    journal = Journal(database)
    session_id = start(a_spec(feed={"speed": 0, "end": START_NS + 600 * 10**9}), journal)
    run(session_id, journal)
    assert list(journal.verified(session_id))
    with journal.writing() as connection:
        change = text("UPDATE sessions SET spec = replace(spec, :a, :b)")
        connection.execute(change, {"a": '"seed":7', "b": '"seed":8'})
    with pytest.raises(PregaoError, match="row 1"):
        list(journal.verified(session_id))
    journal.close()
