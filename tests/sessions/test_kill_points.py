"""Runners killed by SIGKILL at every point of their loop, hundreds of times where PREGAO_KILLS says so.

Whatever was hit, what is left in the end equals what a run leaves that nobody disturbed: every row with its hash, the
snapshots byte for byte, the trades, the figures. Damaged write-ahead logs may cost committed events, which are lived
through again, or a cut, which is journaled; they never lead to another outcome.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from killable import COMMIT, POINTS, Point, runner
from probe_market import a_spec, like, of_grid
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError
from pregao.market.store import Store
from pregao.sessions.audit import audit
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
from pregao.settings import settings

KILLS = int(os.environ.get("PREGAO_KILLS", "0"))
"""How many kills by chance; 0 is the short round."""
pytestmark = pytest.mark.timeout(0 if KILLS else 300)
SETTINGS: dict[str, Any] = {
    "config": {"every": 4, "leave": 17}, "take_profit": 1, "stop_loss": 1, "feed": {"speed": 0},
    "risk": {"profile": "aggressive", "daily_loss": "0.5", "max_drawdown": 5, "cool_down": 3}, "trailing": True,
    "isolated": KILLS > 0,
}  # fmt: skip
"""Every limit binds somewhere in these bars; in the long round the strategy is in its own process too."""
OFTEN = {
    "taking the session over": 1, "letting go": 1, "in a snapshot": 4, "letting old snapshots go": 1,
    "in the answer to a command": 2, "in the trades": 10, "while it recovers": 60,
}  # fmt: skip
"""How often a run comes to a point at most; to those not named here at every bar."""
FURTHER = (of_grid("FINE", "0.01", "0.00000001"), of_grid("COARSE", "0.5", "0.01"))
CUTS = ("in the quarantine", "in a cut")
FIGURES = ("chain", "last_seq", "status", "error", "bars", "bars_total", "bar_ns", "equity_quanta", "pnl_quanta",
           "fees_quanta", "position_lots", "trades_count", "win_count", "proposal", "details")  # fmt: skip


def begin_one(journal: Journal, several: bool = False) -> str:
    """A session with two commands that wait for its first moment; on one instrument or on three."""
    session_id = start(a_spec(**SETTINGS | ({"also": [each.key for each in FURTHER]} if several else {})), journal)
    journal.command(session_id, "pause")
    journal.command(session_id, "resume")
    return session_id


def left_by(journal: Journal, session_id: str) -> dict[str, Any]:
    """Everything that a session has left."""
    row = journal.session(session_id)
    return {
        "rows": [(r.seq, r.ts_ns, r.kind, r.text, r.chain) for r in journal.rows(session_id, limit=10**6)],
        "snapshots": journal.snapshots(session_id),
        "trades": journal.trades(session_id),
        "figures": {name: getattr(row, name) for name in FIGURES},
        "waiting": journal.inbox(session_id),
    }


def lived(journal: Journal, session_id: str) -> list[tuple[int, str, str]]:
    """What happened in a session's market, however often its journal was cut."""
    market = ("bar", "fill", "order", "intent", "memory", "finished")
    return [(r.ts_ns, r.kind, r.text) for r in journal.rows(session_id, limit=10**6) if r.kind in market]


_calm: dict[bool, dict[str, Any]] = {}


def undisturbed(journal: Journal, several: bool) -> dict[str, Any]:
    """What a run that nobody disturbs leaves, in any database, to the byte."""
    if several not in _calm:
        session_id = begin_one(journal, several)
        assert run(session_id, journal) == "finished"
        _calm[several] = left_by(journal, session_id)
    return _calm[several]


@pytest.fixture
def calm(journal: Journal, market: Bars) -> dict[str, Any]:
    for number, instrument in enumerate(FURTHER):
        Store().write(like(instrument, 2 + number, slice(30 * number, 30 * number + 12)))
    return undisturbed(journal, several=False)


