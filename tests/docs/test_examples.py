"""What the documents say is true: their examples run and print what is told, and they leave nothing out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from free_ports import free_port

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "made"))

import click
import hooks
import pytest
from buckets import bucket
from pages import PAGES, ROOT, blocks, command_lines, long, run_page
from postgres import Postgres
from receiver import Receiver
from venue import Market, Venue
from yahoo.server import YahooServer

from pregao.cli import pregao
from pregao.commands.backtest import backtest
from pregao.operations.servers import running
from pregao.settings import Settings
from pregao.simulation import layout
from pregao.simulation.fees import presets
from pregao.simulation.terms import PROFILES, Terms

ENGINE = (ROOT / "docs" / "reference" / "fill-rules.md").read_text(encoding="utf-8")
WORDS = " ".join(ENGINE.split())
RUN = [
    pytest.param(page, marks=pytest.mark.long if long(page) else ())
    for page in PAGES
    if any(block.runs for block in blocks(page))
]


def page_name(page: Path) -> str:
    return page.name


@pytest.fixture
def surroundings(request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, and the server that the page speaks to, on this machine."""
    monkeypatch.chdir(tmp_path)
    server = SERVERS.get(request.node.callspec.params["page"].name)
    if server is not None:
        request.getfixturevalue(server)


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the exchange is."""
    with Venue([Market("BTC/USDT")]) as venue:
        monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)
        yield


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where Yahoo is."""
    with YahooServer() as server:
        monkeypatch.setenv("PREGAO_YAHOO_URL", server.address)
        yield


@pytest.fixture
def postgres_and_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database ``$DATABASE`` on a server of its own, and a store that speaks S3 with the bucket ``market``."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path is short
    server = Postgres(folder)
    server.start()
    url = server.create("pregao").replace("postgresql://", "postgresql+psycopg://")
    monkeypatch.setenv("DATABASE", url)
    with bucket("market", tmp_path, monkeypatch):
        yield
    server.stop()
    shutil.rmtree(folder)


MADE = {"architecture.svg", *(Path(name).name for name in hooks.PAGES)}
"""Pages and pictures that are there in the site only; its build checks the links to them."""


@pytest.fixture
def panel_and_hook(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A panel at ``$PANEL``, and a web hook whose address is ``$HOOK``."""
    hook, port = Receiver(), free_port()
    monkeypatch.setenv("HOOK", hook.address)
    monkeypatch.setenv("PANEL", f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "pregao_ui", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as panel:
        assert panel.stdout is not None
        assert "Panel ready" in panel.stdout.readline()
        yield
        panel.terminate()
    hook.close()


@pytest.fixture
def prefect_and_flows(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The Prefect server and the flows' runner, as `pregao up` starts them, to which ``$PREFECT_API_URL`` leads."""
    monkeypatch.setenv("PREFECT_API_URL", "")  # put back as it was, once all has ended
    port, mlflow = free_port(), free_port()
    own = Settings(home=home, prefect_port=port, mlflow_port=mlflow, database_url="", mlflow_uri="", dvc_remote="")
    with running(own, "the tests", print, ("prefect", "flows")) as servers:
        servers.start()
        servers.wait()
        monkeypatch.setenv("PREFECT_API_URL", f"{servers.addresses['prefect']}/api")
        monkeypatch.setenv("PREFECT_HOME", str(own.var / "prefect"))
        yield


SERVERS = {
    "schedule-retraining.md": "prefect_and_flows",
    "live-crypto.md": "exchange",
    "live-stocks.md": "yahoo",
    "postgresql-and-s3.md": "postgres_and_s3",
    "notifications.md": "panel_and_hook",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUN, ids=page_name)
def test_the_examples_of_a_page_run(page: Path, surroundings: None, tmp_path: Path) -> None:
    assert run_page(page, tmp_path) > 0


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_an_example_that_is_not_run_says_why(page: Path) -> None:
    silent = [one.line for one in blocks(page) if one.language in ("sh", "console", "python")
              if not one.runs and not one.reason]  # fmt: skip
    assert silent == [], f"{page.name}: run it (```sh run) or say why not (<!-- not run: … -->)"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_and_options_that_are_shown_exist(page: Path) -> None:
    for line, words in command_lines(page):
        command: Any = pregao
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(click.Context(command), words[0])
            assert found is not None, f"{page.name}, line {line}: there is no command {words[0]!r}"
            command, words = found, words[1:]
        known = {name for option in command.params for name in option.opts} | {"--help", "--version"}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{page.name}, line {line}: {command.name} has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and Path(target).name not in MADE:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_option_of_a_backtest_is_told() -> None:
    names = {option.opts[0] for option in backtest.params if option.name not in ("as_json", "help")}
    assert {name for name in names if f"`{name}" not in ENGINE} == set()


def test_every_profile_is_told_with_what_it_changes() -> None:
    plain = Terms()
    for name, terms in PROFILES.items():
        [row] = re.findall(rf"^\| `{name}` \|(.*)\|$", ENGINE, re.MULTILINE)
        told = set(re.findall(r"`(\w+)", row))
        assert told == {f.name for f in fields(Terms) if getattr(terms, f.name) != getattr(plain, f.name)}, name


def test_every_reason_kind_of_order_and_path_rule_is_told() -> None:
    for reason in layout.REASONS.values():
        assert reason in WORDS
    for word in [*layout.PATHS, *layout.TIMES_IN_FORCE.values(), *filter(None, layout.RULE_NAMES.values())]:
        assert f"`{word}`" in ENGINE
    for kind in filter(None, layout.EVENT_KINDS.values()):
        assert f"`{kind}`" in ENGINE


def test_every_venue_is_told() -> None:
    assert {name for name in presets() if f"`{name}`" not in ENGINE} == set()
