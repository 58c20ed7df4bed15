"""The long-running flow of a session: stopped, left, paused and gone on with, and never run twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from pregao.core.errors import PregaoError
from pregao.market.ingest import ingest
from pregao.operations.servers import Servers
from pregao.sessions import control
from pregao.sessions.journal import Journal
from pregao.sessions.records import SessionRow
from pregao.sessions.runtime import run
from pregao_flows import client, starting
from pregao_flows.supervise import MANY, supervise

pytestmark = pytest.mark.servers

SPEC = {
    "instrument": "synthetic/synthetic/NOISE-USDT",
    "timeframe": "1h",
    "strategy": "ma-cross",
    "feed": {"kind": "replay", "speed": 20},
}


@pytest.fixture(scope="module")
def market() -> list[str]:
    return []


@pytest.fixture
def journal(served: Servers, market: list[str]) -> Iterator[Journal]:
    if not market:
        ingest("synthetic", ["NOISE/USDT"], "1h", {"bars": 5_000})
        market.append("NOISE/USDT")
    journal = Journal()
    yield journal
    journal.close()


@pytest.fixture
def session(journal: Journal) -> Iterator[str]:
    session_id = control.start(control.spec_of(SPEC), journal)
    yield session_id
    for found in client.session_runs(session_id):
        client.cancel(found.id)
    until(lambda: not client.session_runs(session_id), True)


def until(look: Callable[[], Any], wanted: Any, seconds: float = 150) -> Any:
    """Wait until ``look()`` is (or, of a function, satisfies) what is wanted."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if wanted(seen) if callable(wanted) else seen == wanted:
            return seen
        assert time.monotonic() < deadline, f"still {seen!r}"
        time.sleep(0.1)


def trading(journal: Journal, session_id: str, bars: int = 3) -> SessionRow:
    return until(lambda: journal.session(session_id), lambda row: row.status == "running" and row.bars >= bars)


def state(run_id: str) -> str:
    return client.get(run_id).state


def process_of(session_id: str, served: Servers) -> psutil.Process:
    runner = psutil.Process(served.children["flows"].pid)
    run_ids = {run.id for run in client.session_runs(session_id)}
    found = [p for p in runner.children(recursive=True) if p.environ().get("PREFECT__FLOW_RUN_ID") in run_ids]
    [own] = [p for p in found if p.ppid() not in {other.pid for other in found}]  # not the strategy's processes
    return own


def test_cancelled_by_a_person_the_session_is_stopped_for_good(journal: Journal, session: str) -> None:
    run_id = client.launch(session)
    trading(journal, session)
    client.cancel(run_id)
    until(lambda: state(run_id), "Cancelled")
    row = journal.session(session)
    assert row.status == "stopped"
    assert [run.outcome for run in journal.runs(session)] == ["stopped"]
    assert [r.kind for r in journal.rows(session, row.last_seq - 2)][-1] == "stopped"
    assert list(journal.verified(session))[-1].chain == row.chain


def test_a_shutdown_leaves_the_session_and_it_goes_on(journal: Journal, session: str) -> None:
    run_id = client.launch(session)
    trading(journal, session)
    client.cancel(run_id, client.SHUTDOWN)
    until(lambda: state(run_id), "Cancelled")
    left = journal.session(session)
    assert left.status == "running"
    assert not client.session_runs(session)
    client.launch(session)
    row = trading(journal, session, left.bars + 3)
    assert row.epoch == left.epoch + 1
    assert len(list(journal.verified(session))) >= row.last_seq


def test_suspend_ends_the_process_and_resume_goes_on(journal: Journal, session: str) -> None:
    run_id = client.launch(session)
    trading(journal, session)
    suspend = {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}}
    client.request("POST", f"/flow_runs/{run_id}/set_state", {"state": suspend})
    until(lambda: [run.ended_ns is not None for run in journal.runs(session)], [True])
    left = journal.session(session)
    assert (left.status, state(run_id)) == ("running", "Suspended")
    client.request("POST", f"/flow_runs/{run_id}/resume", {})
    trading(journal, session, left.bars + 3)
    assert state(run_id) == "Running"


