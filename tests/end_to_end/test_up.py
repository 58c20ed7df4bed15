"""`pregao up` as a person uses it: all servers start, answer, come back when killed, and end with one Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from free_ports import free_port
from waiting import wait

from pregao.operations.ports import is_free
from pregao.operations.processes import answers, child_environment

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900)]

PREGAO = str(Path(sys.executable).parent / "pregao")


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    taken = {f"PREGAO_{name}_PORT": str(free_port()) for name in ("PANEL", "PREFECT", "MLFLOW")}
    # As on a machine that is told of a server elsewhere: `pregao up` uses its own all the same.
    return child_environment({"PREGAO_HOME": str(home), "PREFECT_API_URL": "http://127.0.0.1:9/api", **taken})


class Up:
    """A running `pregao up` and what it has said."""

    def __init__(self, environment: dict[str, str], home: Path) -> None:
        self.environment = environment
        self.record = home / "var" / "servers.json"
        self.said = home / "said.txt"
        with self.said.open("w") as file:
            self.process = subprocess.Popen(
                [PREGAO, "up", "--no-browser"], env=environment, stdout=file, stderr=file, start_new_session=True
            )

    def until(self, look: Callable[[], Any], seconds: float = 240) -> Any:
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.1)
        return seen

    def ready(self) -> dict[str, Any]:
        self.until(lambda: "Ready after" in self.said.read_text())
        found: dict[str, Any] = json.loads(self.record.read_text())
        return found

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def up(environment: dict[str, str], home: Path) -> Iterator[Up]:
    started = Up(environment, home)
    yield started
    if started.process.poll() is None:
        started.process.terminate()
        started.process.wait(180)


def test_up_and_down(up: Up, home: Path) -> None:
    record = up.ready()
    pages = record["addresses"]
    assert answers(f"{pages['panel']}/api/health")
    assert answers(f"{pages['prefect']}/api/health")
    assert answers(f"{pages['mlflow']}/health")
    assert record["children"].keys() == {"prefect", "flows", "panel", "mlflow", "mlflow-database"}

    # A second one in the same folder: one sentence, the mend, status 1; the first does not notice.
    for command in ("up", "demo"):
        second = subprocess.run(
            [PREGAO, command], env=up.environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert second.returncode == 1
        assert "already runs in this folder: `pregao up`" in second.stderr
        assert pages["panel"] in second.stderr
        assert "Traceback" not in second.stderr
    # The doctor knows the ports as ours.
    doctor = subprocess.run(
        [PREGAO, "doctor"], env=up.environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert (doctor.returncode, doctor.stdout.count("in use by `pregao up` of this folder")) == (0, 3)

    # A server that is killed comes back, and a run that was lost with its runner is not left as running.
    pid, _ = record["children"]["flows"]
    os.kill(pid, signal.SIGKILL)
    up.until(lambda: "The runner of the flows is back." in up.said.read_text())
    assert "The runner of the flows ended (status -9); starting it again." in up.said.read_text()

    family = up.family()
    assert len(family) >= 5
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(180) == 0, up.said.read_text()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    ports = [int(up.environment[f"PREGAO_{name}_PORT"]) for name in ("PANEL", "PREFECT", "MLFLOW")]
    assert all(is_free("127.0.0.1", port) for port in ports)
    assert not up.record.exists()
    assert "Everything that was started has ended." in up.said.read_text()


def test_the_demo_does_not_begin_a_check_that_no_browser_can_make(environment: dict[str, str], home: Path) -> None:
    without = {**environment, "PREGAO_CHROMIUM": str(home / "nothing")}
    done = subprocess.run(
        [PREGAO, "demo", "--check"], env=without, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 1
    assert "Chromium" in done.stderr
    assert "apt install chromium" in done.stderr
    assert not (home / "var").exists()


def test_a_port_in_use_is_told_before_anything_starts(environment: dict[str, str], home: Path) -> None:
    port = int(environment["PREGAO_MLFLOW_PORT"])
    taker = f"import socket, time; s = socket.socket(); s.bind(('127.0.0.1', {port})); s.listen(); time.sleep(180)"
    with subprocess.Popen([sys.executable, "-c", taker]) as other:
        wait(lambda: not is_free("127.0.0.1", port))
        done = subprocess.run([PREGAO, "up"], env=environment, capture_output=True, text=True, timeout=150, check=False)
        other.kill()
    assert done.returncode == 1
    assert f"Port {port}, which the MLflow server needs" in done.stderr
    assert f"process {other.pid}" in done.stderr
    assert "PREGAO_MLFLOW_PORT=" in done.stderr
    assert not (home / "var" / "logs").exists()


def test_what_a_killed_one_leaves_is_ended_by_the_next(environment: dict[str, str], home: Path) -> None:
    first = Up(environment, home)
    first.until(lambda: answers(f"http://127.0.0.1:{environment['PREGAO_PREFECT_PORT']}/api/health"))
    family = first.family()
    first.process.kill()
    first.process.wait()
    assert any(process.is_running() for process in family)
    second = Up(environment, home)
    try:
        second.until(lambda: "was killed and left these running, now ended:" in second.said.read_text())
        second.until(lambda: not any(process.is_running() for process in family))
    finally:
        second.process.send_signal(signal.SIGTERM)  # in the middle of starting
        assert second.process.wait(180) == 0, second.said.read_text()
    assert not second.record.exists()
