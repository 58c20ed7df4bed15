"""A running panel over a home of its own, and a runner for its sessions in this process."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from panel_process import PASSWORD, Events, Panel
from probe_market import random_walk
from yahoo import YahooServer

from pregao.market.feeds import Watch
from pregao.market.sources.yfinance import YFinance
from pregao.market.sources.yfinance_live import YahooWire
from pregao.market.store import Store
from pregao.settings import settings
from pregao_ui import access

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def yahoo() -> Iterator[YahooServer]:
    """The Yahoo that the panel asks."""
    with YahooServer() as server:
        yield server


@pytest.fixture(scope="session")
def panel(tmp_path_factory: pytest.TempPathFactory, yahoo: YahooServer) -> Iterator[Panel]:
    """The panel over a store with one synthetic market of 1,500 minutes; no Prefect, no MLflow."""
    home = tmp_path_factory.mktemp("panel")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, home / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREGAO_HOME", str(home))
        patch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
        patch.setenv("PREGAO_PANEL_RATE", "0")
        patch.setenv("PREGAO_CCXT_BINANCE_URL", f"http://127.0.0.1:{free_port()}")  # as without a network
        patch.setenv("PREGAO_YAHOO_URL", yahoo.address)
        patch.setenv("PREGAO_MLFLOW_PORT", str(free_port()))
        for name in ("PREGAO_DATABASE_URL", "PREGAO_MLFLOW_URI", "PREGAO_PANEL_TOKEN", "PYTHONDONTWRITEBYTECODE"):
            patch.delenv(name, raising=False)
        settings.cache_clear()
        importlib.import_module("warm_engine")  # a runner that compiles it shows no sign of life meanwhile
        Store().write(random_walk(1_500))
        running = Panel(home)
        running.serve()
        yield running
        running.let_go()
        running.end()
        running.journal.close()
        running.http.close()
    settings.cache_clear()


@pytest.fixture(autouse=True)
def _own_home(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests of other parts in the same process may have read other settings meanwhile."""
    if "panel" in request.fixturenames:
        running = request.getfixturevalue("panel")
        os.environ["PREGAO_HOME"] = str(running.home)
        settings.cache_clear()
        yield
        running.let_go()
        return
    yield


@pytest.fixture
def visit(browser: Any, panel: Panel) -> Iterator[Any]:
    """Make visitors; at the end none of them has seen an error or asked for anything from outside."""
    from visitors import visitors

    with visitors(browser, panel.address) as made:
        yield made


@pytest.fixture(scope="module")
def locked(panel: Panel) -> Iterator[Panel]:
    """The panel with `PASSWORD`. It is set while the panel runs, and taken away again."""
    os.environ["PREGAO_HOME"] = str(panel.home)
    access.set_password(PASSWORD)
    yield panel
    access.remove_password()


@pytest.fixture
def trading(yahoo: YahooServer, monkeypatch: pytest.MonkeyPatch) -> YahooServer:
    """Yahoo amid a session of NEWCO's exchange, for runners in this process, too; time passes only by ``now``."""
    minutes = yahoo.stocks["NEWCO"].minutes["time"]
    some = range(int(minutes.searchsorted(time.time() - 4 * 86_400)), len(minutes) - 30)
    amid = next(i for i in some if minutes[i + 30] - minutes[i - 30] == 3_600)
    monkeypatch.setattr(yahoo, "now", float(minutes[amid]))
    monkeypatch.setattr(YahooWire.__init__, "__defaults__", (lambda: int((yahoo.now or 0) * 1e9),))
    monkeypatch.setattr(YFinance, "watch", Watch(stale_s=30.0, poll_s=0.2, settle_s=0.0, check_s=60.0, late_s=120.0))
    return yahoo


@pytest.fixture
def events() -> Iterator[Any]:
    opened: list[Events] = []

    def connect(*args: Any, **named: Any) -> Events:
        opened.append(Events(*args, **named))
        return opened[-1]

    yield connect
    for reader in opened:
        reader.close()
