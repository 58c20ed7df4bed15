"""Snapshots: a plain copy of chosen files in a folder, put there whole and left alone while it is right.

What a snapshot holds is noted beside its folder, in ``.<name>.json``, never inside: a hash of the folder then
depends on the files only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from pregao.core.errors import PregaoError
from pregao.market.atomic import disk_errors, exclusive, write_atomic


def place(target: Path, files: Mapping[str, str], fetch: Callable[[str], Path], note: Mapping[str, Any]) -> bool:
    """Make ``target`` hold exactly these files; False if it already did.

    The copy is built beside the target, every file checked against its md5, and moved into its place.

    Args:
        target: the folder; what it held before is replaced.
        files: relative path -> md5 of the content.
        fetch: the local file that has the content of an md5.
        note: what to write down about the snapshot, beside the files.

    Raises:
        PregaoError: if a content does not have its md5, or the disk is full.
    """
    marker = target.parent / f".{target.name}.json"
    with exclusive(target.parent / f".{target.name}.lock"), disk_errors(target):
        noted = _read(marker)
        described = _describe(target, files)
        right = described is not None and noted.get("files") == described and _names(target) == set(files)
        if not right:
            _replace(target, files, fetch)
            described = _describe(target, files)
        document = {**note, "files": described}
        if document != noted:
            write_atomic(marker, json.dumps(document, indent=1).encode(), target.parent)
        return not right


def restore(root: Path, files: Mapping[str, str], fetch: Callable[[str], Path]) -> None:
    """Give files below ``root`` their content back, one by one, each whole at any moment; right ones are not touched.

    Args and errors as of `place`; other files are left as they are.
    """
    for name, md5 in files.items():
        path = root / name
        if not path.is_file() or _md5(path.read_bytes()) != md5:
            write_atomic(path, _content(name, md5, fetch), root / ".tmp")


def _content(name: str, md5: str, fetch: Callable[[str], Path]) -> bytes:
    """A stored content, checked."""
    content = fetch(md5).read_bytes()
    if _md5(content) != md5:
        raise PregaoError(
            f"The stored copy of {name} is damaged ({fetch(md5)}).",
            "Delete that file, so that it is fetched again from the DVC remote, or ingest again.",
        )
    return content


def md5(path: Path) -> str:
    """The md5 of a file's content."""
    return _md5(path.read_bytes())


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _replace(target: Path, files: Mapping[str, str], fetch: Callable[[str], Path]) -> None:
    part = target.parent / f".{target.name}.{uuid4().hex}.part"
    try:
        part.mkdir(parents=True)
        for name, md5 in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(_content(name, md5, fetch))
        if target.exists():
            old = target.parent / f".{target.name}.{uuid4().hex}.old"
            target.rename(old)
            part.rename(target)
            shutil.rmtree(old)
        else:
            part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _describe(target: Path, files: Mapping[str, str]) -> dict[str, list[Any]] | None:
    """For each file its md5, size and time of change; None if one is missing."""
    described: dict[str, list[Any]] = {}
    for name, md5 in sorted(files.items()):
        try:
            status = (target / name).stat()
        except OSError:
            return None
        described[name] = [md5, status.st_size, status.st_mtime_ns]
    return described


def _names(target: Path) -> set[str]:
    return {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}


def _read(marker: Path) -> dict[str, Any]:
    try:
        noted = json.loads(marker.read_bytes())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}
