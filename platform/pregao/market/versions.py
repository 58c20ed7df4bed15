"""Versions of the market data: the data folder is a git repository of its own with DVC inside.

Git holds ``bars.dvc`` (the md5 of all bars) and the quality reports, DVC's cache holds the bars of every version.
A version is that md5 and the git revision. This is the only module that imports DVC.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pregao.core.errors import NotFoundError, PregaoError, UsageError, unknown
from pregao.core.timeframe import Timeframe
from pregao.market.actions import FILE as ACTIONS
from pregao.market.atomic import disk_errors, exclusive, remove_leftovers
from pregao.market.git import git
from pregao.market.snapshots import place, restore
from pregao.market.store import Store
from pregao.settings import QUIET, keep_quiet, settings

_DVC_FILE = "bars.dvc"
_TRACKED = (_DVC_FILE, ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "quality")
_IGNORED = "/bars\n/.lock*\n/.tmp\n"
_REMOTE = "storage"


@dataclass(frozen=True, slots=True)
class Version:
    """A state of all bars.

    Attributes:
        md5: DVC's md5 of the folder of bars, with its ending ``.dir``; equal for equal bars.
        revision: the git commit of the data folder that recorded it.
        ts_ns: when it was recorded, ns since 1970 UTC.
        message: what was done, one line.
    """

    md5: str
    revision: str
    ts_ns: int
    message: str

    @property
    def short(self) -> str:
        """The first characters of the md5: enough to name the version to a person and on the command line."""
        return self.md5[:10]


Listing = list[Version]


class Versions:
    """The versions of one data folder.

    Args:
        root: the data folder; `settings().data` by default.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else settings().data
        self.store = Store(self.root)

    def commit(self, message: str) -> Version | None:
        """Record the bars as they are now, with the quality reports; None if nothing has changed.

        Safe when several processes ingest at once: writers and committers take turns.
        """
        if not self.store.bars_root.is_dir():
            return None
        with self.store.alone(), disk_errors(self.root):
            self._set_up()
            remove_leftovers(self.root / ".tmp")
            with _repo(self.root) as repo:
                # Without relinking, DVC does not touch the files: readers never find one missing.
                repo.add(str(self.store.bars_root), relink=False)
            return self._record(message)

    def current(self) -> Version:
        """The last recorded version. Raises `NotFoundError` if nothing has been recorded yet."""
        found = self._log(1)
        if not found:
            raise NotFoundError("The store has no version yet.", "Bring data in with `pregao ingest`.")
        return found[0]

    def list(self) -> Listing:
        """All versions, newest first; empty if there is none."""
        return self._log(None)

    def find(self, name: str) -> Version:
        """The newest version whose md5 or revision begins with ``name`` (at least four characters).

        Raises:
            NotFoundError: if there is none.
            UsageError: if the name is too short, or fits different bars.
        """
        if len(name) < 4:
            raise UsageError(f"{name!r} is too short to name a version.", "Give at least four characters.")
        every = self.list()
        fits = [v for v in every if v.md5.startswith(name) or v.revision.startswith(name)]
        if not fits:
            raise unknown("version", name, [v.short for v in every[:8]], "`pregao data versions` lists all.")
        if len({v.md5 for v in fits}) > 1:
            raise UsageError(f"{name!r} fits {len(fits)} versions.", f"{', '.join(v.short for v in fits[:8])}.")
        return fits[0]

    def snapshot(
        self,
        version: Version | str | None,
        target: Path,
        keys: Sequence[tuple[str, Timeframe | str]] | None = None,
    ) -> Version:
        """Put a plain copy of a version's bars into a folder, which is then a `Store` root of its own.

        The copy is built beside the target and moved into its place, every file checked against its md5. A target
        that holds these very files is left alone. What it holds is noted beside it (``.<name>.json``), so that a
        hash of the folder depends on the bars only.

        Args:
            version: which; None is the current one.
            target: the folder, outside the data folder; what it held before is replaced.
            keys: the series wanted as ``(instrument key, timeframe)``; None is all.

        Raises:
            NotFoundError: if there is no such version, or it lacks one of the series.
            PregaoError: if its bars are neither in DVC's cache nor in the remote, or the disk is full.
        """
        chosen = self.current() if version is None else self._named(version)
        files = self._files(chosen)
        if keys is not None:
            files = _subset(files, keys, chosen)
        place(target, files, lambda md5: self._cached(chosen, md5), {"version": asdict(chosen)})
        return chosen

    def checkout(self, version: Version | str) -> Version:
        """Bring the store back to a version, as a new commit: history only grows.

        Bars that were never recorded, and damaged files, are replaced. Returns the version now current.
        """
        back = self._named(version)
        files = self._files(back)
        contents = {md5: self._cached(back, md5) for md5 in files.values()}
        with self.store.alone(), disk_errors(self.root):
            restore(self.root, files, contents.__getitem__)
            for path in self.store.bars_root.rglob("*"):
                if path.is_file() and path.relative_to(self.root).as_posix() not in files:
                    path.unlink()
            kept = [name for name in (_DVC_FILE, "quality") if (self.root / name).exists()]
            self._git("restore", f"--source={back.revision}", "--staged", "--worktree", "--", *kept)
            return self._record(f"Return to version {back.short}") or self.current()

    def push(self) -> int:
        """Send the bars of all versions to the DVC remote; the number of files sent.

        Raises `PregaoError` if no remote is set or it cannot be reached.
        """
        if not settings().dvc_remote:
            raise PregaoError("No DVC remote is set.", "Set PREGAO_DVC_REMOTE to a folder or an address.")
        with _repo(self.root) as repo:
            return int(repo.push(all_commits=True))

    def _set_up(self) -> None:
        """Make the folder a git and DVC repository, with the remote in the very first commit."""
        if not (self.root / ".git").exists():
            self._git("init", "--quiet", "--initial-branch=main")
        if "[user]" not in (self.root / ".git" / "config").read_text(encoding="utf-8"):
            self._git("config", "user.email", "pregao@localhost")
            self._git("config", "user.name", "Pregao")
        # Nobody else writes here while we hold the store's lock: what a killed git left behind would block us.
        (self.root / ".git" / "index.lock").unlink(missing_ok=True)
        remote = _remote_url()
        if not (self.root / ".dvc" / "config").exists():
            shutil.rmtree(self.root / ".dvc", ignore_errors=True)
            _init_dvc(self.root, no_scm=False, remote=remote)
        elif remote:
            with _repo(self.root) as repo:
                if repo.config["remote"].get(_REMOTE, {}).get("url") != remote:
                    _set_remote(repo, remote)
        ignore = self.root / ".gitignore"
        if not ignore.exists() or ignore.read_text() != _IGNORED:
            ignore.write_text(_IGNORED)
        # Revisions without the remote in their own configuration would silently never be pushed.
        self._git("add", "--", *(name for name in _TRACKED[1:-1] if (self.root / name).exists()))
        self._commit_staged("Set up the data folder")

    def _record(self, message: str) -> Version | None:
        self._git("add", "--all", "--", *(name for name in _TRACKED if (self.root / name).exists()))
        return self.current() if self._commit_staged(message) else None

    def _commit_staged(self, message: str) -> bool:
        if not self._git("diff", "--cached", "--name-only"):
            return False
        self._git("commit", "--quiet", "--no-verify", f"--message={message}")
        return True

    def _log(self, limit: int | None) -> Listing:
        if not (self.root / ".git").exists() or not self._git("for-each-ref", "refs/heads"):
            return []
        count = [f"--max-count={limit}"] if limit else []
        log = self._git("log", *count, "--format=%H%x09%ct%x09%s", "--", _DVC_FILE, "quality")
        rows = [line.split("\t", 2) for line in log.splitlines()]
        if not rows:
            return []
        asked = "".join(f"{revision}:{_DVC_FILE}\n" for revision, _, _ in rows)
        contents = self._git("cat-file", "--batch", stdin=asked)
        versions = []
        for revision, seconds, message in rows:
            header, _, rest = contents.partition("\n")
            size = int(header.split()[-1])
            md5 = yaml.safe_load(rest[:size])["outs"][0]["md5"]
            contents = rest[size + 1 :]
            versions.append(Version(md5, revision, int(seconds) * 1_000_000_000, message))
        return versions

    def _files(self, version: Version) -> dict[str, str]:
        """Path below the data folder -> md5, of every file of a version."""
        listing = self._cached(version, version.md5)
        return {f"bars/{entry['relpath']}": entry["md5"] for entry in json.loads(listing.read_bytes())}

    def _cached(self, version: Version, md5: str) -> Path:
        """The file in DVC's cache, fetched from the remote if need be."""
        path = self.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        if not path.exists():
            if settings().dvc_remote:
                with _repo(self.root) as repo:
                    repo.fetch(revs=[version.revision])
            if not path.exists():
                raise PregaoError(
                    f"The bars of version {version.short} are gone from DVC's cache in {self.root}.",
                    "Set PREGAO_DVC_REMOTE to where they were pushed, or ingest them again.",
                )
        return path

    def _named(self, version: Version | str) -> Version:
        return self.find(version) if isinstance(version, str) else version

    def _git(self, *arguments: str, stdin: str | None = None) -> str:
        return git(self.root, *arguments, stdin=stdin)


