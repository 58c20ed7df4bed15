"""Where the processes of strategies are born: a process that has imported what every one of them needs, and forks.

A cell started from nothing imports for a second and keeps some 80 MB for itself. Forked from here it is there in
milliseconds and shares those pages, so that hundreds of sessions fit one machine. The nursery runs no strategy and no
plugin, and has one thread; each cell still is a process of its own, in a session of its own, that is killed with all
that it has started. `Nursery` is the runner's side, `main` the other one.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("!Q")
_REAP_S = 1.0
_BURIAL_S = 0.5
_KNOWN = ("pregao.sessions.cell", "numba")
"""What cells need anyhow: strategies of compiled steps import Numba, and half of a cell's memory would be its copy."""


class Cell:
    """A strategy's process. Its number stays its own until `end`, whatever became of it."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery

    def wait(self, timeout_s: float) -> int | None:
        """How it ended, as `subprocess.Popen.returncode` has it; None if it has not within ``timeout_s`` seconds."""
        until = time.monotonic() + timeout_s
        while True:
            status = self._nursery.request({"look": self.pid}).get("status")
            if status is not None or time.monotonic() >= until:
                return status
            time.sleep(0.02)

    def end(self) -> None:
        """Kill it with all that it has started."""
        try:
            self._nursery.request({"end": self.pid})
        except OSError:  # the nursery is gone, and its cells with it; this one may hang where it does not notice
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


class Nursery:
    """The runner's line to its nursery, started at the first cell and again should it have been killed. Thread safe."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._owner = 0

    def start(self, line: int, arguments: tuple[str, ...], log: Path | None) -> Cell:
        """A new cell.

        Args:
            line: file descriptor of the cell's end of its line; the cell gets a copy.
            arguments: as of `cell.live`.
            log: where what it prints goes; None throws it away.

        Raises:
            OSError: if no process can be started.
        """
        asked = {
            "start": arguments, "log": str(log) if log is not None else os.devnull,
            "environment": dict(os.environ), "path": sys.path, "folder": str(Path.cwd()),
        }  # fmt: skip
        with self._turn:
            self._ready()
            answer = self._ask(asked, line)
        if "failed" in answer:
            raise OSError(answer["failed"])
        return Cell(self, int(answer["pid"]))

    def request(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Ask about a cell. Raises `OSError` if its nursery is gone."""
        with self._turn:
            if self._line is None or self._owner != os.getpid():
                raise OSError("the nursery is gone")
            return self._ask(asked)

    def _ready(self) -> None:
        """Start the nursery if there is none; a fork of its runner gets one of its own."""
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return
        if self._line is not None:
            self._line.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pregao.sessions.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
                # A core a strategy: threads of their own would be hundreds.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self._line, self._owner = ours, os.getpid()

    def _ask(self, asked: dict[str, Any], descriptor: int | None = None) -> dict[str, Any]:
        assert self._line is not None
        try:
            _send(self._line, asked, [] if descriptor is None else [descriptor])
            return _receive(self._line)[0]
        except (OSError, EOFError) as error:
            self._line.close()
            self._line = None
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None
            raise OSError("the nursery is gone") from error


NURSERY = Nursery()
"""This process's."""


def _send(line: socket.socket, message: dict[str, Any], descriptors: list[int]) -> None:
    body = json.dumps(message).encode()
    socket.send_fds(line, [_LENGTH.pack(len(body))], descriptors)
    line.sendall(body)


def _receive(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and its file descriptors; raises `EOFError` at the end."""
    head, descriptors, _flags, _address = socket.recv_fds(line, _LENGTH.size, 1)
    (left,) = _LENGTH.unpack(head + _exactly(line, _LENGTH.size - len(head)))
    return json.loads(_exactly(line, left)), descriptors


def _exactly(line: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = line.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class _Births:
    """The nursery itself: cells forked, looked at, ended."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._living: set[int] = set()
        self._dying: set[int] = set()

    def serve(self) -> None:
        """Answer until the runner has gone; its cells go too."""
        try:
            while True:
                ready, _, _ = select.select([self._line], [], [], _REAP_S if self._dying else None)
                self._bury()
                if ready:
                    asked, descriptors = _receive(self._line)
                    _send(self._line, self._done(asked, descriptors), [])
        except (EOFError, OSError):
            for pid in self._living:
                _kill(pid)

    def _done(self, asked: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        if "start" in asked:
            try:
                pid = os.fork()
            except OSError as error:
                return {"failed": str(error)}
            finally:
                if "pid" not in locals() or pid != 0:
                    for descriptor in descriptors:
                        os.close(descriptor)
            if pid == 0:
                self._line.close()
                _be(asked, descriptors[0])
            self._living.add(pid)
            return {"pid": pid}
        if "end" in asked:
            pid = asked["end"]
            if pid in self._living:
                _kill(pid)
                self._living.discard(pid)
                self._dying.add(pid)
                until = time.monotonic() + _BURIAL_S
                while pid in self._dying and time.monotonic() < until:
                    self._bury()
                    time.sleep(0.001)
            return {}
        return {"status": self._look(asked["look"])}

    def _look(self, pid: int) -> int | None:
        """How a cell ended; it is not buried yet, so that its number is not another's."""
        if pid not in self._living:
            return None
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _bury(self) -> None:
        for pid in list(self._dying):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                self._dying.discard(pid)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # it may have been killed before it had a group of its own
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _be(asked: dict[str, Any], line: int) -> None:
    """The rest of this process's life is that of a cell."""
    status = 1
    try:
        os.setsid()
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.path[:] = asked["path"]
        os.chdir(asked["folder"])
        importlib.invalidate_caches()
        output = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        from pregao.sessions.cell import live

        live(line, os.getppid(), *asked["start"])
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Argument: the file descriptor of the line to the runner."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = socket.socket(fileno=int(sys.argv[1]))
    for module in _KNOWN:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection that touched these objects would copy their pages into every cell
    _Births(line).serve()


if __name__ == "__main__":
    main()
