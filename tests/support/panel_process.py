"""A panel in a process of its own over this process's home, with sessions, their runners, readers of its stream."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from free_ports import free_port
from probe_market import INSTRUMENT

from pregao.core.errors import PregaoError
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run

PASSWORD = "maritaca na varanda"
"""Of the panel, where a test locks it."""
READY_S = 180.0
END_S = 20.0
"""Within which the panel ends by itself; then it is killed."""


class Panel:
    """A panel in a process of its own; `serve` and `end` may be called again and again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.journal = Journal()
        self.http = httpx.Client(base_url=self.address, timeout=120, trust_env=False)
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

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self) -> float:
        """Seconds that it took to end after SIGTERM."""
        assert self._process is not None
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_S)
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

    def play(self, session_id: str) -> None:
        """Run a session to its end; where the engine has changed, it is compiled first."""
        thread = self.run(session_id)
        thread.join(240)
        assert not thread.is_alive()

    def let_go(self) -> None:
        """End the runners; their sessions stay as they are."""
        for stop, _ in self._runners:
            stop.set()
        for _, thread in self._runners:
            thread.join(60)
            assert not thread.is_alive()
        self._runners.clear()


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
