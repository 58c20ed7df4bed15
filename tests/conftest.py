"""Fixtures that every part's tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from pregao.settings import keep_quiet, settings

keep_quiet()
hypothesis_settings.register_profile("pregao", deadline=None)  # the first example of a compiled function compiles it
hypothesis_settings.load_profile("pregao")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh project folder: its own data, runs and sessions, with the project's own pipeline and knobs."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    monkeypatch.setenv("PREGAO_HOME", str(folder))
    for name in ("PREGAO_DATABASE_URL", "PREGAO_MLFLOW_URI", "PREGAO_DVC_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield folder
    settings.cache_clear()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a screen. It ends with its module: Playwright leaves a running loop."""
    from visitors import launched

    with launched() as found:
        yield found


FIRST = ("flows", "end_to_end", "panel", "docs", "learning", "operations", "own_data", "sessions", "brokers", "cli")
"""Rooms whose files take longest: begun last, one of them would go on alone while the other core has nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first; what takes minutes runs when it is asked for."""
    place = {room: number for number, room in enumerate(FIRST)}
    room = {item: item.path.relative_to(ROOT).parts[1] for item in items if item.path.is_relative_to(ROOT / "tests")}
    items.sort(key=lambda item: place.get(room.get(item, ""), len(FIRST)))
    if not os.environ.get("PREGAO_LONG"):
        for item in items:
            if item.get_closest_marker("long") is not None:
                item.add_marker(pytest.mark.skip(reason="takes minutes: set PREGAO_LONG=1"))
