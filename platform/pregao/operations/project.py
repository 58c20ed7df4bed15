"""A project's folder where there is none: the knobs and the pipeline that a checkout has come with the wheel too."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from pregao.market.atomic import write_atomic

NAMES = ("params.yaml", "dvc.yaml")
"""What makes a folder a project's, see `pregao.settings`."""


def lay_out(home: Path, say: Callable[[str], None]) -> list[str]:
    """Write what the folder lacks of `NAMES`, and say so; returns what was written. What is there is left alone."""
    written = []
    for name in NAMES:
        if not (home / name).exists():
            write_atomic(home / name, _shipped(name), home / "var" / ".tmp")
            written.append(name)
            say(f"{home} had no {name}: it has the one that Pregão comes with now")
    return written


def _shipped(name: str) -> bytes:
    """From the wheel, where pyproject.toml puts them; in an editable installation, from the checkout itself."""
    package = files("pregao")
    inside = package / "project" / name
    return inside.read_bytes() if inside.is_file() else (Path(str(package)).parents[1] / name).read_bytes()
