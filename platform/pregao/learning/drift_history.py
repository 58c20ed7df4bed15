"""What the monitor found of each model, check after check: one line of JSON each, in ``var/drift/<model>.jsonl``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pregao.core.errors import UsageError
from pregao.settings import settings

LAST = 400
"""Checks that are read; four a day, so three months."""


def keep(name: str, found: dict[str, Any], at_ns: int) -> None:
    """Note a check of a model: `pregao.learning.watching.Watched` as JSON, without the features that have not drifted.

    A line is written in one piece, so a kill loses it whole; the next line begins anew either way.
    """
    findings = [f for f in found["findings"] if f["drifted"] or not f["name"].startswith("feature ")]
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = "\n" + json.dumps({"at_ns": at_ns, **found, "findings": findings}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def history(name: str, last: int = LAST) -> list[dict[str, Any]]:
    """The newest checks of a model, the oldest first; empty if the monitor never ran.

    Each has ``at_ns``, ``champion``, ``window``, ``grown``, ``note`` (why it could not be watched, or what it lacks)
    and ``findings``: ``name``, ``value``, ``low``, ``high`` (None is no bound), ``drifted``. A line that a kill cut
    short is left out.
    """
    try:
        lines = _path(name).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in filter(None, lines):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found[-last:]


def _path(name: str) -> Path:
    if "/" in name or name.startswith(".") or "\0" in name:
        raise UsageError(f"{name!r} is no registered name.", "`pregao models` lists them.")
    return settings().var / "drift" / f"{name}.jsonl"