def test_pause_pauses_the_session_and_resume_resumes_it(journal: Journal, session: str) -> None:
    run_id = client.launch(session)
    trading(journal, session)
    client.request("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "PAUSED", "name": "Paused"}})
    until(lambda: journal.session(session).status, "paused")
    client.request("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    until(lambda: journal.session(session).status, "running")
    assert len(journal.runs(session)) == 1  # the same process all along


def test_a_session_that_ends_completes_its_run(journal: Journal, session: str) -> None:
    run_id = client.launch(session)
    trading(journal, session)
    control.command(session, "stop")
    until(lambda: state(run_id), "Completed")
    assert client.get(run_id).message == f"Session {session}: stopped."
    told = client.report(run_id)  # the run's page says how it ended
    row = journal.session(session)
    assert (told["status"], told["pnl"], told["bars"]) == ("stopped", pytest.approx(row.pnl), row.bars)


def test_an_unknown_session_fails_with_its_sentence(served: Servers) -> None:
    run = client.wait(client.launch("no-such-session"), 150)
    assert run.state == "Failed"
    assert "no-such-session" in run.message


def test_a_killed_session_is_found_and_goes_on_once(journal: Journal, session: str, served: Servers) -> None:
    run_id = client.launch(session)
    trading(journal, session)
    os.kill(process_of(session, served).pid, signal.SIGKILL)
    until(lambda: state(run_id), "Crashed")
    left = journal.session(session)
    assert left.status == "running"
    with journal.writing() as connection:  # as if half a minute had passed
        connection.execute(text("UPDATE sessions SET heartbeat_ns = 1, created_ns = 1 WHERE id = :id"), {"id": session})
    first = client.wait(client.ask(client.SUPERVISE, {}), 150)
    assert first.message.startswith("Started again: ")
    assert session in first.message  # beside it perhaps what another test has left
    with journal.writing() as connection:
        connection.execute(text("UPDATE sessions SET heartbeat_ns = 1 WHERE id = :id"), {"id": session})
    second = client.wait(client.ask(client.SUPERVISE, {}), 150)
    assert second.message.startswith("Started again: ")
    assert session not in second.message  # its process may still be importing
    row = trading(journal, session, left.bars + 3)
    assert row.epoch == left.epoch + 1
    assert len(list(journal.verified(session))) >= row.last_seq


@pytest.mark.skipif("PREGAO_KILLS" not in os.environ, reason="a minute: PREGAO_KILLS=1 lets it run")
def test_a_cancel_that_the_process_could_not_hear_still_stops_the_session(
    journal: Journal, session: str, served: Servers
) -> None:
    """A process that is stuck is killed after half a minute, and its run is Cancelled while the session is not stopped:
    `supervise` brings it to its end."""
    run_id = client.launch(session)
    trading(journal, session)
    os.kill(process_of(session, served).pid, signal.SIGSTOP)
    client.cancel(run_id)
    until(lambda: state(run_id), "Cancelled")
    assert journal.session(session).status == "running"
    with journal.writing() as connection:  # as if half a minute had passed
        connection.execute(text("UPDATE sessions SET heartbeat_ns = 1, created_ns = 1 WHERE id = :id"), {"id": session})
    supervised = client.wait(client.ask(client.SUPERVISE, {}), 150)
    assert session in supervised.message
    until(lambda: journal.session(session).status, "stopped")


def test_where_the_runner_has_no_place_for_another_run_a_host_is_asked_for(
    journal: Journal, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting.begin(session, journal)
    trading(journal, session)
    monkeypatch.setattr(starting, "CROWDED", 1)
    more = [control.start(control.spec_of(SPEC), journal) for _ in range(2)]
    for each in more:
        starting.begin(each, journal)
    [run] = client.host_runs()
    for each in more:
        until(lambda each=each: journal.session(each).bars > 3, True)
    assert [len(client.session_runs(each)) for each in (session, *more)] == [1, 0, 0]
    for each in more:
        journal.command(each, "stop")
    until(lambda: {journal.session(each).status for each in more}, {"stopped"})
    client.cancel(run.id)
    until(lambda: client.host_runs(), [])


@pytest.mark.long
def test_many_sessions_that_died_go_on_and_one_that_cannot_does_not_hold_them_up(
    journal: Journal, session: str, served: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many are given to a host; asking about one of them fails."""
    row = journal.session(session)
    journal.command(session, "stop")
    assert run(session, journal) == "stopped"
    dead = Journal(clock=lambda: time.time_ns() - 10**12)
    many = [dead.create(row.spec, row.instrument) for _ in range(MANY + 3)]
    dead.close()
    asked = client.session_runs

    def ask(session_id: str) -> list[client.FlowRun]:
        if session_id == many[-1]:  # the first that is looked at
            raise PregaoError("This one cannot be asked about.")
        return asked(session_id)

    monkeypatch.setattr(client, "session_runs", ask)
    told = supervise(return_state=True)
    assert told.is_failed()
    assert told.message.startswith("Started again: ")
    assert f"(by a host). Could not be started again: {many[-1]}." in told.message
    until(lambda: min(journal.session(each).bars for each in many), lambda bars: bars > 5, 240)
    runs = client.host_runs()
    assert len(runs) == 1
    assert not any(asked(each) for each in many)
    for each in many:
        journal.command(each, "stop")
    until(lambda: {journal.session(each).status for each in many}, {"stopped"}, 120)
    client.cancel(runs[0].id)
    until(lambda: client.host_runs(), [])


def test_two_processes_for_one_session_do_no_harm(journal: Journal, session: str) -> None:
    first = client.launch(session)
    trading(journal, session)
    client.launch(session)
    until(lambda: state(first), "Completed")
    assert client.get(first).message == f"Session {session} went on in another process."
    row = trading(journal, session, journal.session(session).bars + 3)
    assert len(list(journal.verified(session))) >= row.last_seq


@pytest.mark.long
def test_a_prefect_server_that_goes_and_comes_back_does_no_harm(
    journal: Journal, session: str, served: Servers
) -> None:
    """It is killed; the session goes on being journaled by the same process, and its page is right afterwards."""
    run_id = client.launch(session)
    before = trading(journal, session)
    own = process_of(session, served)
    server = psutil.Process(served.children["prefect"].pid)
    for process in (*server.children(recursive=True), server):
        process.kill()
    until(lambda: served.children["prefect"].running, False)
    away = journal.session(session).bars
    until(lambda: journal.session(session).bars, lambda bars: bars > away + 200, 120)
    served._start_healthy("prefect")
    until(lambda: state(run_id), "Running")
    back = journal.session(session).bars
    until(lambda: journal.session(session).bars, lambda bars: bars > back + 20)
    assert own.is_running()
    assert journal.session(session).epoch == before.epoch
    journal.command(session, "stop")
    until(lambda: state(run_id), "Completed")
    assert journal.session(session).status == "stopped"
    assert [run.outcome for run in journal.runs(session)] == ["stopped"]
    told, row = client.report(run_id), journal.session(session)
    assert (told["status"], told["pnl"], told["bars"]) == ("stopped", pytest.approx(row.pnl), row.bars)
