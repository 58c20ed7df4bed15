"""The history of the data folder: mended after a kill, and carried to and from the DVC remote.

DVC's remote keeps the contents of files only. The git history that says which contents were a version goes beside them
as one file, a git bundle, so that a remote alone is enough to have everything again on another machine.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from pregao.core.errors import PregaoError
from pregao.market.git import git

BUNDLE = "pregao-versions.bundle"
_LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock", "ORIG_HEAD.lock")


def mend(root: Path) -> None:
    """Remove what a killed git or DVC left half done; called while nobody else uses the folder's git.

    Contents that were recorded stay: only locks, an unreadable ``bars.dvc`` (DVC writes it anew), an unfinished set-up
    and DVC's own notes of who works on what, where they are unreadable, are removed.
    """
    for name in _LOCKS:
        (root / ".git" / name).unlink(missing_ok=True)
    pointer, config, notes = root / "bars.dvc", root / ".dvc" / "config", root / ".dvc" / "tmp" / "rwlock"
    if pointer.exists() and not _readable(pointer):
        pointer.unlink()
    if (root / ".dvc").exists() and not (config.exists() and "check_update" in config.read_text(encoding="utf-8")):
        # DVC writes its configuration in steps. One that was recorded is brought back; else there is nothing to lose.
        if git(root, "ls-tree", "HEAD", ".dvc/config", accept=(0, 128)):
            git(root, "restore", "--source=HEAD", "--staged", "--worktree", "--", ".dvc/config")
        else:
            shutil.rmtree(root / ".dvc")
    if notes.exists():
        try:
            json.loads(notes.read_bytes())
        except ValueError:
            notes.unlink()


def _readable(pointer: Path) -> bool:
    try:
        return bool(yaml.safe_load(pointer.read_bytes())["outs"][0]["md5"])
    except (yaml.YAMLError, KeyError, TypeError, IndexError, UnicodeDecodeError):
        return False


@dataclass(frozen=True)
class RemoteHistory:
    """The history in a remote, beside ours.

    Attributes:
        head: its last commit; empty if there is none. Its objects are here.
        contained: whether ours has all of it.
        containing: whether it has all of ours.
    """

    head: str
    contained: bool
    containing: bool
    _root: Path
    _fs: Any
    _path: str

    def send(self) -> None:
        """Put our history there; a reader finds the old one or the new one."""
        if self.head and self.head == git(self._root, "rev-parse", "HEAD"):
            return
        local = self._root / ".tmp" / f"{uuid4().hex}.part"
        local.parent.mkdir(parents=True, exist_ok=True)
        try:
            git(self._root, "bundle", "create", "--quiet", str(local), "main")
            self._fs.makedirs(self._fs.parent(self._path), exist_ok=True)
            waiting = f"{self._path}.{uuid4().hex[:8]}"
            self._fs.put_file(str(local), waiting)
            self._fs.move(waiting, self._path)
        finally:
            local.unlink(missing_ok=True)


@contextmanager
def shared_history(root: Path, repo: Any, remote: str) -> Iterator[RemoteHistory]:
    """The history in the DVC remote; its objects are fetched into the folder's git.

    Args:
        root: the data folder.
        repo: its open DVC repository.
        remote: the remote's name.

    Raises `PregaoError` if the remote cannot be reached, or its history cannot be read.
    """
    place = repo.cloud.get_remote(remote)
    path = place.fs.join(place.path, BUNDLE)
    local = root / ".tmp" / f"{uuid4().hex}.part"
    local.parent.mkdir(parents=True, exist_ok=True)
    try:
        head, contained, containing = "", False, True
        if place.fs.exists(path):
            place.fs.get_file(path, str(local))
            git(root, "fetch", "--quiet", str(local), "main")
            head = git(root, "rev-parse", "FETCH_HEAD")
            ours = git(root, "rev-parse", "HEAD") if git(root, "for-each-ref", "refs/heads") else ""
            base = git(root, "merge-base", "--all", "HEAD", head, accept=(0, 1)) if ours else ""
            contained, containing = base == head, not ours or base == ours or _only_set_up(root)
        yield RemoteHistory(head, contained, containing, root, place.fs, path)
    except (OSError, EOFError) as error:
        raise PregaoError(
            f"The DVC remote {place.path} cannot be used: {error}.",
            "Check its address and the credentials, and try again.",
        ) from error
    finally:
        local.unlink(missing_ok=True)


def _only_set_up(root: Path) -> bool:
    """Whether our history records no bars yet."""
    return not git(root, "log", "--max-count=1", "--format=%H", "--", "bars.dvc")


def transfer(repo: Any, remote: str, contents: Iterable[str]) -> int:
    """Send contents of DVC's cache, by md5, to the remote; the number sent."""
    from_cache, to_remote = repo.cache.local, repo.cloud.get_remote(remote).odb
    sent = 0
    for md5 in sorted(contents):
        target = to_remote.oid_to_path(md5)
        if not to_remote.fs.exists(target):
            to_remote.fs.makedirs(to_remote.fs.parent(target), exist_ok=True)
            to_remote.fs.put_file(from_cache.oid_to_path(md5), target)
            sent += 1
    return sent


def receive(repo: Any, remote: str, md5: str) -> None:
    """Bring one content from the remote into DVC's cache, if the remote has it."""
    place = repo.cloud.get_remote(remote).odb
    source, target = place.oid_to_path(md5), Path(repo.cache.local.oid_to_path(md5))
    if not place.fs.exists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = target.with_name(f"{uuid4().hex}.part")
    try:
        place.fs.get_file(source, str(waiting))
        waiting.replace(target)
    finally:
        waiting.unlink(missing_ok=True)
