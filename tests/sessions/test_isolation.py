"""A strategy in its own process: it decides as it would here, and whatever it does to itself it does to nobody else."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from killable import runner
from probe_market import INSTRUMENT, a_spec, random_walk
from waiting import wait

from pregao.core.bars import Bars
from pregao.market.store import Store
from pregao.sessions import isolation
from pregao.sessions.audit import audit
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.problems import SpecError
from pregao.sessions.runtime import run
from pregao.sessions.views import view
from pregao.settings import settings


@pytest.fixture
def database(home: Path) -> str:
    return settings().sessions_url


def lived(journal: Journal, session_id: str) -> list[tuple[int, str, str]]:
    rows = journal.rows(session_id, limit=10**6)
    return [(r.ts_ns, r.kind, r.text) for r in rows if r.kind not in ("started", "snapshot")]


def cells(runner: psutil.Process | None = None) -> list[psutil.Process]:
    """The processes of strategies that a process and its children have started, and what those have started."""
    found = []
    for process in (runner or psutil.Process()).children(recursive=True):
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and not _is_nursery(process):
                found += [process] if any(_is_nursery(parent) for parent in process.parents()) else []
    return found


def _is_nursery(process: psutil.Process) -> bool:
    """It was started as one; its cells are forks of it, and look the same."""
    parent = process.parent()
    named = [any("pregao.sessions.nursery" in word for word in p.cmdline()) for p in (process, parent) if p is not None]
    return named == [True, False]


@pytest.mark.parametrize(
    ("strategy", "config"),
    [("probe", {"every": 3, "leave": 8, "rest": 2}), ("ma-cross", {"fast": 3, "slow": 8}), ("buy-and-hold", {})],
)
def test_it_decides_in_its_own_process_as_it_would_here(
    begin: Any, journal: Journal, strategy: str, config: dict[str, Any]
) -> None:
    here = begin(strategy=strategy, config=config)
    apart = begin(strategy=strategy, config=config, isolated=True)
    run(here, journal)
    run(apart, journal)
    assert lived(journal, apart) == lived(journal, here)
    assert cells() == []  # it ends with its session


def test_let_go_and_taken_up_it_goes_on_with_its_state(begin: Any, journal: Journal) -> None:
    here, apart = begin(), begin(isolated=True)
    run(here, journal)
    for share in (60, 170):
        run(apart, journal, stop=lambda: journal.session(apart).bars >= share)  # noqa: B023
    run(apart, journal)
    assert lived(journal, apart) == lived(journal, here)
    assert audit(journal, apart).identical


HARMS = {
    "hang": "did not answer within 3 s",
    "sleep": "did not answer within 3 s",
    "exit": "ended by itself, with status 7",
    "quit": "SystemExit: enough",
    "kill": "ended by SIGKILL",
    "segfault": "ended by SIGSEGV",
    "leak": "MB of memory; 250 are allowed",
    "swallow": "MB of memory; 250 are allowed",
    "close": "it did not answer|cut its line|ended by itself|Bad file descriptor",
    "state": "not JSON serializable",
}


def test_what_it_waits_for_the_platform_is_not_its_own_time(
    begin: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine explains a decision late: that must not look like a strategy that hangs."""
    session_id = begin(isolated=True, deadline=4)
    told, waits = isolation.Isolated._told, iter((5.0,))

    def late(strategy: isolation.Isolated, *asked: Any) -> dict[str, Any]:
        time.sleep(next(waits, 0))
        return told(strategy, *asked)

    monkeypatch.setattr(isolation.Isolated, "_told", late)
    run(session_id, journal)
    assert next(waits, None) is None  # it has asked
    assert [r.body for r in journal.rows(session_id, limit=10**6) if r.kind == "error"] == []


SOON = ("hang", "exit", "segfault", "leak", "state")
"""Those that differ most; the others, with PREGAO_KILLS."""