def die_at(point: Point, journal: Journal, session_id: str, home: Path) -> bool:
    """Let a runner kill itself at a point; whether it came there before the session's end."""
    process = runner(str(home), journal.url, session_id, point)
    process.join(120)
    assert process.exitcode in (-9, 0), process.exitcode
    return process.exitcode == -9


_SQLITE = [("sqlite", name) for name in POINTS]
_POSTGRESQL = [
    pytest.param("postgresql", name, marks=pytest.mark.servers)
    for name in ("taking the session over", "in the journal's rows", COMMIT, "after a commit", "while it recovers")
]


@pytest.mark.parametrize(("database", "name"), [*_SQLITE, *_POSTGRESQL], indirect=["database"])
def test_killed_at_a_point_and_gone_on_with_nothing_differs(
    name: str, journal: Journal, calm: dict[str, Any], home: Path
) -> None:
    session_id = begin_one(journal)
    chance = random.Random(name)
    if name == "while it recovers":
        run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 90)
    assert die_at(Point(name, chance.randint(1, OFTEN.get(name, 90))), journal, session_id, home)
    assert journal.session(session_id).status != "finished" or name == "letting go"
    die_at(Point(name, 2), journal, session_id, home)  # and soon again
    run(session_id, journal)
    assert left_by(journal, session_id) == calm


@pytest.mark.parametrize("name", ["in the journal's rows", "in a snapshot", "while it recovers", COMMIT])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_session_of_several_killed_at_a_point_goes_on_likewise(
    name: str, journal: Journal, calm: Any, home: Path
) -> None:
    session_id = begin_one(journal, several=True)
    chance = random.Random(name)
    if name == "while it recovers":
        run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 90)
    for nth in (chance.randint(1, OFTEN.get(name, 90)), 2):
        die_at(Point(name, nth), journal, session_id, home)
    run(session_id, journal)
    assert left_by(journal, session_id) == undisturbed(journal, several=True)


@pytest.mark.parametrize(("database", "name"), [("sqlite", name) for name in CUTS], indirect=["database"])
def test_killed_while_a_damaged_journal_is_cut_it_is_cut_once(
    name: str, journal: Journal, calm: Any, home: Path
) -> None:
    session_id = begin_one(journal)
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 130)
    last = journal.session(session_id).last_seq
    with journal.writing() as connection:
        connection.execute(text("UPDATE journal SET body = '{}' WHERE session_id = :i AND seq = :s"),
                           {"i": session_id, "s": last - 4})  # fmt: skip
    damaged = journal.rows(session_id, limit=10**6)
    for _ in range(2):
        assert die_at(Point(name, 1), journal, session_id, home)
        assert journal.rows(session_id, limit=10**6) == damaged
        assert journal.quarantined(session_id) == []
    assert run(session_id, journal) == "finished"
    assert len([r for r in journal.rows(session_id, limit=10**6) if r.kind == "cut"]) == 1
    assert lived(journal, session_id) == [(t, k, b) for _, t, k, b, _ in calm["rows"] if k in _MARKET]
    assert audit(journal, session_id).identical


_MARKET = ("bar", "fill", "order", "intent", "memory", "finished")


