"""A damaged journal: found, named, cut at the last good event, the rest kept aside, and the session goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from probe_market import INSTRUMENT
from sqlalchemy import text
from terminal import typed

from pregao.core.errors import PregaoError
from pregao.sessions.audit import audit
from pregao.sessions.journal import DamagedError, Journal
from pregao.sessions.records import JournalRow
from pregao.sessions.runtime import run
from pregao.sessions.views import session_view, view

MARKET = ("bar", "fill", "order", "intent", "memory")


def edit(journal: Journal, statement: str, **values: Any) -> None:
    with journal.writing() as connection:
        assert connection.execute(text(statement), values).rowcount != 0


def lived(journal: Journal, session_id: str) -> list[tuple[int, str, str]]:
    """What a session has lived through, however often its journal was cut."""
    rows = journal.rows(session_id, limit=10**6)
    return [(r.ts_ns, r.kind, r.text) for r in rows if r.kind in MARKET]


@pytest.fixture
def pregao(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; returns its exit status and all that it said."""

    def pregao(*words: str) -> tuple[int, str]:
        status, out, err = typed(capsys, *words)
        return status, out + err

    return pregao


@pytest.fixture
def halfway(begin: Any, journal: Journal) -> tuple[str, list[JournalRow]]:
    """A session let go of after 130 bars, and its rows."""
    session_id = begin()
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 130)
    return session_id, journal.rows(session_id, limit=10**6)


@pytest.mark.parametrize(
    ("damage", "at", "why"),
    [
        ("UPDATE journal SET body = replace(body, '1', '2') WHERE seq = :seq", -4, "was changed after it was written"),
        ("UPDATE journal SET body = '{}' WHERE seq = :seq", -1, "was changed after it was written"),
        ("UPDATE journal SET kind = 'fill' WHERE seq = :seq", -9, "was changed after it was written"),
        ("UPDATE journal SET ts_ns = ts_ns + 1 WHERE seq = :seq", -2, "was changed after it was written"),
        ("UPDATE journal SET chain = 'ff' WHERE seq = :seq", -6, "its hash is wrong"),
        ("DELETE FROM journal WHERE seq = :seq", -5, "it is missing"),
        ("DELETE FROM journal WHERE seq >= :seq", -5, "it is missing"),
        ("UPDATE sessions SET last_seq = last_seq - 1, chain = 'ff' WHERE :seq > 0", -1, "not the session's last"),
        ("UPDATE sessions SET chain = 'ff' WHERE :seq > 0", -1, "not the session's last"),
    ],
)
def test_it_is_cut_at_the_last_good_event_and_the_session_lives_on(
    begin: Any, journal: Journal, halfway: tuple[str, list[JournalRow]], damage: str, at: int, why: str
) -> None:
    session_id, before = halfway
    bad = before[at].seq
    edit(journal, damage, seq=bad)
    damaged = journal.rows(session_id, limit=10**6)
    assert run(session_id, journal) == "finished"
    rows = journal.rows(session_id, limit=10**6)
    cut = next(r for r in rows if r.kind == "cut")
    assert cut.body["row"] == bad
    assert why in cut.body["why"]
    assert rows[: cut.seq - 1] == before[: cut.seq - 1]
    assert bad - 12 < cut.seq <= bad  # no more than the event before the damage went with it
    aside = journal.quarantined(session_id)
    assert aside == [r for r in damaged if r.seq >= cut.seq]  # nothing is deleted
    assert (cut.body["rows"], cut.body["from"]) == (len(aside), cut.seq)
    calm = begin()
    run(calm, journal)
    assert lived(journal, session_id) == lived(journal, calm)
    assert journal.trades(session_id) == journal.trades(calm)
    assert [r.seq for r in journal.verified(session_id)] == list(range(1, len(rows) + 1))
    ours, theirs = journal.session(session_id), journal.session(calm)
    assert (ours.equity_quanta, ours.fees_quanta, ours.win_count) == (
        theirs.equity_quanta, theirs.fees_quanta, theirs.win_count,
    )  # fmt: skip
    assert audit(journal, session_id).identical


def test_a_cut_is_shown_everywhere(pregao: Any, journal: Journal, halfway: tuple[str, list[JournalRow]]) -> None:
    session_id, before = halfway
    bad = before[-3]
    edit(journal, "UPDATE journal SET body = '{}' WHERE seq = :seq", seq=bad.seq)
    run(session_id, journal)
    shown = pregao("trade", "show", session_id)
    assert f"Note: The journal was damaged at row {bad.seq} (this {bad.kind} was changed after it was" in shown[1]
    watched = pregao("trade", "watch", session_id, "--no-follow", "--tail", "100000")
    assert f"the journal was damaged at row {bad.seq}" in watched[1]
    row = journal.session(session_id)
    assert "was cut there" in session_view(row)["notices"]["journal"]
    cut = next(view(r, INSTRUMENT) for r in journal.rows(session_id, limit=10**6) if r.kind == "cut")
    assert (cut["row"], cut["k"]) == (bad.seq, "cut")


