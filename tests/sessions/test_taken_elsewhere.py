"""A session as tables, as a tear sheet, in a backup: each held against the session itself."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres import Postgres
from probe_market import a_spec
from sqlalchemy import text

from pregao.cli import main
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.reporting.gather import sheet_of
from pregao.sessions.as_backtest import result_of
from pregao.sessions.audit import audit
from pregao.sessions.backup import back_up, restore
from pregao.sessions.control import start
from pregao.sessions.export import SCHEMAS, export
from pregao.sessions.journal import DamagedError, Journal
from pregao.sessions.lineage import lineage
from pregao.sessions.runtime import run
from pregao.sessions.views import session_view
from pregao.settings import settings
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured


@pytest.fixture
def lived(begin: Any, journal: Journal) -> str:
    """A session of 300 bars that has ended."""
    session_id = begin(config={"every": 5})
    run(session_id, journal)
    return session_id


def read(folder: Path, name: str, form: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet") if form == "parquet" else pd.read_csv(folder / f"{name}.csv")


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_tables_are_the_session(lived: str, journal: Journal, tmp_path: Path, form: Any) -> None:
    counts = export(journal, lived, tmp_path / "out", form)
    tables = {name: read(tmp_path / "out", name, form) for name in SCHEMAS}
    assert {name: len(table) for name, table in tables.items()} == counts
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(f"{name}.{form}" for name in SCHEMAS)
    session = journal.session(lived)
    assert counts["journal"] == session.last_seq
    assert counts["bars"] == 300
    assert counts["trades"] == session.trades_count > 3
    assert tables["journal"]["chain"].iloc[-1] == session.chain
    bars, fills, trades = tables["bars"], tables["fills"], tables["trades"]
    assert bars["equity"].iloc[-1] == pytest.approx(session.equity, abs=1e-9)
    assert list(bars.columns) == SCHEMAS["bars"].names
    for name in ("bars", "fills", "orders", "decisions", "trades"):
        assert set(tables[name]["instrument"]) == {"TEST/USDT"}
    assert fills["fee"].sum() == pytest.approx(session.fees, abs=1e-6)
    assert trades["pnl"].sum() == pytest.approx(float(trades["pnl"].sum()))
    assert set(fills["side"]) == {"buy", "sell"}
    assert (tables["decisions"]["acted"].astype(str) == "True").any()
    times = pd.to_datetime(bars["time"], utc=True)
    assert (times.diff().dropna() == pd.Timedelta("1min")).all()


def test_an_export_of_what_was_edited_is_refused_and_leaves_what_was_there(
    lived: str, journal: Journal, tmp_path: Path
) -> None:
    export(journal, lived, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file() and p.suffix == ".parquet"}
    with journal.writing() as connection:
        connection.execute(text("UPDATE journal SET body = replace(body, '\"c\"', '\"C\"') WHERE seq = 40"))
    with pytest.raises(DamagedError, match="damaged at row 40"):
        export(journal, lived, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix == ".parquet"} == before


def test_the_report_is_the_backtest_over_the_same_bars(lived: str, journal: Journal) -> None:
    made = result_of(journal, lived)
    strategy = configured("probe", {"every": 5})
    again = backtest(strategy, made.bars, made.plan, seed=7)
    assert made.digest == again.digest
    assert (made.equity == again.equity).all()
    assert made.metrics() == again.metrics()
    assert sheet_of(made, "probe").figures["trades"] == journal.session(lived).trades_count


def test_lineage_goes_from_the_money_to_the_code(lived: str, journal: Journal) -> None:
    steps = {step.what: step for step in lineage(journal, lived)}
    assert list(steps) == ["figure", "fill", "order", "decision", "model", "run", "data", "code"]
    session = journal.session(lived)
    assert steps["figure"].facts["pnl"] == session.pnl
    fill = journal.rows(lived, steps["fill"].seq - 1, 1)[0]
    assert fill.kind == "fill"
    assert steps["model"].note == "the strategy uses none"
    assert steps["data"].facts["instrument"] == session.instrument.key
    assert re.fullmatch(r"\d+\.\d+\.\d+", steps["code"].facts["pregao"])

    entry = next(r for r in journal.rows(lived, 0, 10_000) if r.kind == "fill" and r.body["role"] == "entry")
    steps = {step.what: step for step in lineage(journal, lived, entry.seq)}
    assert steps["fill"].seq == entry.seq
    assert steps["order"].facts["state"] == "accepted"
    assert steps["order"].facts["id"] == entry.body["id"]
    assert steps["decision"].facts["action"] == "enter"
    assert steps["decision"].seq < steps["order"].seq <= entry.seq or steps["decision"].seq < entry.seq
    assert lineage(journal, lived, 1)[1].note == "nothing has been traded up to here"
    with pytest.raises(NotFoundError, match="no row 999999"):
        lineage(journal, lived, 999_999)


def everything(journal: Journal) -> dict[str, list[tuple[Any, ...]]]:
    with journal.engine.connect() as connection:
        names = ("sessions", "journal", "snapshots", "commands", "runs", "trades", "quarantine")
        return {
            # SQLite has no kind for true and false but 1 and 0.
            name: sorted(
                tuple(str(int(v) if isinstance(v, bool) else v) for v in row)
                for row in connection.execute(text(f"SELECT * FROM {name}"))
            )
            for name in names
        }


def test_a_backup_made_while_a_session_runs_goes_on_as_if_nothing_had_been(
    begin: Any, journal: Journal, tmp_path: Path, home: Path
) -> None:
    session_id = begin(config={"every": 5})
    other = begin(config={"every": 7})
    run(other, journal)
    runner = threading.Thread(target=run, args=(session_id, Journal(journal.url)))
    runner.start()
    while journal.session(session_id).bars < 40:
        pass
    counts = back_up(journal, tmp_path / "kept.db")
    at = journal.session(session_id).bars
    runner.join(60)
    whole = journal.session(session_id)
    assert (whole.bars, whole.status) == (300, "finished")
    assert counts["sessions"] == 2

    copy = Journal(f"sqlite:///{tmp_path / 'kept.db'}")
    kept = copy.session(session_id)
    assert 40 <= kept.bars <= at
    assert copy.session(other).chain == journal.session(other).chain
    assert audit(copy, session_id).identical
    run(session_id, copy)
    ended = copy.session(session_id)
    assert (ended.chain, ended.equity_quanta) == (whole.chain, whole.equity_quanta)
    assert session_view(ended)["trades"] == session_view(whole)["trades"]
    copy.close()
    with pytest.raises(UsageError, match="exists already"):
        back_up(journal, tmp_path / "kept.db")


def test_back_into_an_emptied_database(lived: str, journal: Journal, tmp_path: Path) -> None:
    before = everything(journal)
    back_up(journal, tmp_path / "kept.db")
    with pytest.raises(UsageError, match=r"has 1 sessions, which would be lost\. Keep them"):
        restore(journal, tmp_path / "kept.db")
    restore(journal, tmp_path / "kept.db", replace=True)
    assert everything(journal) == before
    with pytest.raises(UsageError, match="has ended"):
        journal.command(lived, "stop")


@pytest.mark.servers
def test_from_sqlite_to_postgresql_and_back(market: Any, home: Path, tmp_path: Path, postgres: Postgres) -> None:
    here = Journal(settings().sessions_url)
    session_id = start(a_spec(config={"every": 5}), here)
    run(session_id, here)
    back_up(here, tmp_path / "one.db")
    there = Journal(postgres.create("moved"))
    restore(there, tmp_path / "one.db")
    assert audit(there, session_id).identical
    second = start(a_spec(config={"every": 6}), there)
    there.command(second, "pause")  # its number follows those that came with the backup
    back_up(there, tmp_path / "two.db")
    restore(here, tmp_path / "two.db", replace=True)
    assert everything(here) == everything(there)
    for journal in (here, there):
        journal.close()


def test_what_is_no_backup_or_a_damaged_one_changes_nothing(lived: str, journal: Journal, tmp_path: Path) -> None:
    before = everything(journal)
    (tmp_path / "text.db").write_text("no database at all")
    with pytest.raises(UsageError, match="is no backup of sessions"):
        restore(journal, tmp_path / "text.db", replace=True)
    with pytest.raises(UsageError, match="There is no backup"):
        restore(journal, tmp_path / "nothing.db", replace=True)
    back_up(journal, tmp_path / "kept.db")
    kept = Journal(f"sqlite:///{tmp_path / 'kept.db'}")
    with kept.writing() as connection:
        connection.execute(text("UPDATE journal SET body = replace(body, '\"c\"', '\"C\"') WHERE seq = 40"))
    kept.close()
    with pytest.raises(PregaoError, match="The backup is damaged"):
        restore(journal, tmp_path / "kept.db", replace=True)
    assert everything(journal) == before


def test_the_commands(lived: str, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def pregao(*words: str) -> str:
        main(list(words))
        return capsys.readouterr().out

    assert "buy and hold" in pregao("report", lived)
    told = json.loads(pregao("report", lived, "--json", "--html", str(tmp_path / "sheet.html")))
    assert (told["session"], told["status"]) == (lived, "finished")
    assert "<svg" in (tmp_path / "sheet.html").read_text()
    traced = pregao("lineage", lived).splitlines()
    assert [line.split()[0] for line in traced] == [
        "figure", "fill", "order", "decision", "model", "run", "data", "code",
    ]  # fmt: skip
    assert json.loads(pregao("lineage", lived, "--seq", "40", "--json"))["steps"][0]["seq"] <= 40
    rows = json.loads(pregao("export", lived, "--out", str(tmp_path / "out"), "--format", "csv", "--json"))["rows"]
    assert rows["bars"] == 300
    assert "1 sessions" in pregao("backup", str(tmp_path / "kept.db"))
    assert "are back" in pregao("restore", str(tmp_path / "kept.db"), "--replace")
