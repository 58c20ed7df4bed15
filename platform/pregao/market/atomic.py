"""Files that are whole or not there: atomic writes, one writer at a time, errors that a person can act on."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pregao.core.errors import PregaoError


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or forbidden disk under ``path`` into a `PregaoError`; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PregaoError(
                f"The disk that holds {path} is full; what was stored before is unharmed.",
                "Free some space (`pregao doctor` shows how much is left) and run the same command again.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PregaoError(f"{path} cannot be written.", "Check who owns it and its permissions.") from error
        raise


def write_atomic(path: Path, content: bytes, scratch: Path) -> None:
    """Put ``content`` at ``path``: readers see the old file or the new one, never a part, even after a crash.

    Args:
        path: the file; its folder is created.
        content: all of it.
        scratch: a folder on the same disk for the unfinished file, outside of what is versioned.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        unfinished = scratch / f"{uuid4().hex}.part"
        try:
            with open(unfinished, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def remove_leftovers(scratch: Path, older_than_s: float = 3_600.0) -> None:
    """Delete the unfinished files that killed writers left behind; what is younger may still be written."""
    for path in scratch.glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink()


_held: set[int] = set()
_changing = threading.Lock()


@contextmanager
def lent_locks() -> Iterator[tuple[int, ...]]:
    """Descriptors of the locks that this process holds, to be inherited by a child: they are free once it has ended."""
    with _changing:
        lent = tuple(os.dup(handle) for handle in _held)
    try:
        yield lent
    finally:
        for handle in lent:
            os.close(handle)


@contextmanager
def exclusive(lock: Path, timeout_s: float = 120.0) -> Iterator[None]:
    """Hold ``lock`` alone among all processes and threads; the system frees it when its holder dies.

    Raises:
        PregaoError: if another process keeps it for longer than ``timeout_s`` seconds.
    """
    handle = _acquire(lock, fcntl.LOCK_EX, timeout_s)
    try:
        yield
    finally:
        _release(handle)


@contextmanager
def shared(lock: Path, gate: Path, timeout_s: float = 120.0) -> Iterator[None]:
    """Hold ``lock`` together with others that share it, while nobody holds it alone.

    Who wants it alone holds ``gate`` while waiting, so that a stream of sharers cannot keep it out for ever.

    Raises `PregaoError` as `exclusive`.
    """
    with exclusive(gate, timeout_s):
        handle = _acquire(lock, fcntl.LOCK_SH, timeout_s)
    try:
        yield
    finally:
        _release(handle)


def _release(handle: int) -> None:
    with _changing:
        _held.discard(handle)
        os.close(handle)


def _acquire(lock: Path, kind: int, timeout_s: float) -> int:
    """A file descriptor that holds the lock until it is closed."""
    with disk_errors(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + timeout_s
    wait = 0.001
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            with _changing:
                _held.add(handle)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise PregaoError(
                    f"Another process has been writing to {lock.parent} for {timeout_s:.0f} s.",
                    "Wait for it to end, then run the same command again.",
                ) from None
            time.sleep(wait)
            wait = min(2 * wait, 0.02)
        except BaseException:
            os.close(handle)
            raise
