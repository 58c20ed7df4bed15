"""What the record of a session proves, by the API: audit, lineage, report, comparison, tables to take away."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pyarrow.parquet
import pytest
from probe_market import START_NS
from sqlalchemy import text

MINUTE_NS = 60_000_000_000


@pytest.fixture(scope="module")
def over(panel: Any) -> str:
    """A session that has ended, with some trades."""
    session_id = panel.session(feed={"speed": 0, "end": START_NS + 300 * MINUTE_NS}, take_profit=1, stop_loss=1)
    panel.play(session_id)
    row = panel.journal.session(session_id)
    assert (row.status, row.bars) == ("finished", 300)
    assert row.trades_count > 3
    return str(session_id)


def ask(panel: Any, path: str, **query: Any) -> Any:
    answer = panel.http.get(f"/api/v1{path}", params=query, timeout=180)  # a busy machine reads slowly
    assert answer.status_code == 200, answer.text
    return answer


def test_an_audit_finds_the_session_identical_to_the_backtest(panel: Any, over: str) -> None:
    row = panel.journal.session(over)
    found = ask(panel, f"/sessions/{over}/audit").json()
    assert (found["identical"], found["problem"], found["cuts"]) == (True, "", 0)
    assert (found["rows"], found["chain"], found["bars"]) == (row.last_seq, row.chain, 300)


def test_an_audit_names_the_row_that_was_edited(panel: Any) -> None:
    session_id = panel.session(feed={"speed": 0, "end": START_NS + 120 * MINUTE_NS})
    panel.play(session_id)
    seq = next(row.seq for row in panel.journal.rows(session_id, 0, 1_000) if row.kind == "fill")
    edit = text("UPDATE journal SET body = replace(body, :was, :now) WHERE session_id = :id AND seq = :seq")
    values = {"was": '"fee":', "now": '"fee":1', "id": session_id, "seq": seq}
    panel.journal.transact(lambda connection: connection.execute(edit, values))
    found = ask(panel, f"/sessions/{session_id}/audit").json()
    assert found["identical"] is False
    assert found["rows"] == seq - 1
    assert str(seq) in found["problem"]


def test_the_lineage_of_a_figure_leads_back_to_the_code(panel: Any, over: str) -> None:
    steps = ask(panel, f"/sessions/{over}/lineage").json()
    assert [step["what"] for step in steps] == ["figure", "fill", "order", "decision", "model", "run", "data", "code"]
    by = {step["what"]: step for step in steps}
    row = panel.journal.session(over)
    assert by["figure"]["facts"]["pnl"] == pytest.approx(row.pnl)
    assert by["fill"]["seq"] > by["order"]["seq"] > by["decision"]["seq"]
    assert by["decision"]["facts"]["action"] in ("enter", "exit")
    assert by["model"]["note"] == "the strategy uses none"
    earlier = ask(panel, f"/sessions/{over}/lineage", seq=1).json()
    assert earlier[1]["note"] == "nothing has been traded up to here"
    assert panel.http.get(f"/api/v1/sessions/{over}/lineage", params={"seq": 10**9}).status_code == 404


def test_a_session_without_a_shadow_has_no_duel(panel: Any, over: str) -> None:
    assert ask(panel, f"/sessions/{over}/shadow").json() is None
    assert panel.http.get("/api/v1/sessions/gone/shadow").status_code == 404


@pytest.mark.parametrize(("language", "title"), [("en", "Trades"), ("pt-BR", "Operações")])
def test_a_report_is_a_page_of_its_own_in_the_persons_language(
    panel: Any, over: str, language: str, title: str
) -> None:
    answer = ask(panel, f"/sessions/{over}/tearsheet", language=language)
    assert answer.headers["content-type"].startswith("text/html")
    assert f'lang="{language}"' in answer.text
    assert title in answer.text
    assert "<script" not in answer.text
    assert panel.http.get(f"/api/v1/sessions/{over}/tearsheet", params={"language": "de"}).status_code == 422


def test_sessions_are_compared_from_a_hundred_on(panel: Any, over: str) -> None:
    waiting = panel.session()
    first, second = ask(panel, "/comparison", session=[over, waiting, over]).json()
    row = panel.journal.session(over)
    assert first["session"] == over
    assert first["equity"][0] == pytest.approx(100)
    assert first["equity"][-1] == pytest.approx(100 * row.equity / 10_000, abs=1e-5)
    assert first["times"] == sorted(first["times"])
    assert first["figures"]["trades"] == row.trades_count
    assert first["figures"]["net_return"] == pytest.approx(row.pnl / 10_000, rel=1e-6)
    assert (second["times"], second["figures"]) == ([], {})
    assert "no bar yet" in second["problem"]
    assert panel.http.get("/api/v1/comparison", params={"session": [over] * 9}).status_code == 422
    assert panel.http.get("/api/v1/comparison", params={"session": ["gone"]}).status_code == 404


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_all_tables_come_in_one_file(panel: Any, over: str, form: str) -> None:
    answer = ask(panel, f"/sessions/{over}/export", form=form)
    assert f"{over}-{form}.zip" in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert {name.split("/")[1] for name in archive.namelist()} == {
        f"{table}.{form}" for table in ("journal", "bars", "fills", "orders", "decisions", "trades")
    }
    raw = archive.read(f"{over}/trades.{form}")
    count = panel.journal.session(over).trades_count
    if form == "csv":
        assert len(raw.decode().splitlines()) == count + 1
    else:
        assert pyarrow.parquet.read_table(io.BytesIO(raw)).num_rows == count
    assert panel.http.get(f"/api/v1/sessions/{over}/export", params={"form": "xls"}).status_code == 422


@pytest.mark.parametrize("what", ["audit", "lineage", "tearsheet", "export"])
def test_a_session_that_is_not_there_is_said_so(panel: Any, what: str) -> None:
    answer = panel.http.get(f"/api/v1/sessions/gone-0000/{what}")
    assert answer.status_code == 404
    assert "gone-0000" in answer.json()["message"]


def test_a_session_without_a_bar_has_no_report_and_says_why(panel: Any) -> None:
    answer = panel.http.get(f"/api/v1/sessions/{panel.session()}/tearsheet")
    assert answer.status_code == 422
    assert "has lived through no bar yet" in answer.json()["message"]
