"""A real MLflow server on loopback that can be killed, and a line to it that can be cut at a request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from free_ports import free_port


class MlflowServer:
    """``mlflow server`` on SQLite in a folder; the folder outlives the process. A context starts and kills it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PREGAO_MLFLOW_URI")}
        environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
                    *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
                    *("--artifacts-destination", str(self.folder / "artifacts")),
                ],
                stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return
            assert self._process.poll() is None, (self.folder / "server.log").read_text()[-2_000:]
            assert time.monotonic() < deadline, "the MLflow server does not start"
            time.sleep(0.1)

    def __enter__(self) -> MlflowServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL, the server and its worker."""
        process, self._process = self._process, None  # at once: another thread may start it again while this one waits
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Line:
    """A TCP relay to a port that can be cut, and mended again."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = free_port()
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Nobody gets through any more, and who was connected is dropped."""
        if self._listener is not None:
            # Closing alone would not wake the thread that waits in `accept`.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:  # nobody is there: hang up
                    near.close()
                    continue
                with self._lock:
                    self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    @staticmethod
    def _relay(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)


class Requests:
    """Counts the requests that this process sends, and does something at one of them.

    Attributes:
        sent: method and path of each, in order.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self.sent: list[str] = []
        self._at: int | None = None
        self._before: Any = None
        self._after: Any = None
        real = requests.adapters.HTTPAdapter.send

        def send(adapter: Any, request: Any, *arguments: Any, **options: Any) -> Any:
            path = request.path_url.split("?")[0]
            self.sent.append(f"{request.method} {path}")
            here = len(self.sent) == self._at
            if here and self._before is not None:
                self._before()
            answer = real(adapter, request, *arguments, **options)
            if here and self._after is not None:
                # The request was carried out, and its answer is lost.
                self._after()
                raise requests.ConnectionError("Connection aborted")
            return answer

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)

    def arm(self, at: int | None = None, *, before: Any = None, after: Any = None) -> None:
        """Count from 0 again; do ``before`` or ``after`` at the ``at``-th request from now."""
        self.sent, self._at, self._before, self._after = [], at, before, after
