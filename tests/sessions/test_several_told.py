"""A session of several instruments at the command line: each figure names its instrument, in its own grid."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from probe_market import COARSE, INSTRUMENT, a_spec, like
from rich.console import Console
from terminal import typed

from pregao.commands.watching import Scene
from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.market.store import Store
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
from pregao.sessions.telling import line
from pregao.sessions.views import view

ELSEWHERE = Instrument.model_validate(INSTRUMENT.to_json() | {"venue": "other", "lot_size": "0.01"})
PLAN = {"config": {"every": 5}, "entry_value": 3_000}


@pytest.fixture
def pregao(market: Bars, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command that must succeed; returns its output. Two more instruments are in the store."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    for seed, instrument in enumerate((COARSE, ELSEWHERE), 2):
        Store().write(like(instrument, seed, slice(0, 0)))

    def pregao(*words: str) -> str:
        status, out, err = typed(capsys, *words)
        assert status == 0, err
        return out

    return pregao


@pytest.fixture
def lived(pregao: Any) -> str:
    """A session of two instruments that has ended."""
    both = ("--data", INSTRUMENT.key, "--data", COARSE.key)
    told = pregao(
        "trade", "start", *both, "--strategy", "probe", "--set", "every=5", "--speed", "0", "--here", "--json"
    )
    found = json.loads(told)
    assert (found["status"], [each["symbol"] for each in found["books"]]) == ("finished", ["TEST/USDT", "COARSE/USDT"])
    return str(found["id"])


def rows(journal: Journal, session_id: str, kind: str) -> list[Any]:
    return [row for row in journal.rows(session_id, limit=10**6) if row.kind == kind]


def test_lists_and_tables_name_each_instrument(pregao: Any, lived: str) -> None:
    assert "TEST/USDT, COARSE/USDT" in pregao("trade", "list", "--all")
    shown = pregao("trade", "show", lived)
    standings, trades = shown.split("\n\n")[1:]
    assert [one.split()[0] for one in standings.splitlines()] == ["Instrument", "TEST/USDT", "COARSE/USDT"]
    assert re.search(r"\d+ +TEST/USDT .* \d+\.\d\d  ", trades)
    assert re.search(r"\d+ +COARSE/USDT .* [\d,]+\.[05]  ", trades)  # a price of its own grid
    watched = pregao("trade", "watch", lived, "--after", "0")
    assert f"started: probe 1.0 on {INSTRUMENT.key}, {COARSE.key} 1m" in watched
    assert re.search(r"COARSE/USDT sold [\d.]+ at [\d,]+\.[05] ", watched)
    reported = pregao("report", lived)
    assert re.search(r"^COARSE/USDT +\d+ ", reported, re.MULTILINE)
    figures = [one for one in reported.splitlines() if one.startswith(("Trades ", "Net return ", "Value at risk, "))]
    ends = [found.end() for one in figures if (found := re.match(r"\S.*?  +\S+", one))]
    assert len(ends) == 3
    assert len(set(ends)) == 1  # flush right, also where a figure is missing


def test_lineage_is_of_the_instrument_that_filled(pregao: Any, lived: str) -> None:
    journal = Journal()
    fill = next(row for row in rows(journal, lived, "fill") if row.body.get("b") == 1)
    told = pregao("lineage", lived, "--seq", str(fill.seq)).splitlines()
    assert "position" not in told[0]  # the figure is the account's
    quantity = COARSE.quantity_text(COARSE.quantity(fill.body["qty"]))
    assert f"COARSE/USDT {'bought' if fill.body['side'] > 0 else 'sold'} {quantity} at " in told[1]
    assert "COARSE/USDT market" in told[2]
    assert "COARSE/USDT enter: " in told[3]
    assert COARSE.key in told[6]
    every = journal.rows(lived, limit=10**6)
    fills: list[int] = []
    for row in every:  # the first's decision after a fill of the other: it is of its own fill before
        if row.kind == "fill":
            fills.append(row.body.get("b", 0))
        elif row.kind == "intent" and "b" not in row.body and fills[-1:] == [1] and 0 in fills:
            break
    assert "TEST/USDT " in pregao("lineage", lived, "--seq", str(row.seq)).splitlines()[1]
    journal.close()


def test_flatten_tells_of_the_one_that_it_closes_only(pregao: Any) -> None:
    journal = Journal()
    wide = {"config": {"every": 20, "leave": 999}, "take_profit": 40, "stop_loss": 40}
    session_id = start(a_spec(also=[COARSE.key], **wide), journal)
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 30)
    assert all(each["pos"] for each in journal.session(session_id).details["books"])
    told = json.loads(pregao("trade", "flatten", session_id, "--instrument", "COARSE/USDT", "--json"))
    assert list(told["held"]) == ["COARSE/USDT"]
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 32)
    assert [bool(each["pos"]) for each in journal.session(session_id).details["books"]] == [True, False]
    command = view(rows(journal, session_id, "command")[0], *journal.session(session_id).instruments)
    said = line(command, *journal.session(session_id).instruments)
    assert said is not None
    assert said.endswith("command flatten COARSE/USDT: done")
    journal.close()


def test_one_symbol_at_two_venues_is_told_by_its_keys(pregao: Any, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal()
    session_id = start(a_spec(also=[ELSEWHERE.key], **PLAN), journal)
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 100)
    row = journal.session(session_id)
    assert row.market == f"{INSTRUMENT.key}, {ELSEWHERE.key}"
    fills = [view(each, *row.instruments) for each in rows(journal, session_id, "fill")]
    assert {each["symbol"] for each in fills} == {INSTRUMENT.key, ELSEWHERE.key}
    shown = pregao("trade", "show", session_id)
    assert re.search(rf"{ELSEWHERE.key} .* (long|short) +\d+(\.\d\d?)? ", shown)  # a quantity of its own grid
    status, _, err = typed(capsys, "trade", "flatten", session_id, "--instrument", "TEST/USDT")
    assert status == 2
    assert f"Name one by its key: {INSTRUMENT.key}, {ELSEWHERE.key}." in err
    pregao("trade", "flatten", session_id, "--instrument", ELSEWHERE.key)
    assert [command.body for command in journal.inbox(session_id)] == [{"book": 1}]
    journal.close()


def test_the_screen_has_a_line_for_each_and_the_newest_events_within_its_height(pregao: Any) -> None:
    journal = Journal()
    session_id = start(a_spec(also=[COARSE.key], mode="approve", approval_bars=50, config={"every": 5}), journal)
    run(session_id, journal, stop=lambda: len(journal.session(session_id).proposals) == 2)
    row, scene = journal.session(session_id), Scene()
    for found in journal.rows(session_id, limit=10**6):
        scene.hear(view(found, *row.instruments), row)
    console = Console(width=110, height=20, record=True, file=io.StringIO())
    console.print(scene.drawn(row, True, *console.size))
    told = console.export_text().splitlines()
    assert len(told) < 20
    prices = [one.index(" USDT   ") for one in told if " price " in one]
    assert len(prices) == 2
    assert prices[0] == prices[1]  # below each other
    for proposal, name in zip(row.proposals, ("TEST/USDT", "COARSE/USDT"), strict=True):
        assert any(f"of {name} waits: pregao trade approve {row.id} --proposal {proposal['id']}" in one for one in told)
    assert "COARSE/USDT proposal" in told[-2]
    journal.close()