@pytest.mark.parametrize("how", HARMS if "PREGAO_KILLS" in os.environ else SOON)
def test_what_it_does_to_itself_pauses_its_session_and_no_other(begin: Any, journal: Journal, how: str) -> None:
    """The position that it holds keeps its exits; the session beside it trades on; nothing is left behind."""
    import re

    deadline = 3 if how in ("hang", "sleep", "close") else 60  # only these are found out by waiting
    harmed = begin(strategy="harm", config={"how": how}, isolated=True, deadline=deadline, memory=250, take_profit=1,
                   stop_loss=1, feed={"speed": 200})  # fmt: skip
    beside = begin(isolated=True, feed={"speed": 200})
    threads = [threading.Thread(target=run, args=(s, Journal(journal.url))) for s in (harmed, beside)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    rows = journal.rows(harmed, limit=10**6)
    (error,) = [r for r in rows if r.kind == "error"]
    assert re.search(HARMS[how], error.text), error.text
    assert [r for r in rows if r.kind == "intent" and r.seq > error.seq] == []  # paused, it is not asked
    after = [r for r in rows if r.kind == "fill" and r.seq > error.seq]
    exits = [r for r in rows if r.kind == "fill" and r.body["role"] in ("take_profit", "stop_loss")]
    assert exits
    assert after == [] or after[0].body["role"] in ("take_profit", "stop_loss")
    assert (journal.session(harmed).bars, journal.session(harmed).status) == (300, "finished")
    calm = begin(feed={"speed": 200})
    run(calm, journal)
    assert lived(journal, beside) == lived(journal, calm)
    assert audit(journal, harmed).identical
    assert cells() == []


MADE = {
    "hang": "did not answer within 3 s", "exit": "ended by itself, with status 7", "segfault": "ended by SIGSEGV",
    "swallow": "MB of memory; 250 are allowed", "raise": "told to fail", "quit": "SystemExit: enough",
}  # fmt: skip


@pytest.mark.parametrize("how", MADE if "PREGAO_KILLS" in os.environ else ("hang", "segfault", "raise"))
@pytest.mark.parametrize("where", ["import", "constructor"])
def test_what_it_does_when_it_is_made_it_does_in_its_own_process_too(
    begin: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch, where: str, how: str
) -> None:
    """Asked for it is refused with the reason; a session that runs already is shown as failed, and goes on later."""
    harmful = {"strategy": "wreck"} if where == "import" else {"strategy": "harm", "config": {"made": how}}
    if where == "import":
        running = begin(strategy="wreck", isolated=True, memory=250)
        run(running, journal, stop=lambda: journal.session(running).bars >= 20)
        monkeypatch.setenv("PREGAO_WRECK", how)
    if how == "hang":
        monkeypatch.setattr(isolation, "START_S", 3.0)
    with pytest.raises(SpecError, match=MADE[how]) as caught:
        begin(**harmful, isolated=True, memory=250)
    assert list(caught.value.problems) == ["strategy"]
    if where == "import":
        with pytest.raises(SpecError, match=MADE[how]):
            run(running, journal)
        row = journal.session(running)
        assert row.status == "failed"
        assert MADE[how] in str(row.error)
        assert ("Traceback" in str(row.error)) == (how in ("raise", "quit"))
        monkeypatch.delenv("PREGAO_WRECK")
        monkeypatch.setattr(isolation, "START_S", 30.0)
        assert run(running, journal) == "finished"
        assert audit(journal, running).identical
    wait(lambda: cells() == [])


@pytest.mark.parametrize("where", ["import", "constructor"])
def test_one_that_forks_when_it_is_made_speaks_once(
    begin: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "import":
        monkeypatch.setenv("PREGAO_WRECK", "fork")
    config = {} if where == "import" else {"made": "fork"}
    session_id = begin(strategy="wreck" if where == "import" else "harm", config=config, isolated=True)
    assert run(session_id, journal) == "finished"
    assert journal.session(session_id).error is None
    wait(lambda: cells() == [])


@pytest.mark.parametrize("how", ["fork", "bomb", "print"])
def test_forks_and_noise_do_nothing_to_anybody(
    begin: Any, journal: Journal, capfd: pytest.CaptureFixture[str], how: str
) -> None:
    session_id = begin(strategy="harm", config={"how": how}, isolated=True, deadline=60)
    run(session_id, journal)
    assert journal.session(session_id).error is None
    assert journal.session(session_id).bars == 300
    assert "noise" not in "".join(capfd.readouterr())
    wait(lambda: cells() == [])


def test_resumed_it_starts_anew_with_its_last_good_state(begin: Any, journal: Journal) -> None:
    session_id = begin(strategy="harm", config={"how": "exit"}, isolated=True, feed={"speed": 20})
    thread = threading.Thread(target=run, args=(session_id, Journal(journal.url)))
    thread.start()
    wait(lambda: journal.session(session_id).status == "paused")
    number = journal.command(session_id, "resume")
    wait(lambda: journal.answer(number).outcome == "done")
    wait(lambda: len([r for r in journal.rows(session_id, limit=10**6) if r.kind == "error"]) == 2)  # at the same bar
    journal.command(session_id, "stop")
    thread.join(60)
    assert journal.session(session_id).status == "stopped"
    notes = [view(r, INSTRUMENT) for r in journal.rows(session_id, limit=10**6) if r.kind == "intent"]
    assert [n["reason"] for n in notes][-1] == "bar 9"
    assert audit(journal, session_id).identical


def test_with_a_killed_runner_the_strategy_goes_too(begin: Any, journal: Journal, home: Path, market: Bars) -> None:
    session_id = begin(strategy="harm", config={"how": "hang", "at": 20}, isolated=True, deadline=200)
    process = runner(str(home), journal.url, session_id)
    wait(lambda: journal.session(session_id).bars >= 19)
    (cell,) = cells(psutil.Process(process.pid))
    process.kill()
    process.join()
    wait(lambda: not cell.is_running() or cell.status() == psutil.STATUS_ZOMBIE)


def test_a_question_costs_little(home: Path, plugin: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar of a strategy apart beside the same here, in one run; the disk's part is in both."""
    Store().write(random_walk(500))
    journal = Journal()
    took = {}
    for apart in (False, True):
        session_id = start(a_spec(isolated=apart), journal)
        run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 100)  # noqa: B023  # it is started
        begun, bars = time.perf_counter(), journal.session(session_id).bars
        run(session_id, journal)
        took[apart] = (time.perf_counter() - begun) / (500 - bars) * 1_000
    with capsys.disabled():
        print(f"\na bar: {took[False]:.2f} ms here, {took[True]:.2f} ms apart, on {os.cpu_count()} cores")
    assert took[True] < 10 * took[False] + 5
    journal.close()
