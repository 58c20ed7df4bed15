"""Small documents that hold secrets: JSON files that only their owner can read (mode 0600), changed as a whole.

They lie in ``var/private``, outside of git, of what is versioned and of what backups and exports take. A file that
others could read is closed to them before anything is read from it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pregao.core.errors import PregaoError
from pregao.settings import settings

Document = dict[str, Any]


def path_of(name: str) -> Path:
    """Where the document of this name is kept."""
    return settings().var / "private" / f"{name}.json"


def read(name: str) -> Document:
    """A document as it is now; empty if there is none.

    Raises:
        PregaoError: if it cannot be read, or is no JSON.
    """
    path = path_of(name)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)
            content = file.read()
        found = json.loads(content)
        if not isinstance(found, dict):
            raise ValueError
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PregaoError(
            f"{path} cannot be read: {error.strerror}.", "Check who owns it and its permissions."
        ) from None
    except ValueError:
        raise PregaoError(f"{path} is damaged.", "Move it away, and set again what was in it.") from None
    return found


@contextmanager
def changing(name: str) -> Iterator[Document]:
    """The document, to be changed in place; written when the block ends well. One process at a time.

    Raises:
        PregaoError: as `read`, and if it cannot be written; the old document is there then.
    """
    path = path_of(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PregaoError(f"{path} cannot be written: {error.strerror}.", "Check who owns its folder.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = read(name)
        yield document
        _write(path, json.dumps(document, indent=1).encode())
    finally:
        os.close(lock)


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{uuid4().hex}.part")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise PregaoError(f"{path} cannot be written: {error.strerror}.", "Free disk space, and try again.") from None
    finally:
        unfinished.unlink(missing_ok=True)