def _remote_url() -> str:
    """The DVC remote of the settings; a folder is made absolute, for DVC reads it as relative to its own."""
    remote = settings().dvc_remote
    return remote if not remote or "://" in remote else str(Path(remote).expanduser().resolve())


def _subset(files: dict[str, str], keys: Sequence[tuple[str, Timeframe | str]], version: Version) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for key, timeframe in keys:
        series = {name: md5 for name, md5 in files.items() if name.startswith(f"bars/{key}/{timeframe}/")}
        if not series:
            raise NotFoundError(
                f"Version {version.short} has no {timeframe} bars of {key}.",
                "Use a later version; `pregao data versions` lists them.",
            )
        beside = (f"bars/{key}/{name}" for name in ("instrument.json", ACTIONS))
        chosen |= {name: files[name] for name in beside if name in files} | series
    return chosen


def init_pipeline(workspace: Path) -> None:
    """Make a folder a DVC workspace without git, for `reproduce`; nothing to do if it is one."""
    with exclusive(workspace.parent / f".{workspace.name}.lock"), disk_errors(workspace):
        if not (workspace / ".dvc" / "config").exists():
            workspace.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(workspace / ".dvc", ignore_errors=True)
            _init_dvc(workspace, no_scm=True)


def reproduce(workspace: Path, stage: str, progress: Callable[[str], None] | None = None) -> bool:
    """Bring one stage of the workspace's ``dvc.yaml`` up to date; True if it ran, False if its result was known.

    DVC runs in a process of its own, so that an interrupted caller ends the stage too, and so that what the stage
    prints is kept: in ``logs/<stage>.log`` of the workspace. ``python`` in a stage's command is this interpreter.

    Args:
        workspace: a folder made by `init_pipeline`, with its ``dvc.yaml``.
        stage: the name of the stage; the stages before it are not run.
        progress: called with each line that the stage prints.

    Raises:
        PregaoError: if the stage fails, with the last lines that it printed.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= QUIET | {"PYTHONUNBUFFERED": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    log = workspace / "logs" / f"{stage}.log"
    with disk_errors(workspace):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w", encoding="utf-8") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro", "--single-item", stage],
                cwd=workspace,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            assert child.stdout is not None
            ran, tail = False, deque[str](maxlen=15)
            try:
                for line in child.stdout:
                    file.write(line)
                    text = line.rstrip()
                    if text == f"Running stage '{stage}':":
                        ran = True
                    elif text:
                        tail.append(text)
                        if ran and progress is not None:
                            progress(text)
                status = child.wait()
            finally:
                _end(child)
    if status:
        raise PregaoError(
            f"The stage {stage!r} of {workspace} failed:\n  " + "\n  ".join(tail), f"All that it printed is in {log}."
        )
    return ran


def _end(child: subprocess.Popen[str]) -> None:
    """End a process that this module started, and the stage below it, if it still runs."""
    if child.poll() is None:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal_number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=10)
                break
    if child.stdout is not None:
        child.stdout.close()


@contextmanager
def _repo(root: Path) -> Iterator[Any]:
    """A DVC repository, quiet on standard output, its errors as `PregaoError`."""
    keep_quiet()
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)
    try:
        repo = Repo(str(root), _wait_for_lock=True)
        try:
            yield repo
        finally:
            repo.close()
    except DvcException as error:
        raise PregaoError(f"DVC failed in {root}: {_reason(error)}.", "The bars themselves are unharmed.") from error


def _init_dvc(root: Path, *, no_scm: bool, remote: str = "") -> None:
    keep_quiet()
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)
    repo = Repo.init(str(root), no_scm=no_scm)
    try:
        with repo.config.edit() as config:
            config["core"] |= {"analytics": False, "check_update": False}
        if remote:
            _set_remote(repo, remote)
    finally:
        repo.close()


def _set_remote(repo: Any, url: str) -> None:
    with repo.config.edit() as config:
        config["remote"][_REMOTE] = {"url": url}
        config["core"]["remote"] = _REMOTE


def _reason(error: BaseException) -> str:
    """The innermost reason of a chain of errors: DVC wraps what a person needs to know."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().rstrip(".") or type(error).__name__
