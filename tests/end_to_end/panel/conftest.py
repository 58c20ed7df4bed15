"""The whole product for the tests of a module: Prefect, the flows, MLflow and the panel over a trained home."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from trained_home import trained_home
from venue import Market, MarketClock, Venue
from visitors import visitors

from pregao.operations.servers import Servers, running
from pregao.sessions.journal import Journal
from pregao.settings import settings
from pregao_flows import client


class Stack:
    """What runs, and where.

    Attributes:
        home: the project's folder, which is this process's home too while the module's tests run.
        servers: each may be ended and started again by a test.
        venue: the exchange that Pregão takes for Binance; its market moves when a test says so.
        address: of the panel.
    """

    def __init__(self, home: Path, servers: Servers, venue: Venue) -> None:
        self.home = home
        self.servers = servers
        self.venue = venue
        self.address = servers.addresses["panel"]
        self.journal = Journal()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """All servers of a folder of their own, as `pregao up` starts them; the schedule starts no supervision."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    home = tmp_path_factory.mktemp("stack")
    trained_home(shared, home)
    now_ms = int(time.time() // 60 * 60_000)
    markets = [Market("BTC/USDT"), Market("ETH/USDT"), Market("TUCANO/USDT")]
    with pytest.MonkeyPatch.context() as patch, Venue(markets, MarketClock(now_ms)) as venue:
        patch.setenv("PREGAO_HOME", str(home))
        patch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)
        patch.setenv("PREGAO_CCXT_KRAKEN_URL", f"http://127.0.0.1:{free_port()}")  # nobody is there
        for name in ("PANEL", "PREFECT", "MLFLOW"):
            patch.setenv(f"PREGAO_{name}_PORT", str(free_port()))
        for name in ("DATABASE_URL", "MLFLOW_URI", "DVC_REMOTE", "PANEL_TOKEN"):
            patch.delenv(f"PREGAO_{name}", raising=False)
        patch.setenv("PREFECT_API_URL", "")  # set by what starts the servers, and put back with the rest
        settings.cache_clear()
        with running(settings(), "the tests", print) as servers:
            servers.start()
            servers.wait()
            made = Stack(home, servers, venue)
            supervise = client.request("GET", f"/deployments/name/{client.SUPERVISE}")["id"]
            client.request("POST", f"/deployments/{supervise}/pause_deployment")
            yield made
            made.journal.close()
    settings.cache_clear()


@pytest.fixture
def visit(browser: Any, stack: Stack) -> Iterator[Any]:
    """Make visitors of the stack's panel; none of them may see an error or ask for anything from outside."""
    with visitors(browser, stack.address) as made:
        yield made
