"""A running panel over a home of its own, and a runner for its sessions in this process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from probe_market import INSTRUMENT, random_walk

from pregao.core.errors import PregaoError
from pregao.market.store import Store
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
from pregao.settings import settings

ROOT = Path(__file__).parents[2]
READY_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Panel:
    """A panel in a process of its own; `serve` and `end` may be called again and again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.journal = Journal()
        self.http = httpx.Client(base_url=self.address, timeout=30, trust_env=False)
        self._process: subprocess.Popen[str] | None = None
        self._runners: list[tuple[threading.Event, threading.Thread]] = []

    def serve(self) -> None:
        log = self.home / "panel.log"
        with log.open("w") as out:
            command = [sys.executable, "-m", "pregao_ui", "--port", str(self.port)]
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=self.home)
        deadline = time.monotonic() + READY_S
        while "Panel ready" not in log.read_text():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def end(self) -> float:
        """Seconds that it took to end after SIGTERM."""
        assert self._process is not None
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return time.monotonic() - begun

    def session(self, **changes: Any) -> str:
        """A new session of the moving-average cross on the test market."""
        values = {
            "instrument": INSTRUMENT.key,
            "timeframe": "1m",
            "strategy": "ma-cross",
            "config": {"fast": 3, "slow": 8},
            "entry_value": 5_000,
            "feed": {"speed": 0},
        }
        return start(spec_of(values | changes), self.journal)

    def run(self, session_id: str) -> threading.Thread:
        """Run a session in a thread, as the flow would in a process."""
        stop = threading.Event()

        def live() -> None:
            try:
                run(session_id, self.journal, stop=stop.is_set)
            except PregaoError:  # it shows in the session's row
                return

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        self._runners.append((stop, thread))
        return thread

    def let_go(self) -> None:
        """End the runners; their sessions stay as they are."""
        for stop, thread in self._runners:
            stop.set()
            thread.join(10)
        self._runners.clear()


@pytest.fixture(scope="session")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """The panel over a store with one synthetic market of 1,500 minutes; no Prefect, no MLflow."""
    home = tmp_path_factory.mktemp("panel")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, home / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREGAO_HOME", str(home))
        patch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
        patch.setenv("PREGAO_PANEL_RATE", "0")
        patch.setenv("PREGAO_MLFLOW_PORT", str(free_port()))
        for name in ("PREGAO_DATABASE_URL", "PREGAO_MLFLOW_URI", "PREGAO_PANEL_TOKEN", "PYTHONDONTWRITEBYTECODE"):
            patch.delenv(name, raising=False)
        settings.cache_clear()
        Store().write(random_walk(1_500))
        running = Panel(home)
        running.serve()
        yield running
        running.let_go()
        running.end()
        running.journal.close()
        running.http.close()
    settings.cache_clear()


@pytest.fixture(autouse=True)
def _own_home(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests of other parts in the same process may have read other settings meanwhile."""
    if "panel" in request.fixturenames:
        running = request.getfixturevalue("panel")
        os.environ["PREGAO_HOME"] = str(running.home)
        settings.cache_clear()
        yield
        running.let_go()
        return
    yield


class Events:
    """A reader of server-sent events over a real connection."""

    def __init__(self, panel: Panel, session_id: str, query: str = "", last_id: int | None = None) -> None:
        headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        self._context = panel.http.stream("GET", f"/api/sessions/{session_id}/events?{query}", headers=headers)
        self.response = self._context.__enter__()

    def __iter__(self) -> Iterator[tuple[str, int | None, Any]]:
        """``(event, id, data)`` of each event."""
        name, number, data = "message", None, ""
        for line in self.response.iter_lines():
            key, _, value = line.partition(": ")
            if not line and data:
                yield name, number, json.loads(data)
                name, number, data = "message", None, ""
            elif key == "event":
                name = value
            elif key == "id":
                number = int(value)
            elif key == "data":
                data = value

    def close(self) -> None:
        self._context.__exit__(None, None, None)


@pytest.fixture
def events() -> Iterator[Any]:
    opened: list[Events] = []

    def connect(*args: Any, **named: Any) -> Events:
        opened.append(Events(*args, **named))
        return opened[-1]

    yield connect
    for reader in opened:
        reader.close()
