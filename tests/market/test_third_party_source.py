"""What docs/how-to/own-source.md says is true: its example is installed as a distribution of its own, and conforms."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from pages import ROOT, blocks

from pregao.cli import main
from pregao.core.errors import PregaoError
from pregao.market.policies import ALLOWED
from pregao.market.sift import BAD_KINDS
from pregao.market.sources import source, source_names
from pregao.market.sources.conformance import SourceConformance

PATH = ROOT / "docs" / "how-to" / "own-source.md"
POLICIES = (ROOT / "docs" / "reference" / "sources.md").read_text(encoding="utf-8")
FRAME = '''
    def _frame(self, symbol, timeframe, start_ns, end_ns):
        """A hundred hours of 2024."""
        import numpy as np
        import pandas as pd

        start = 1_704_067_200_000_000_000
        times = start + np.arange(100) * timeframe.ns
        kept = (times >= (start_ns or 0)) & (times < (end_ns or 2**62))
        close = 100.0 + times // timeframe.ns % 9
        columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": close}
        frame = pd.DataFrame({"timestamp": pd.to_datetime(times, utc=True), **columns})
        return frame[kept].reset_index(drop=True)
'''


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's example as what `pip install` leaves behind: a module and a folder of metadata."""
    site = tmp_path / "site"
    metadata = site / "my_package-1.0.dist-info"
    metadata.mkdir(parents=True)
    [example] = [block.text for block in blocks(PATH) if "class Mine:" in block.text]
    (site / "my_package.py").write_text(example + FRAME)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    points = "[pregao.sources]\nmine = my_package:Mine\nbroken = my_package:Nothing\n"
    (metadata / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    monkeypatch.delitem(sys.modules, "my_package", raising=False)


class TestMine(SourceConformance):
    source = "mine"
    symbol = "BTC/USDT"
    timeframe = "1h"
    unknown_symbol = None


def test_it_is_listed_and_used_like_our_own(home, capsys):
    assert {"mine", "files", "ccxt", "yfinance"} <= set(source_names())
    main(["ingest", "BTC/USDT", "--source", "mine", "--option", "address=https://elsewhere.example", "--json"])
    assert json.loads(capsys.readouterr().out)["added"] == 100
    main(["ingest", "BTC/USDT", "--source", "mine", "--json"])
    again = json.loads(capsys.readouterr().out)
    assert (again["added"], again["series"][0]["unchanged"]) == (0, 5)  # only the last bars are asked for again
    main(["ingest", "BTC/USDT", "--source", "mine", "--anew", "--json"])
    assert json.loads(capsys.readouterr().out)["series"][0]["unchanged"] == 100
    with pytest.raises(SystemExit) as ended:
        main(["ingest", "BTC/USDT", "--source", "mine", "--option", "adress=x"])
    assert ended.value.code == 2
    assert "no option 'adress'" in capsys.readouterr().err


def test_one_that_cannot_be_loaded_is_told(home):
    with pytest.raises(PregaoError, match="'broken' cannot be loaded: AttributeError"):
        source("broken")


def test_the_page_lists_every_policy():
    rows = re.findall(r"^\| (`.*?`.*?) \| (\w+) \| ([\w, ]+) \|$", POLICIES, re.MULTILINE)
    told = {
        kind.replace("-", " "): (default, set(may.split(", ")))
        for kinds, default, may in rows
        for kind in re.findall(r"`([\w-]+)`", kinds)
    }
    told["re-based"] = told.pop("re based")
    told["split-like jump"] = told.pop("split like jump")
    assert told.pop("bad row") == told[BAD_KINDS[0]]
    assert told == {kind: (actions[0], set(actions)) for kind, actions in ALLOWED.items()}
