"""One set of servers a folder: a lock held by the process that runs them, and a record of what it started."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pregao.core.errors import PregaoError


@dataclass
class Holder:
    """Who runs the servers of a folder.

    Attributes:
        command: what was typed, for example ``pregao demo``.
        pid, started_at: the process and its creation time, seconds since 1970.
        addresses: name of each server -> URL.
        children: name -> (process id, creation time) of what it started.
    """

    command: str
    pid: int
    started_at: float
    addresses: dict[str, str] = field(default_factory=dict)
    children: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return same_process(self.pid, self.started_at)


def same_process(pid: int, started_at: float) -> bool:
    """Whether a process with this id runs and was created at this time."""
    try:
        return abs(psutil.Process(pid).create_time() - started_at) <= 1.0
    except psutil.NoSuchProcess:
        return False


class Record:
    """The file ``servers.json``: written whole at each change, read by the next command and by ``pregao doctor``."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "servers.json"

    def read(self) -> Holder | None:
        """What it says; None if there is none, or nothing that can be read."""
        try:
            document: dict[str, Any] = json.loads(self.path.read_text())
            document["children"] = {name: (int(pid), float(at)) for name, (pid, at) in document["children"].items()}
            return Holder(**document)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, holder: Holder) -> None:
        """Replace it."""
        temporary = self.path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(asdict(holder)))
        os.replace(temporary, self.path)

    def remove(self) -> None:
        """Forget it: nothing runs any more."""
        self.path.unlink(missing_ok=True)


@contextmanager
def only_one(folder: Path, command: str) -> Iterator[tuple[Record, Holder, Holder | None]]:
    """Hold the folder's lock while the servers run.

    Yields:
        The record, our own entry (already written) and the entry that a killed predecessor left, if any.

    Raises:
        PregaoError: another process holds the lock, or the folder cannot be written.
    """
    record = Record(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "servers.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PregaoError(
            f"The folder {folder} cannot be written: {error.strerror}.",
            "Mend its permissions or free some space, or set PREGAO_HOME to another folder.",
        ) from error
    try:
        try:
            # The system drops this lock when the process ends, however it ends.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _taken(record) from error
        left = record.read()
        holder = Holder(command=command, pid=os.getpid(), started_at=psutil.Process().create_time())
        record.write(holder)
        try:
            yield record, holder, left
        finally:
            if not any(same_process(*child) for child in holder.children.values()):
                record.remove()
    finally:
        os.close(descriptor)


def _taken(record: Record) -> PregaoError:
    for _ in range(10):
        holder = record.read()
        if holder is not None and holder.alive:
            since = time.strftime("%H:%M", time.localtime(holder.started_at))
            panel = holder.addresses.get("panel")
            use = f"Use it at {panel}, or end it" if panel else "End it"
            return PregaoError(
                f"Pregão already runs in this folder: `{holder.command}`, process {holder.pid}, since {since}.",
                f"{use} with Ctrl-C in its terminal (or `kill {holder.pid}`).",
            )
        time.sleep(0.1)
    return PregaoError("Pregão already runs in this folder.", "End it with Ctrl-C in its terminal.")
