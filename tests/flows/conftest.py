"""A real Prefect server with the flows served, once for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import free_port
from prefect.settings import PREFECT_API_URL, temporary_settings
from venue import Market, Venue
from yahoo import YahooServer

from pregao.operations.servers import Servers, running
from pregao.settings import Settings, settings
from pregao_flows import overview

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def markets() -> Iterator[tuple[Venue, YahooServer]]:
    """An exchange and a Yahoo on loopback, to which the environment of the runner leads; only for its own tests."""
    named = {"PREGAO_CCXT_BINANCE_URL", "PREGAO_YAHOO_URL"}
    with Venue([Market("BTC/USDT"), Market("ETH/USDT", price=2_000.0)]) as venue, YahooServer() as yahoo:
        os.environ |= {"PREGAO_CCXT_BINANCE_URL": venue.url, "PREGAO_YAHOO_URL": yahoo.address}
        yield venue, yahoo
        for name in named:
            os.environ.pop(name, None)


@pytest.fixture(scope="session")
def started(markets: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The Prefect server and the flows' runner of a folder of their own, as `pregao up` starts them."""
    home = tmp_path_factory.mktemp("served")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, home / name)
    before = os.environ.get("PREFECT_API_URL")
    own = Settings(home=home, prefect_port=free_port(), database_url="", mlflow_uri="", dvc_remote="")
    with running(own, "the tests", print, ("prefect", "flows")) as servers:
        servers.start()
        servers.wait()
        # On their schedules they would start again what a test has killed, or train, at a moment of their own.
        for deployment in overview.SCHEDULED:
            overview.switch(deployment, False)
        _restore(before)
        yield servers
        # Ending asks the server again.
        os.environ["PREFECT_API_URL"] = f"{servers.addresses['prefect']}/api"
    _restore(before)


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop("PREFECT_API_URL", None)
    else:
        os.environ["PREFECT_API_URL"] = before


@pytest.fixture
def served(started: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """The servers, with this test's process belonging to their folder."""
    monkeypatch.setenv("PREGAO_HOME", str(started.settings.home))
    monkeypatch.setenv("PREFECT_API_URL", f"{started.addresses['prefect']}/api")
    for name in ("PREGAO_DATABASE_URL", "PREGAO_MLFLOW_URI", "PREGAO_DVC_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    # Prefect has read its settings when it was imported, which another test may have done long before.
    with temporary_settings({PREFECT_API_URL: f"{started.addresses['prefect']}/api"}):
        yield started
    settings.cache_clear()
