"""A market, a strategy plugin made for these tests, and a database of either kind."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres import Postgres
from probe_market import a_spec, random_walk

from pregao.core.bars import Bars
from pregao.market.store import Store
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.settings import settings

PLUGIN = Path(__file__).parent / "plugin"
SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The strategy ``probe``, installed for this process and its children."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    found = [str(PLUGIN), str(SUPPORT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(found))


@pytest.fixture
def market(home: Path, plugin: None) -> Bars:
    """300 bars in the store of a fresh home."""
    bars = random_walk(300)
    Store().write(bars)
    return bars


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not below pytest's own folder: that one is closed to other users, and the socket's path must be short.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="pregao-pg-", dir=memory))
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def database(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a new, empty database, also the one of the settings."""
    if request.param == "sqlite":
        return settings().sessions_url
    url: str = request.getfixturevalue("postgres").create(f"t{time.time_ns()}")
    monkeypatch.setenv("PREGAO_DATABASE_URL", url)
    settings.cache_clear()
    return url


@pytest.fixture
def journal(database: str) -> Iterator[Journal]:
    opened = Journal(database)
    yield opened
    opened.close()


@pytest.fixture
def begin(market: Bars, journal: Journal) -> Any:
    """Start a session; keyword arguments change the spec."""

    def begin(**changes: Any) -> str:
        return start(a_spec(**changes), journal)

    return begin
