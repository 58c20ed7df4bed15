"""Versions of the market data: the data folder is a git repository of its own with DVC inside.

Git holds ``bars.dvc`` (the md5 of all bars) and the quality reports, DVC's cache holds the bars of every version.
A version is that md5 and the git revision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pregao.core.errors import NotFoundError, PregaoError, UsageError, unknown
from pregao.core.timeframe import Timeframe
from pregao.market import dvc
from pregao.market.actions import FILE as ACTIONS
from pregao.market.atomic import disk_errors, remove_leftovers, write_atomic
from pregao.market.differences import SeriesChange, differences
from pregao.market.git import git
from pregao.market.history import mend, receive, shared_history, transfer
from pregao.market.snapshots import md5, place, restore
from pregao.market.store import Store
from pregao.settings import settings

_DVC_FILE = "bars.dvc"
_OUTCOMES = "outcomes"
_OUTCOMES_FILE = f"{_OUTCOMES}.dvc"
_TRACKED = (_DVC_FILE, _OUTCOMES_FILE, ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "quality")
_IGNORED = "/bars\n/outcomes\n/.lock*\n/.tmp\n"


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
Changes = list[SeriesChange]


class Versions:
    """The versions of one data folder.

    Args:
        root: the data folder; `settings().data` by default.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else settings().data
        self.store = Store(self.root)

    def commit(self, message: str, of: Collection[tuple[str, str]] | None = None) -> Version | None:
        """Record the bars as they are now, with the quality reports; None if nothing has changed.

        Safe when several processes ingest at once, and after one was killed anywhere: writers and committers take
        turns, and what is half done is done first.

        Args:
            message: what was done, one line.
            of: the series, by key and timeframe, that the message speaks of. Bars of others that have changed were
                stored by an ingest that was interrupted before it could record them: the version says so.
        """
        if not self.store.bars_root.is_dir():
            return None
        with self.store.alone(), disk_errors(self.root):
            self._set_up()
            remove_leftovers(self.root / ".tmp")
            with dvc.opened(self.root) as repo:
                # Without relinking, DVC does not touch the files: readers never find one missing.
                repo.add(str(self.store.bars_root), relink=False)
            others = [] if of is None else [one for one in self._unrecorded(of) if one.timeframe]
            if others:
                message += f"; of an interrupted ingest: {', '.join(str(change) for change in others)}"
            return self._record(message)

    def commit_outcomes(self, message: str) -> str:
        """Record the outcomes dataset as it is now, beside the bars; its md5, empty if there is none.

        It has revisions of its own in the same repository, is sent by `push` with everything else, and is no version of
        the bars. Without a change there is no new revision.
        """
        if not (self.root / _OUTCOMES).is_dir():
            return ""
        with self.store.alone(), disk_errors(self.root):
            self._set_up()
            with dvc.opened(self.root) as repo:
                repo.add(str(self.root / _OUTCOMES), relink=False)
            self._git("add", "--", _OUTCOMES_FILE)
            self._commit_staged(message)
            return str(yaml.safe_load((self.root / _OUTCOMES_FILE).read_bytes())["outs"][0]["md5"])

    def diff(self, old: Version | str, new: Version | str) -> Changes:
        """What changed from one version to another, in bars, by series.

        Raises:
            NotFoundError, UsageError: as `find`.
            PregaoError: if the bars of a version are neither in DVC's cache nor in the remote.
        """
        first, second = self._named(old), self._named(new)
        return differences(self._files(first), self._files(second), self._content(first), self._content(second))

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
        place(target, files, self._content(chosen), {"version": asdict(chosen)})
        return chosen

    def checkout(self, version: Version | str) -> Version:
        """Bring the store back to a version, as a new commit: history only grows.

        Bars that were never recorded, and damaged files, are replaced. Returns the version now current.
        """
        back = self._named(version)
        files = self._files(back)
        contents = {md5: self._cached(back, md5) for md5 in files.values()}
        with self.store.alone(), disk_errors(self.root):
            mend(self.root)
            restore(self.root, files, contents.__getitem__)
            self._remove_others(files)
            kept = [name for name in (_DVC_FILE, "quality") if (self.root / name).exists()]
            self._git("restore", f"--source={back.revision}", "--staged", "--worktree", "--", *kept)
            return self._record(f"Return to version {back.short}") or self.current()

    def push(self) -> int:
        """Send the bars and the history of all versions to the DVC remote; the number of files sent.

        Raises `PregaoError` if no remote is set, it cannot be reached, or it has versions that this folder lacks.
        """
        self._need_remote()
        self.current()
        with self.store.alone():
            # A version recorded before the remote was set has no remote of its own, and DVC would leave it out.
            self._set_up()
        with dvc.opened(self.root) as repo, shared_history(self.root, repo, dvc.REMOTE) as history:
            if history.head and not history.contained:
                raise PregaoError(
                    "The remote has versions that this folder lacks; nothing was sent.", "Run `pregao data pull` first."
                )
            sent = int(repo.push(all_commits=True))
            sent += self._push_older(repo)
            history.send()
            return sent

    def pull(self) -> Version:
        """Bring the versions of the DVC remote into this folder, and the bars of the last one; the version now current.

        The bars of older versions are fetched when they are asked for.

        Raises:
            PregaoError: if no remote is set or it cannot be reached, if it holds no versions, if this folder has bars
                that were never recorded, or if both have versions that the other lacks.
        """
        self._need_remote()
        with self.store.alone(), disk_errors(self.root):
            self._set_up()
            with dvc.opened(self.root) as repo, shared_history(self.root, repo, dvc.REMOTE) as history:
                if not history.head:
                    raise PregaoError("The remote holds no versions.", "Send some with `pregao data push`.")
                if history.contained:
                    return self.current()
                self._git("add", "--all", "--", *(name for name in _TRACKED if (self.root / name).exists()))
                mine = self._log(1)
                if mine and not history.containing:
                    raise PregaoError(
                        "This folder and the remote both have versions that the other lacks.",
                        "Pull into a folder without versions (PREGAO_HOME), and ingest there what is missing.",
                    )
                if self._strangers(mine[0] if mine else None):
                    raise PregaoError(
                        "This folder has bars that no version records; nothing was brought.",
                        "Record them with `pregao ingest`, or go back with `pregao data checkout`.",
                    )
                self._git("reset", "--quiet", "--hard", history.head)
            self._set_up()
            version = self.current()
            files = self._files(version)
            with dvc.opened(self.root) as repo:
                repo.fetch(revs=[version.revision])
            restore(self.root, files, self._content(version))
            self._remove_others(files)
            return version

    def _set_up(self) -> None:
        """Make the folder a git and DVC repository, with the remote in the very first commit."""
        # Nobody else writes here while we hold the store: what a killed git or DVC left behind would block us.
        mend(self.root)
        config = self.root / ".git" / "config"
        if not (self.root / ".git" / "HEAD").exists() or not config.exists():
            self._git("init", "--quiet", "--initial-branch=main")
        said = config.read_text(encoding="utf-8")
        if "email = " not in said or "name = " not in said:
            self._git("config", "user.email", "pregao@localhost")
            self._git("config", "user.name", "Pregao")
        remote, new = dvc.remote_url(), False
        if not (self.root / ".dvc" / "config").exists():
            dvc.init(self.root, no_scm=False, remote=remote)
            new = True
        elif remote:
            with dvc.opened(self.root) as repo:
                if repo.config["remote"].get(dvc.REMOTE, {}).get("url") != remote:
                    dvc.set_remote(repo, remote)
                    new = True
        ignore = self.root / ".gitignore"
        if not ignore.exists() or ignore.read_text() != _IGNORED:
            write_atomic(ignore, _IGNORED.encode(), self.root / ".tmp")
            new = True
        if new:
            # Revisions without the remote in their own configuration would silently never be pushed.
            self._git("add", "--", *(name for name in _TRACKED[1:-1] if (self.root / name).exists()))
            self._commit_staged("Set up the data folder")

    def _push_older(self, repo: Any) -> int:
        """Send the versions that were recorded before the remote was set: DVC silently leaves them out."""
        configured = self._git("log", "--format=%H", f"-G{dvc.REMOTE}", "--", ".dvc/config").splitlines()
        first = configured[-1] if configured else ""
        older = self._git("log", "--format=%H", f"{first}~1", "--", _DVC_FILE) if self._parent(first) else ""
        sent = 0
        for revision in older.splitlines():
            version = Version(self._md5_at(revision), revision, 0, "")
            sent += transfer(repo, dvc.REMOTE, {version.md5, *self._files(version).values()})
        return sent

    def _parent(self, revision: str) -> bool:
        return bool(revision) and len(self._git("rev-list", "--parents", "--max-count=1", revision).split()) > 1

    def _md5_at(self, revision: str) -> str:
        return str(yaml.safe_load(self._git("show", f"{revision}:{_DVC_FILE}"))["outs"][0]["md5"])

    def _unrecorded(self, without: Collection[tuple[str, str]]) -> Changes:
        """What DVC has just added to the bars of the last version, but for some series."""
        md5 = yaml.safe_load((self.root / _DVC_FILE).read_bytes())["outs"][0]["md5"]
        last = self._log(1)
        if last and last[0].md5 == md5:
            return []
        now = Version(md5, "", 0, "")
        before = self._files(last[0]) if last else {}
        old, new = self._content(last[0] if last else now), self._content(now)
        return differences(before, self._files(now), old, new, without)

    def _strangers(self, version: Version | None) -> bool:
        """Whether the bars are other than those of a version."""
        files = self._files(version) if version is not None else {}
        found = {path.relative_to(self.root).as_posix() for path in self.store.bars_root.rglob("*") if path.is_file()}
        return not found <= files.keys() or any(md5(self.root / name) != files[name] for name in found)

    def _remove_others(self, files: Mapping[str, str]) -> None:
        for path in self.store.bars_root.rglob("*"):
            if path.is_file() and path.relative_to(self.root).as_posix() not in files:
                path.unlink()

    def _need_remote(self) -> None:
        if not settings().dvc_remote:
            raise PregaoError("No DVC remote is set.", "Set PREGAO_DVC_REMOTE to a folder or an address.")

    def _content(self, version: Version) -> Callable[[str], Path]:
        return lambda md5: self._cached(version, md5)

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
                with dvc.opened(self.root) as repo:
                    repo.fetch(revs=[version.revision])
                    if not path.exists():
                        receive(repo, dvc.REMOTE, md5)  # of a version from before the remote was set
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
