"""The site of the documents: strictly built, searched offline, fetching nothing, telling all there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from pages import ROOT
from visitors import launched

sys.path.insert(0, str(ROOT / "docs" / "made"))
import architecture
import commands
import configuration
import hooks
import rest
from mkdocs.exceptions import PluginError

from pregao.cli import pregao

PYTHON_SOURCES = [path for folder in ("platform", "flows", "ui", "plugins") for path in (ROOT / folder).rglob("*.py")]


def build(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run MkDocs as `make docs` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", *arguments]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; `.ci/run` has built it already, just as here."""
    if kept := os.environ.get("PREGAO_SITE"):
        return Path(kept)
    folder = tmp_path_factory.mktemp("site")
    built = build("--site-dir", str(folder))
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_each_page_stands_in_the_contents(site: Path) -> None:
    shown = (site / "index.html").read_text(encoding="utf-8")
    pages = {str(page.relative_to(site)) for page in site.rglob("*.html")} - {"404.html", "index.html"}
    assert len(pages) > 20
    assert {page for page in pages if f'href="{page}"' not in shown} == set()


@pytest.mark.slow
@pytest.mark.browser
def test_opened_as_a_file_it_asks_nothing_of_the_network_and_can_be_searched(site: Path) -> None:
    from playwright.sync_api import expect

    asked: list[str] = []
    with launched() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index.html", "project/architecture.html", "reference/plugin-contract.html"):
            page.goto((site / name).as_uri())
        page.locator("input.md-search__input").fill("ambiguous bar")
        expect(page.locator("a.md-search-result__link").first).to_contain_text(
            "What happens inside a bar", timeout=60_000
        )
    assert any("search_index" in url for url in asked)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    wrong = "[one](nowhere.md), [two](#no-heading), [three](../platform/pregao/no_module.py)"
    (tmp_path / "docs" / "index.md").write_text(f"# Page\n\n{wrong}, [four](../platform/pregao/cli.py)\n")
    validation = re.search(r"^validation:\n(?:  .*\n)+", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert validation is not None
    leads = f"import sys\nsys.path.insert(0, {str(ROOT / 'docs' / 'made')!r})\nfrom hooks import on_page_markdown\n"
    (tmp_path / "leads.py").write_text(leads)
    settings = f"site_name: x\nextra: {{repository: 'https://example.org/'}}\nhooks: [leads.py]\n{validation[0]}"
    (tmp_path / "mkdocs.yml").write_text(settings)
    built = build(cwd=tmp_path)
    assert built.returncode != 0
    assert [told for told in ("nowhere.md", "#no-heading", "no_module.py", "cli.py") if told in built.stderr] == [
        "nowhere.md", "#no-heading", "no_module.py",
    ]  # fmt: skip


def test_what_a_page_only_links_to_is_no_fetch() -> None:
    class Page:
        class file:  # noqa: N801
            src_uri = "x.md"

    harmless = '<a href="https://doi.org/1">x</a><link rel="canonical" href="https://a.example"><img src="a.png">'
    assert hooks.on_post_page(harmless, Page) == harmless
    for harm in ('<script src="//a.example/x.js">', '<link href="https://a.example/x.css" rel="stylesheet">'):
        with pytest.raises(PluginError, match=r"x\.md would fetch"):
            hooks.on_post_page(harm, Page)


def test_the_picture_has_each_package_and_no_arrow_leads_up() -> None:
    drawn = ET.fromstring(architecture.picture())
    svg = "{http://www.w3.org/2000/svg}"
    height = {
        str(box.get("data-package")): float(str(box.find(f"{svg}rect").get("y")))  # type: ignore[union-attr]
        for box in drawn.iter(f"{svg}g")
    }
    packages = {f"pregao.{path.parent.name}" for path in (ROOT / "platform" / "pregao").glob("*/__init__.py")}
    assert packages | {"pregao.cli", "pregao.settings", "pregao_flows", "pregao_ui", "plugins"} == set(height)
    arrows = [(str(a.get("data-from")), str(a.get("data-to"))) for a in drawn.iter(f"{svg}path") if a.get("data-from")]
    assert {("pregao.learning", "pregao.strategies"), ("plugins", "pregao.strategies")} <= set(arrows)
    assert [(above, below) for above, below in arrows if height[above] >= height[below]] == []


def test_an_import_against_the_layers_would_be_drawn_upwards(monkeypatch: pytest.MonkeyPatch) -> None:
    built = architecture.structure()
    wrong = replace(built, imports=built.imports | {("pregao.core", "pregao.learning")})
    monkeypatch.setattr(architecture, "structure", lambda: wrong)
    [path] = re.findall(r'd="M\S+ (\S+?)C.* (\S+)" data-from="pregao.core"', architecture.picture())
    assert float(path[0]) > float(path[1])


def test_the_command_line_is_told_whole() -> None:
    told = set(re.findall(r"^#+ (pregao .*)$", commands.page(), re.MULTILINE))
    assert told == set(_paths(pregao, "pregao"))


def _paths(command: Any, path: str) -> list[str]:
    inner = []
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            inner += [f"{path} {name}", *_paths(found, f"{path} {name}")]
    return inner


@pytest.mark.slow
def test_the_rest_api_is_told_whole() -> None:
    document = rest.document()
    told = rest.page(document)
    operations = {f"{method.upper()} `{path}`" for path, by in document["paths"].items() for method in by}
    assert set(re.findall(r"^### ([A-Z]+ `.*`)$", told, re.MULTILINE)) == operations
    shapes = set(re.findall(r"^### ([\w-]+)$", told, re.MULTILINE))
    assert shapes == set(document["components"]["schemas"])
    assert set(re.findall(r"\]\(#([\w-]+)\)", told)) <= {name.lower() for name in shapes}


def test_every_variable_that_the_code_reads_is_told() -> None:
    page = configuration.page()
    read = set()
    for source in PYTHON_SOURCES:
        read |= set(re.findall(r"\bPREGAO_[A-Z][A-Z_]+[A-Z]\b", source.read_text(encoding="utf-8")))
    read = {re.sub("CCXT_[A-Z]+_", "CCXT_<EXCHANGE>_", name) for name in read if name != "PREGAO_CCXT_BINANCE"}
    assert {name for name in read if f"`{name}`" not in page} == set()


def test_the_shim_of_the_search_is_whole() -> None:
    """A copy of an npm package: MIT asks for its notice, `offline` for its code."""
    text = (ROOT / "docs" / "vendored" / "iframe-worker.js").read_text(encoding="utf-8")
    assert "Permission is hereby granted" in text
    assert "window.IFrameWorker" in text
