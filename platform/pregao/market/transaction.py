"""Several files changed as one: all of them or none, whenever the process is killed.

The new contents are written beside, then a *manifest* that says where each of them goes; from then on the change is
decided. Moving them is repeatable, so that whoever finds a manifest can finish it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pregao.market.atomic import disk_errors, write_atomic


class Transaction:
    """New contents and removals of files below one folder, to be made at once.

    Args:
        root: the folder; all paths are below it.
        manifest: the file that decides the change; one transaction uses it at a time.
        scratch: a folder on the same disk for the contents that wait.
    """

    def __init__(self, root: Path, manifest: Path, scratch: Path) -> None:
        self._root = root
        self._manifest = manifest
        self._scratch = scratch
        self._moves: list[tuple[str, str]] = []
        self._removals: list[str] = []

    def put(self, path: Path, content: bytes) -> None:
        """Let ``path`` have this content."""
        waiting = self._scratch / f"{uuid4().hex}.part"
        with disk_errors(path):
            self._scratch.mkdir(parents=True, exist_ok=True)
            self._moves.append((self._relative(waiting), self._relative(path)))
            with open(waiting, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

    def remove(self, path: Path) -> None:
        """Let there be no ``path``."""
        self._removals.append(self._relative(path))

    def finish(self) -> None:
        """Make the change. One single file is moved into its place without a manifest: that is whole by itself."""
        if len(self._moves) + len(self._removals) > 1:
            document = {"moves": self._moves, "removals": self._removals}
            write_atomic(self._manifest, json.dumps(document).encode(), self._scratch)
            finish_interrupted(self._root, self._manifest)
        else:
            _apply(self._root, self._moves, self._removals)
        self._moves, self._removals = [], []

    def abandon(self) -> None:
        """Drop what has not been finished."""
        for waiting, _ in self._moves:
            (self._root / waiting).unlink(missing_ok=True)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def finish_interrupted(root: Path, manifest: Path) -> None:
    """Finish the change that a manifest decides, if there is one; called by whoever holds the lock of its files."""
    try:
        decided = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        return
    _apply(root, decided["moves"], decided["removals"])
    manifest.unlink(missing_ok=True)


def _apply(root: Path, moves: list[tuple[str, str]], removals: list[str]) -> None:
    with disk_errors(root):
        for waiting, name in moves:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # What is no longer waiting was moved by the one that was killed.
            with suppress(FileNotFoundError):
                os.replace(root / waiting, path)
        for name in removals:
            (root / name).unlink(missing_ok=True)
