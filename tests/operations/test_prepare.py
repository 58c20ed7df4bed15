"""What set-up prepares: compiled code that work does not compile again, a Prefect database that a server takes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pregao.operations import prepare
from pregao.operations.processes import child_environment

WORK = """
from pathlib import Path
from pregao.market.ingest import ingest
from pregao.learning import pipeline, stages
import os
ingest("synthetic", ["EDGE/USDT"], "15m", {"bars": 6000})
workspace = pipeline.prepare("EDGE/USDT", "15m")
os.chdir(workspace.root)
stages.features()
stages.evaluate()

from pregao.cli import main

main(["ingest", "NOISE/USDT", "--source", "synthetic", "--timeframe", "15m", "--bars", "2000"])
for name in ("ma-cross", "buy-and-hold"):
    for instruments in (["EDGE/USDT"], ["EDGE/USDT", "NOISE/USDT"]):
        main(["backtest", "--strategy", name, *(word for key in instruments for word in ("--data", key))])
"""


@pytest.mark.slow
@pytest.mark.timeout(1_300)
def test_work_compiles_nothing_that_set_up_has_not(home: Path, tmp_path: Path) -> None:
    cache = tmp_path / "compiled"
    environment = child_environment({"NUMBA_CACHE_DIR": str(cache), "PREGAO_HOME": str(home)})
    code = "from pregao.operations.precompile import precompile; precompile()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=600)
    before = compiled(cache)
    subprocess.run([sys.executable, "-c", WORK], env=environment, check=True, timeout=600, stdout=subprocess.DEVNULL)
    assert len(before) > 30
    assert compiled(cache) - before == set()


def compiled(cache: Path) -> set[str]:
    """The platform's compiled functions in a cache; plugins bring their own, which set-up does not know."""
    return {path.name for path in cache.rglob("*.nbc") if "pregao_" not in path.parent.name}


def test_a_new_folder_begins_with_a_migrated_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "template", lambda: tmp_path / "kept.db")
    prepare.seed(tmp_path / "one")  # nothing is kept: the server will make its own
    assert not (tmp_path / "one").exists()
    with closing(sqlite3.connect(tmp_path / "kept.db")) as connection:
        connection.execute("CREATE TABLE migrated (x)")
    prepare.seed(tmp_path / "one")
    assert os.listdir(tmp_path / "one") == ["prefect.db"]
    (tmp_path / "one" / "prefect.db").write_bytes(b"in use")
    prepare.seed(tmp_path / "one")
    assert (tmp_path / "one" / "prefect.db").read_bytes() == b"in use"
