"""Children are started with a log, waited for, and ended: they, what they started, and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest
from free_ports import free_port
from waiting import wait

from pregao.core.errors import PregaoError
from pregao.operations.processes import LOG_BYTES, Child, answers, child_environment, end_recorded, tail

SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready'.upper(), flush=True); time.sleep(600)"
)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.end(grace=0.1)


def start(started: list[Child], tmp_path: Path, code: str, **more: object) -> Child:
    child = Child("thing", [sys.executable, "-c", code], logs=tmp_path / "logs", **more)  # type: ignore[arg-type]
    started.append(child)
    child.start()
    return child


def wait_for_log(child: Child, text: str) -> None:
    wait(lambda: text in child.log.read_text())


def test_a_child_logs_and_ends(started: list[Child], tmp_path: Path) -> None:
    child = start(started, tmp_path, "import time; print('olá', flush=True); time.sleep(600)")
    wait_for_log(child, "olá")
    assert child.running
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)  # a Ctrl-C on our terminal does not reach it
    child.end()
    assert not child.running
    assert not psutil.pid_exists(child.pid)


def test_a_child_that_ignores_the_request_is_killed_after_the_grace(started: list[Child], tmp_path: Path) -> None:
    child = start(started, tmp_path, STUBBORN)
    wait_for_log(child, "READY")
    begun = time.monotonic()
    child.end(grace=0.3)
    assert not psutil.pid_exists(child.pid)
    assert 0.3 <= time.monotonic() - begun < 9  # the usual grace is longer


def test_what_a_child_started_ends_with_it_and_a_bystander_does_not(started: list[Child], tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", SLEEPER])
    try:
        code = (
            f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); "
            "print(p.pid, flush=True); p.wait()"
        )
        child = start(started, tmp_path, code)
        wait_for_log(child, "\n")
        wait(lambda: tail(child.log, 1).isdigit())
        grandchild = int(tail(child.log, 1))
        child.end()
        assert not psutil.pid_exists(grandchild)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_an_early_death_is_told_with_the_end_of_the_log(started: list[Child], tmp_path: Path) -> None:
    code = "import sys; print('no room left'); sys.exit(3)"
    child = start(started, tmp_path, code, health=f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(PregaoError, match=r"The thing ended while starting \(status 3\)") as caught:
        child.wait_until_healthy(90, Event())
    assert "no room left" in caught.value.mend
    assert "pregao doctor" in caught.value.mend


def test_waiting_is_bounded_and_can_be_given_up(started: list[Child], tmp_path: Path) -> None:
    child = start(started, tmp_path, SLEEPER, health=f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(PregaoError, match=r"did not answer .* within 0 seconds"):
        child.wait_until_healthy(0.2, Event())
    abort = Event()
    abort.set()
    with pytest.raises(PregaoError, match="stopping"):
        child.wait_until_healthy(90, abort)


def test_health_and_work_done(started: list[Child], tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    server = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
    start(started, tmp_path, server, health=url).wait_until_healthy(90, Event())
    assert answers(url)
    assert not answers(url + "nothing-here")
    start(started, tmp_path, "pass").wait_until_done(90, Event())
    with pytest.raises(PregaoError, match="with an error"):
        start(started, tmp_path, "raise SystemExit(1)").wait_until_done(90, Event())


def test_the_environment_is_quiet_compiled_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("NO_PROXY", "intranet")
    found = child_environment({"EXTRA": "1"})
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert found["DO_NOT_TRACK"] == "true"
    assert found["EXTRA"] == "1"


def test_a_large_log_is_set_aside(started: list[Child], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "thing.log").write_bytes(b"x" * (LOG_BYTES + 1))
    child = start(started, tmp_path, "pass")
    child.wait_until_done(90, Event())
    assert child.log.stat().st_size < 1_000
    assert (tmp_path / "logs" / "thing.log.old").stat().st_size == LOG_BYTES + 1


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    child = Child("thing", [sys.executable, "-c", "pass"], logs=tmp_path / "logs")
    with pytest.raises(PregaoError, match="could not be started"):
        child.start()


def test_a_recorded_process_is_ended_only_if_it_is_the_very_one() -> None:
    process = subprocess.Popen([sys.executable, "-c", SLEEPER])
    try:
        born = psutil.Process(process.pid).create_time()
        assert not end_recorded(process.pid, born - 60)  # the number was used again
        assert process.poll() is None
        assert end_recorded(process.pid, born)
        assert not psutil.pid_exists(process.pid)
        assert not end_recorded(process.pid, born)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_who_speaks_no_http_does_not_answer() -> None:
    """Such as ourselves: a call to a port that nobody listens on can be met by itself, and hears its own request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=lambda: _echo(server.accept()[0]), daemon=True).start()
        assert not answers(f"http://127.0.0.1:{server.getsockname()[1]}/")


def _echo(line: socket.socket) -> None:
    with line:
        line.sendall(line.recv(1_000))
