"""Several machines: hosts pulled through a Prefect work pool share the sessions of one PostgreSQL database."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from free_ports import free_port
from postgres import Postgres
from prefect.settings import PREFECT_API_URL, temporary_settings
from probe_market import INSTRUMENT, MINUTE, random_walk
from waiting import wait

from pregao.market.store import Store
from pregao.operations.processes import child_environment
from pregao.operations.servers import running
from pregao.sessions import hosts
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
from pregao.settings import Settings, settings
from pregao_flows import client
from pregao_flows.supervise import supervise

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(1_200)]
ROOT = Path(__file__).parents[2]
POOL = "machines"
BARS = 800


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="pregao-pg-"))
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def api(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Prefect server, a work pool with the deployment of hosts, and a home whose sessions are in PostgreSQL."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, home / name)
    monkeypatch.setenv("PREGAO_HOME", str(home))
    monkeypatch.setenv("PREGAO_DATABASE_URL", postgres.create("sessions"))
    settings.cache_clear()
    own = Settings(home=home, prefect_port=free_port(), database_url="", mlflow_uri="", dvc_remote="")
    with running(own, "the tests", print, ("prefect",)) as servers:
        servers.start()
        servers.wait()
        url = f"{servers.addresses['prefect']}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        settings.cache_clear()
        with temporary_settings({PREFECT_API_URL: url}):
            prefect("work-pool", "create", POOL, "--type", "process")
            deploy()
            yield url
    settings.cache_clear()


def prefect(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        env=child_environment({}), capture_output=True, text=True, timeout=180, check=True,
    ).stdout  # fmt: skip


def deploy() -> None:
    """As `prefect deploy --all --pool machines` does, for the one flow."""
    from prefect.deployments.runner import EntrypointType

    from pregao_flows.host_sessions import host_sessions

    hosting = host_sessions.to_deployment("host-sessions", entrypoint_type=EntrypointType.MODULE_PATH)
    hosting.work_pool_name = POOL
    hosting.apply()


def machine(name: str, log: Path) -> subprocess.Popen[bytes]:
    """A worker that runs one host at a time."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--limit", "1", "--name", name]
    with log.open("wb") as output:
        return subprocess.Popen(command, env=child_environment({}), stdout=output, stderr=output)


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        each.kill()


def test_a_killed_machine_leaves_its_sessions_to_the_others(api: str, tmp_path: Path) -> None:
    Store().write(random_walk(BARS))
    journal = Journal()
    asked: dict[str, Any] = {
        "instrument": INSTRUMENT.key, "timeframe": MINUTE.name, "strategy": "ma-cross", "feed": {"speed": 8},
        "config": {"fast": 3, "slow": 8},
    }  # fmt: skip
    workers = [machine(name, tmp_path / f"{name}.log") for name in ("a", "b")]
    try:
        runs = [client.run_host(20), client.run_host(20)]
        wait(lambda: len(hosts.live_hosts(journal)) == 2)
        assert {client.get(each).state_type for each in runs} == {"RUNNING"}
        many = [start(spec_of(asked), journal) for _ in range(8)]
        for each in many:
            assert hosts.offer(journal, each)
        alone = start(spec_of(asked), journal)
        undisturbed = threading.Thread(target=run, args=(alone, Journal()))
        undisturbed.start()
        wait(lambda: all(journal.session(each).bars > 5 for each in many))
        before = {each: journal.session(each).runner for each in many}
        runners = sorted(set(before.values()))
        assert [list(before.values()).count(runner) for runner in runners] == [4, 4]
        gone = int(runners[0].rpartition(":")[2])
        worker = next(w for w in workers if gone in [c.pid for c in psutil.Process(w.pid).children(recursive=True)])
        kill(worker.pid)
        bars = {each: journal.session(each).bars for each in many}
        wait(lambda: all(journal.session(each).bars > bars[each] + 5 for each in many))
        row = {each: journal.session(each) for each in many}
        assert {r.runner for r in row.values()} == {runners[1]}
        taken = [each for each in many if before[each] == runners[0]]
        assert [row[each].epoch for each in many] == [1 + (each in taken) for each in many]
        # What supervises sees the dead host once, and asks for another, which waits for a machine.
        wait(lambda: hosts.dead(journal))
        assert supervise(return_state=True).is_completed()
        assert hosts.dead(journal) == []
        assert any(found.state_type == "SCHEDULED" for found in client.host_runs())
        assert len(client.session_runs(many[0])) == 0  # none was started on its own
        wait(lambda: all(journal.session(each).status == "finished" for each in many), 300)
        undisturbed.join(60)
        ends = {(journal.session(each).last_seq, journal.session(each).chain) for each in [*many, alone]}
        assert len(ends) == 1
    finally:
        for worker in workers:
            if worker.poll() is None:
                kill(worker.pid)
            worker.wait(30)
        journal.close()