def test_killed_again_and_again_by_chance(
    journal: Journal, calm: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the kills hit a named point, half any moment, recovery included; sessions follow one another, each
    second one of several instruments."""
    aim = KILLS // 2 if KILLS else 5  # each kind of database gets its half
    chance = random.Random(time.time_ns() if KILLS else 4)
    hits: Counter[str] = Counter()
    finished = 0
    session_id = begin_one(journal)
    while hits.total() < aim:
        if chance.random() < 0.5:
            name = chance.choice(POINTS)
            hit = die_at(Point(name, chance.randint(1, OFTEN.get(name, 60))), journal, session_id, home)
        else:
            name, hit = "any moment", _killed_from_outside(journal, session_id, home, chance)
        hits[name] += hit
        if journal.session(session_id).status == "finished":
            assert left_by(journal, session_id) == undisturbed(journal, finished % 2 == 1)
            finished += 1
            session_id = begin_one(journal, finished % 2 == 1)
    run(session_id, journal)
    assert left_by(journal, session_id) == undisturbed(journal, finished % 2 == 1)
    kind = journal.url.partition(":")[0]
    with capsys.disabled():
        print(f"\n{kind}: {hits.total()} kills over {finished + 1} sessions, nothing differs: {_told(hits)}")


def _killed_from_outside(journal: Journal, session_id: str, home: Path, chance: random.Random) -> bool:
    epoch, seq = journal.session(session_id).epoch, journal.session(session_id).last_seq
    process = runner(str(home), journal.url, session_id)
    until = time.monotonic() + 60
    wanted = chance.choice([0, chance.randint(1, 150)])
    while process.is_alive() and time.monotonic() < until:
        row = journal.session(session_id)
        if row.epoch > epoch and row.last_seq >= seq + wanted:
            break
        time.sleep(0.001)
    time.sleep(chance.random() * (0.2 if wanted == 0 else 0.01))
    process.kill()
    process.join()
    return process.exitcode == -9


def _told(hits: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(hits.items()))


# -- what the disk does


def _damage(file: Path, chance: random.Random) -> str:
    """Tear the write-ahead log off somewhere, flip one of its bits, or fill a piece with zeros."""
    raw = bytearray(file.read_bytes())
    if len(raw) < 64:
        return "nothing to damage"
    # Most of it is written over by now; what was written last counts.
    at = chance.randrange(32, len(raw))
    how = chance.choice(["torn", "flipped", "zeroed"])
    if how == "torn":
        del raw[at:]
    elif how == "flipped":
        raw[at] ^= 1 << chance.randrange(8)
    else:
        raw[at : at + 512] = bytes(len(raw[at : at + 512]))
    file.write_bytes(raw)
    return how


def _gone_on(journal: Journal, session_id: str) -> str:
    """Go on with a session to its end; what was said if that cannot be done."""
    try:
        run(session_id, journal)
    except PregaoError as error:
        return str(error)
    return ""


def test_torn_and_flipped_write_ahead_logs_lead_to_no_other_outcome(
    home: Path, market: Bars, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of SQLite is damaged after a kill, while nobody has the file open."""
    url = settings().sessions_url
    aim = KILLS // 6 if KILLS else 3
    chance = random.Random(time.time_ns() if KILLS else 11)
    outcomes: Counter[str] = Counter()
    for i in range(aim):
        settings().var.mkdir(exist_ok=True)
        for old in settings().var.glob("sessions.db*"):
            old.unlink()
        journal = Journal(url)
        undisturbed, session_id = begin_one(journal), begin_one(journal)
        run(undisturbed, journal)
        expected = lived(journal, undisturbed)
        journal.close()  # the last connection: the log is empty now
        process = runner(str(home), url, session_id, Point("in the journal's rows", chance.randint(2, 200)))
        process.join(120)
        assert process.exitcode == -9
        how = _damage(settings().var / "sessions.db-wal", chance)
        journal = Journal(url)
        said = _gone_on(journal, session_id)
        if said:
            assert "is damaged" in said  # it is named, and nothing is gone on with
            outcomes[f"{how}: named"] += 1
            journal.close()
            continue
        assert lived(journal, session_id) == expected, (i, how)
        assert audit(journal, session_id).identical
        cut = any(r.kind == "cut" for r in journal.rows(session_id, limit=10**6))
        outcomes[f"{how}: {'cut and gone on' if cut else 'gone on'}"] += 1
        journal.close()
    with capsys.disabled():
        print(f"\nwrite-ahead logs: {aim} damaged, {_told(outcomes)}")
    assert sum(n for name, n in outcomes.items() if "gone on" in name) > aim // 2


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made of a small file system, which only root can mount")
def test_a_disk_that_is_really_full_stops_the_session_and_it_goes_on_when_there_is_room(
    home: Path, market: Bars, tmp_path: Path
) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        journal = Journal(f"sqlite:///{small}/sessions.db")
        session_id = begin_one(journal)
        (small / "ballast").write_bytes(bytes(os.statvfs(small).f_bavail * os.statvfs(small).f_frsize - 400_000))
        with pytest.raises(PregaoError, match="full") as caught:
            run(session_id, journal)
        assert "Free disk space" in caught.value.mend
        stopped = journal.session(session_id)
        assert stopped.status in ("created", "running")
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        calm = begin_one(journal)
        assert run(calm, journal) == run(session_id, journal) == "finished"
        assert left_by(journal, session_id) == left_by(journal, calm)
        journal.close()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


# -- what clocks and servers do


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_wall_clock_that_jumps_changes_nothing(database: str, market: Bars) -> None:
    chance = random.Random(3)

    def wild() -> int:
        return time.time_ns() + chance.randint(-(10**16), 10**16)  # some months to either side

    sane, mad = Journal(database), Journal(database, clock=wild)
    calm, jumpy = begin_one(sane), begin_one(mad)
    run(calm, sane)
    while run(jumpy, mad, stop=lambda: chance.random() < 0.02) != "finished":
        pass
    assert left_by(mad, jumpy) == left_by(sane, calm)
    assert len(mad.runs(jumpy)) > 1
    sane.close()
    mad.close()


@pytest.mark.servers
@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it, unanswered"])
def test_postgresql_ends_the_backend_at_a_commit(postgres: Any, market: Bars, home: Path, after: bool) -> None:
    """Before the commit nothing was done, after it everything was, and the client cannot tell which from its error."""
    journal = Journal(postgres.create(f"at{time.time_ns()}"))
    calm, cut = begin_one(journal), begin_one(journal)
    run(calm, journal)
    chance = random.Random(7)
    dialect, done = journal.engine.dialect, threading.local()
    commit = dialect.do_commit
    cuts = 0

    def do_commit(connection: Any) -> None:
        nonlocal cuts
        if chance.random() > 0.08 or getattr(done, "busy", False):
            commit(connection)
            return
        cuts += 1
        if after:
            commit(connection)
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.driver_connection.info.backend_pid])
        if after:
            raise psycopg.OperationalError("terminating connection due to administrator command")
        commit(connection)

    dialect.do_commit = do_commit  # type: ignore[method-assign]
    assert run(cut, journal) == "finished"
    assert cuts > 8
    assert left_by(journal, cut) == left_by(journal, calm)
    journal.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_database_that_is_away_for_long_lets_the_session_go_unharmed(database: str, market: Bars) -> None:
    """Away from a commit on, for longer than a writer tries: the session is not failed, and goes on later."""
    journal = Journal(database)
    calm, starved = begin_one(journal), begin_one(journal)
    run(calm, journal)
    dialect, commits = journal.engine.dialect, 0
    commit = dialect.do_commit

    def do_commit(connection: Any) -> None:
        nonlocal commits
        commits += 1
        if commits > 40:
            connection.rollback()
            raise OperationalError("commit", {}, Exception("gone"), connection_invalidated=False)
        commit(connection)

    from pregao.sessions import writer

    waits, writer._RETRY_S = writer._RETRY_S, (0.01,) * 3
    dialect.do_commit = do_commit  # type: ignore[method-assign]
    try:
        with pytest.raises(PregaoError, match="cannot be journaled"):
            run(starved, journal)
    finally:
        dialect.do_commit = commit  # type: ignore[method-assign]
        writer._RETRY_S = waits
    assert journal.session(starved).status == "running"
    assert run(starved, journal) == "finished"
    assert left_by(journal, starved) == left_by(journal, calm)
    journal.close()