def test_it_can_be_damaged_and_cut_more_than_once(journal: Journal, halfway: tuple[str, list[JournalRow]]) -> None:
    session_id, before = halfway
    for seq in (before[-3].seq, before[-3].seq, before[-60].seq):
        edit(journal, "UPDATE journal SET body = '{}' WHERE seq = :seq", seq=seq)
        bars = journal.session(session_id).bars
        run(session_id, journal, stop=lambda: journal.session(session_id).bars >= bars)  # noqa: B023
    assert len(journal.quarantined(session_id)) > 60
    assert run(session_id, journal) == "finished"
    assert audit(journal, session_id).identical


def test_without_a_whole_event_before_the_damage_the_session_fails_and_says_so(
    journal: Journal, halfway: tuple[str, list[JournalRow]]
) -> None:
    session_id, _ = halfway
    edit(journal, "DELETE FROM snapshots")
    edit(journal, "UPDATE journal SET body = replace(body, 'probe', 'probo') WHERE seq = 1")
    with pytest.raises(PregaoError, match="damaged at row 1"):
        run(session_id, journal)
    assert journal.session(session_id).status == "failed"
    assert journal.quarantined(session_id) == []


def test_damage_before_the_last_snapshot_is_found_by_an_audit(
    pregao: Any, journal: Journal, halfway: tuple[str, list[JournalRow]]
) -> None:
    session_id, before = halfway
    fill = next(r for r in before if r.kind == "fill")
    edit(journal, "UPDATE journal SET body = replace(body, :a, :b) WHERE seq = :seq", seq=fill.seq,
         a=f'"price":{fill.body["price"]}', b=f'"price":{fill.body["price"] + 1}')  # fmt: skip
    assert run(session_id, journal) == "finished"  # a start looks at what came after the snapshot only
    found = audit(journal, session_id)
    assert isinstance(found.problem, DamagedError)
    assert (found.problem.seq, found.problem.why) == (fill.seq, "this fill was changed after it was written")
    shown = pregao("audit", session_id)
    assert shown[0] == 1
    assert f"row {fill.seq}: this fill was changed after it was written" in shown[1]


def test_an_audit_of_an_edit_with_its_chain_made_anew_names_the_first_row_that_does_not_come_out(
    journal: Journal, halfway: tuple[str, list[JournalRow]]
) -> None:
    """Who edits a fill and hashes everything after it again is found by the replay, which makes another fill."""
    from pregao.sessions.records import link

    session_id, before = halfway
    fill = next(r for r in before if r.kind == "fill")
    chain = before[fill.seq - 2].chain
    for row in before[fill.seq - 1 :]:
        body = row.text
        if row.seq == fill.seq:
            body = body.replace(f'"fee":{fill.body["fee"]}', f'"fee":{fill.body["fee"] - 1}')
        chain = link(chain, row.seq, row.ts_ns, row.kind, body)
        edit(journal, "UPDATE journal SET body = :b, chain = :c WHERE seq = :s", b=body, c=chain, s=row.seq)
    edit(journal, "UPDATE sessions SET chain = :c", c=chain)
    found = audit(journal, session_id)
    assert not found.identical
    assert found.problem is not None
    assert getattr(found.problem, "seq", 0) == fill.seq


def test_an_audit_of_a_sound_session_says_identical(
    pregao: Any, journal: Journal, halfway: tuple[str, list[JournalRow]]
) -> None:
    session_id, _ = halfway
    run(session_id, journal)
    rows = len(journal.rows(session_id, limit=10**6))
    shown = pregao("audit", session_id)
    assert shown[0] == 0
    assert f"identical: {rows} rows" in shown[1]
    assert pregao("audit", "nobody")[0] != 0


def test_a_file_that_is_no_database_any_more_is_named(pregao: Any, home: Path, begin: Any, journal: Journal) -> None:
    if not journal.url.startswith("sqlite"):
        pytest.skip("a file is SQLite's")
    session_id = begin()
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 30)
    journal.close()
    file = home / "var" / "sessions.db"
    raw = bytearray(file.read_bytes())
    for at in range(4096, len(raw), 4096):
        raw[at : at + 64] = b"\xff" * 64
    file.write_bytes(raw)
    shown = pregao("trade", "show", session_id)
    assert shown[0] == 1
    assert "malformed" in shown[1]
    assert "Traceback" not in shown[1]
