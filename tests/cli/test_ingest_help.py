"""`pregao ingest --help` tells every source and every option of it, in words that are written out: nothing heavy is
imported for them."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from pregao.commands.ingest import _FILES, SOURCE_OPTIONS, SOURCES, ingest
from pregao.market.sources import BUILT_IN, source


def help_text() -> str:
    return " ".join(ingest.get_help(click.Context(ingest, info_name="ingest")).split())


def test_every_source_is_told():
    assert SOURCES.keys() == BUILT_IN.keys()
    text = help_text()
    assert "--source TEXT Where from: ccxt, yfinance, files, sample, synthetic" in text
    for name, words in SOURCES.items():
        assert f"{name} {words}" in text


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_option_of_it_is_told(name):
    fields = set(source(name).Options.model_fields)
    flags = {parameter.name for parameter in ingest.params}
    if name in SOURCE_OPTIONS:
        assert SOURCE_OPTIONS[name].keys() == fields
        for option, words in SOURCE_OPTIONS[name].items():
            assert f"{option} {words}" in help_text()
    elif name == "files":
        assert fields - {"paths"} == {*_FILES, "columns"} - {"mapping"}  # paths are the arguments
    else:
        assert fields <= flags


def test_defaults_are_told_as_they_are():
    ccxt, yahoo = source("ccxt").Options(), source("yfinance").Options()
    assert ccxt.exchange == "binance"
    assert ccxt.kind == "spot"
    assert (yahoo.attempts, yahoo.pause_s, yahoo.timeout_s) == (4, 1.0, 20.0)
    for name, words in SOURCE_OPTIONS["yfinance"].items():
        value = getattr(yahoo, name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert f"{value:g} unless given" in words


def test_a_source_of_a_plugin_is_named(monkeypatch, tmp_path):
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pregao.sources]\ntheirs = their_package:Theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "theirs Of an installed plugin." in help_text()


def test_nothing_heavy_is_imported_for_it():
    code = (
        "import sys\nfrom pregao.cli import main\n"
        "try: main(['ingest', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('ccxt', 'yfinance', 'pandas', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
