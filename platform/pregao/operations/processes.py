"""Child processes: start with a log, wait until they answer, end exactly what was started."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from threading import Event

import psutil

from pregao.core.errors import PregaoError
from pregao.settings import QUIET

LOG_BYTES = 5_000_000
"""A log larger than this is set aside (``.old``) when its process starts."""

_LOOPBACK = "127.0.0.1,localhost"
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child: this one's, quiet, with compiled modules, loopback past any proxy, and ``extra``."""
    environment = {**QUIET, **os.environ, "PYTHONUNBUFFERED": "1"}
    # Without .pyc files each import is two to four times slower.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (environment.get(name), _LOOPBACK)))
    return {**environment, **extra}


def answers(url: str, timeout: float = 2.0) -> bool:
    """Whether ``url`` answers a GET with a status below 400, or asks who we are, within ``timeout`` seconds."""
    try:
        with _direct.open(url, timeout=timeout):
            return True
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)  # a panel with an access token
    except (OSError, ValueError, HTTPException):
        return False  # nobody, or who speaks no HTTP: also we, since a call to a port of nobody's can meet itself


def tail(path: Path, lines: int = 12) -> str:
    """The last ``lines`` non-empty lines of a text file; empty if there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 20_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])


class Child:
    """One process of ours in a process group of its own, so that a Ctrl-C on the terminal does not reach it.

    Args:
        name: short, also the name of its log.
        title: what it is called in messages; the name if none is given.
        argv: the command.
        logs: folder of ``<name>.log``, where its standard output and error go.
        environment: added to `child_environment`.
        health: URL that answers once it is ready; None if there is none.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        logs: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        health: str | None = None,
        title: str = "",
    ) -> None:
        self.name = name
        self.title = title or name
        self.argv = list(argv)
        self.log = logs / f"{name}.log"
        self.environment = dict(environment or {})
        self.cwd = cwd
        self.health = health
        self._process: subprocess.Popen[bytes] | None = None
        self._known: psutil.Process | None = None

    def start(self) -> None:
        """Start it; a `PregaoError` tells why it cannot be."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
                os.replace(self.log, self.log.with_suffix(".log.old"))
            with self.log.open("ab") as log:
                log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(self.argv)}\n".encode())
                log.flush()
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=child_environment(self.environment),
                    cwd=self.cwd,
                    start_new_session=True,
                )
        except OSError as error:
            raise PregaoError(
                f"The {self.title} could not be started: {error}.",
                "Check the free space and your permissions; `pregao doctor` looks at both.",
            ) from error
        try:
            self._known = psutil.Process(self._process.pid)
        except psutil.NoSuchProcess:
            self._known = None

    @property
    def pid(self) -> int:
        """Its process id; it must have been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def started_at(self) -> float:
        """Its creation time, seconds since 1970; with the process id it identifies it for good."""
        return self._known.create_time() if self._known else 0.0

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll() if self._process else None

    def died(self, doing: str) -> PregaoError:
        """The error for its early death, with the end of its log."""
        last = "\n    ".join(tail(self.log).splitlines())
        return PregaoError(
            f"The {self.title} ended {doing} (status {self.status}).",
            f"The end of {self.log}:\n    {last}\n  `pregao doctor` checks ports, disk and versions.",
        )

    def wait_until_healthy(self, timeout: float, abort: Event) -> None:
        """Return once ``health`` answers.

        Raises:
            PregaoError: it died, did not answer within ``timeout`` seconds, or ``abort`` was set.
        """
        assert self.health is not None
        deadline = time.monotonic() + timeout
        while not answers(self.health):
            if abort.wait(0.1):
                raise PregaoError(f"The {self.title} was not waited for: stopping.")
            if not self.running:
                raise self.died("while starting")
            if time.monotonic() > deadline:
                raise PregaoError(
                    f"The {self.title} did not answer at {self.health} within {timeout:.0f} seconds.",
                    f"Read {self.log}; on a slow machine try again, since the second start is faster.",
                )

    def wait_until_done(self, timeout: float, abort: Event) -> None:
        """Wait for a process that does one piece of work and ends; raise a `PregaoError` unless it succeeds."""
        deadline = time.monotonic() + timeout
        while self.running:
            if abort.wait(0.05):
                raise PregaoError(f"The {self.title} was not waited for: stopping.")
            if time.monotonic() > deadline:
                raise PregaoError(f"The {self.title} did not end within {timeout:.0f} seconds.", f"Read {self.log}.")
        if self.status != 0:
            raise self.died("with an error")

    def ask_to_end(self) -> list[psutil.Process]:
        """Send SIGTERM and return at once with the processes to wait for: it and its descendants."""
        if not self.running or self._known is None:
            return []
        family = family_of(self._known)
        assert self._process is not None
        self._process.terminate()
        return family

    def end(self, grace: float = 10.0) -> None:
        """End it and all that it started: SIGTERM, ``grace`` seconds, then SIGKILL for what is left."""
        finish(self.ask_to_end(), grace)
        if self._process is not None:
            self._process.wait()


def family_of(process: psutil.Process) -> list[psutil.Process]:
    """A process and its descendants, each identified by id and creation time."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def finish(family: list[psutil.Process], grace: float) -> None:
    """Wait for a process that was asked to end (the first) and for its descendants; kill what is left at the end.

    A descendant that outlives the first one is asked as well. All have ``grace`` seconds together. psutil compares
    creation times before each signal, so a process id that was used again is never hit.
    """
    deadline = time.monotonic() + grace
    psutil.wait_procs(family[:1], timeout=grace)
    for ask in ("terminate", "kill"):
        _, family = psutil.wait_procs(family, timeout=0)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                getattr(process, ask)()
        psutil.wait_procs(family, timeout=max(0.5, deadline - time.monotonic()))


def end_recorded(pid: int, started_at: float, grace: float = 10.0) -> bool:
    """End a process known from a record, and its descendants, if it still is the very process of the record.

    Args:
        pid: the process id.
        started_at: its creation time in seconds since 1970, as recorded.

    Returns:
        Whether there was such a process.
    """
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - started_at) > 1.0:
            return False
        family = family_of(process)
        process.terminate()
    except psutil.NoSuchProcess:
        return False
    finish(family, grace)
    return True
