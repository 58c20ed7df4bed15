"""``pregao trade`` as a person or a script uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from probe_market import INSTRUMENT, a_spec
from terminal import typed
from waiting import wait

from pregao.core.bars import Bars
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run

HERE = ["trade", "start", "--strategy", "probe", "--data", "TEST/USDT", "--speed", "0", "--here"]


@pytest.fixture
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


@pytest.fixture
def pregao(market: Bars, no_servers: None, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; returns its exit status, output and errors."""

    def pregao(*words: str) -> tuple[int, str, str]:
        return typed(capsys, *words)

    return pregao


def test_a_session_run_here_can_be_listed_shown_and_watched(pregao: Any) -> None:
    status, out, _ = pregao(*HERE, "--set", "every=5", "--take-profit", "1.5", "--json")
    done = json.loads(out)
    assert (status, done["status"], done["bars"]) == (0, "finished", 300)
    assert done["spec"]["config"] == {"every": 5}
    assert done["spec"]["take_profit"] == "1.5"
    assert (done["instrument"], done["timeframe"]) == (INSTRUMENT.key, "1m")
    session_id = done["id"]

    assert "There are no sessions" not in pregao("trade", "list")[1]
    assert pregao("trade", "list")[1].startswith("No session is running; --all shows the 1 that ended.")
    listed = json.loads(pregao("trade", "list", "--all", "--json")[1])
    assert [row["id"] for row in listed] == [session_id]
    assert session_id in pregao("trade", "list", "--all")[1]

    shown = json.loads(pregao("trade", "show", session_id, "--json")[1])
    assert len(shown["round_trips"]) == shown["trades"] > 5
    text = pregao("trade", "show", session_id)[1]
    assert "Simulated money. Synthetic data." in text
    assert "stop loss" in text

    status, out, _ = pregao("trade", "watch", session_id, "--after", "0")
    assert status == 0
    for said in ("started: probe 1.0", "bought", "sold", "probability", "finished: equity"):
        assert said in out
    rows = [json.loads(line) for line in pregao("trade", "watch", session_id, "--tail", "20", "--json")[1].splitlines()]
    assert [row["s"] for row in rows] == list(range(shown["last_seq"] - 19, shown["last_seq"] + 1))


def test_commands_steer_a_running_session(pregao: Any) -> None:
    journal = Journal()
    settings = {"config": {"every": 2, "leave": 10_000}, "feed": {"speed": 5}, "mode": "approve", "approval_bars": 50}
    session_id = start(a_spec(**settings), journal)
    runner = threading.Thread(target=run, args=(session_id, journal))
    runner.start()
    wait(lambda: journal.session(session_id).proposal)
    assert "Proposal 1 to go" in pregao("trade", "show", session_id)[1]
    assert pregao("trade", "approve", session_id, "--proposal", "7")[0] == 1
    assert json.loads(pregao("trade", "approve", session_id, "--json")[1])["outcome"] == "done"
    wait(lambda: journal.session(session_id).position_lots)  # a pause would take an entry back that waits
    for kind in ("pause", "resume", "flatten", "pause"):
        status, out, err = pregao("trade", kind, session_id)
        told, *more = out.splitlines()
        assert (status, told, err) == (0, f"Session {session_id}: {kind}, done.", "")
        # Of a replay a position is closed at the next open, which may have come already.
        assert not more or (kind == "flatten" and more[0].startswith("It still holds "))
    status, _, err = pregao("trade", "pause", session_id)
    assert status == 1
    assert "refuses pause: the session is already paused" in err
    status, _, err = pregao("trade", "reject", session_id)
    assert status == 1
    assert pregao("trade", "stop", session_id)[0] == 0
    runner.join(60)
    assert journal.session(session_id).status == "stopped"
    status, _, err = pregao("trade", "stop", session_id)
    assert status == 2
    assert "has ended (stopped)" in err
    journal.close()


def test_a_session_without_a_runner_is_told_of_taken_up_and_stopped_here(pregao: Any) -> None:
    journal = Journal()
    session_id = start(a_spec(), journal)
    bars = 0

    def count(_: object) -> None:
        nonlocal bars
        bars += 1

    run(session_id, journal, stop=lambda: bars > 40, on_tick=count)
    journal.clock = lambda: time.time_ns() + 60 * 10**9
    with journal.writing() as connection:
        connection.exec_driver_sql("UPDATE sessions SET created_ns = 0")
    status, out, _ = pregao("trade", "pause", session_id)
    assert status == 0
    assert "has no runner now" in out
    status, _, err = pregao("trade", "resume", session_id)
    assert status == 1
    assert "pregao up" in err
    status, out, _ = pregao("trade", "stop", session_id, "--json")
    assert status == 0
    assert json.loads(out)["status"] == "stopped"
    journal.close()


def test_ctrl_c_lets_go_and_resume_goes_on(market: Bars, no_servers: None, home: Path) -> None:
    pregao = [str(Path(sys.executable).parent / "pregao")]
    began = subprocess.Popen([*pregao, *HERE[:-3], "--speed", "20", "--here"], stdout=subprocess.PIPE, text=True)
    journal = Journal()
    until = time.monotonic() + 120
    while not (rows := journal.sessions()) or rows[0].bars < 20:
        assert time.monotonic() < until
        time.sleep(0.02)
    began.send_signal(signal.SIGINT)
    out, _ = began.communicate(timeout=90)
    session_id = rows[0].id
    assert began.returncode == 0
    assert f"pregao trade resume {session_id} --here" in out
    let_go = journal.session(session_id)
    assert (let_go.status, let_go.heartbeat_ns) == ("running", 0)
    assert journal.runs(session_id)[0].outcome == "let go"
    with journal.writing() as connection:
        connection.exec_driver_sql("UPDATE sessions SET created_ns = 0")
    went_on = subprocess.Popen([*pregao, "trade", "resume", session_id, "--here"], env=os.environ.copy())
    while journal.session(session_id).bars <= let_go.bars:
        assert time.monotonic() < until
        time.sleep(0.02)
    journal.command(session_id, "stop")
    assert went_on.wait(90) == 0
    assert journal.session(session_id).status == "stopped"
    journal.close()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([*HERE[:-1]], 1, "No server answers"),
        ([*HERE, "--entry-value", "-1"], 2, "Entry value: Input should be greater than 0"),
        ([*HERE, "--mode", "fly"], 2, "'observe', 'approve' or 'auto'"),
        ([*HERE, "--set", "every"], 2, "not name=value"),
        ([*HERE, "--set", "never=1"], 2, "never"),
        ([*HERE, "--since", "yesterday"], 2, "is not a date"),
        ([*HERE, "--since", "2099-01-01"], 2, "no bars of"),
        ([*HERE, "--timeframe", "1w"], 2, "no 1w bars"),
        (["trade", "start", "--strategy", "probe", "--data", "GOLD", "--here"], 2, "no instrument named 'GOLD'"),
        (["trade", "start", "--strategy", "wish", "--data", "TEST/USDT", "--here"], 2, "no strategy named 'wish'"),
        (["trade", "show", "nobody"], 2, "no session named 'nobody'"),
        (["trade", "watch", "nobody"], 2, "no session named 'nobody'"),
        (["trade", "stop", "nobody"], 2, "no session named 'nobody'"),
        (["trade", "fly"], 2, "No such command"),
    ],
)
def test_wrong_use_gets_one_clear_sentence(pregao: Any, words: list[str], status: int, said: str) -> None:
    found, out, err = pregao(*words)
    assert (found, out) == (status, "")
    assert said in err
    assert "Traceback" not in err
    assert Journal().sessions() == []
