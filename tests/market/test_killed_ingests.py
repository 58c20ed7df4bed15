"""Real ingests killed with SIGKILL at random moments: the store is valid after each, and the next run completes it.

`PREGAO_KILLS=200` kills as often; the usual round is short.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ingesting import ingesting

from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.market import inspection
from pregao.market.ingest import ingest
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

KILLS = int(os.environ.get("PREGAO_KILLS", "8"))
M15 = Timeframe.parse("15m")


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "bars").rglob("*")) if p.is_file()}


def csv(path: Path, bars: Bars) -> None:
    bars.frame().to_csv(path, index=False)


def check(root: Path, histories: list[Bars]) -> str:
    """The store is valid: whole files, bars of one history, versions that git and DVC still know. What was found."""
    for path in (root / "bars").rglob("*.parquet"):
        pq.read_table(path)
    store = Store(root)
    found = "nothing"
    for instrument in store.instruments():
        bars = store.held(instrument, M15, None, None)
        if len(bars):
            at = [np.searchsorted(history.open_ns, bars.open_ns) for history in histories]
            which = [
                np.array_equal(history.close[rows], bars.close) and np.array_equal(history.volume[rows], bars.volume)
                for history, rows in zip(histories, at, strict=True)
            ]
            assert sum(which) == 1, "bars of two histories, or of none"
            assert inspection.current(store, instrument, M15).bars == len(bars)
            found = f"history {which.index(True) + 1}"
    if (root / ".git" / "HEAD").exists():
        subprocess.run(["git", "fsck", "--no-progress"], cwd=root, check=True, capture_output=True)
        versions = Versions(root)
        for version in versions.list()[:3]:
            versions.snapshot(version, root.parent / "snapshot")
    return found


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * KILLS)
def test_an_ingest_killed_anywhere_leaves_a_valid_store_that_the_next_run_completes(home, make_bars, tmp_path):
    """Two histories of the same times on different bases take each other's place: they must never be mixed."""
    one, other = make_bars(9_000, seed=1), make_bars(9_000, seed=2)
    paths = [tmp_path / "one.csv", tmp_path / "other.csv"]
    for path, bars in zip(paths, (one, other), strict=True):
        csv(path, bars)
    dice = random.Random(int(os.environ.get("PREGAO_SEED", "0")))
    options = [{"paths": [str(path)], "tick_size": "0.01"} for path in paths]
    arguments = [("files", ["BTC/USDT"], "15m", option) for option in options]

    whole = ingesting(str(home), *arguments[0])
    began = time.monotonic()
    whole.join(120)
    lasts = time.monotonic() - began
    assert whole.exitcode == 0
    seen: Counter[str] = Counter()
    killed = 0
    for k in range(4 * KILLS):
        writer = ingesting(str(home), *arguments[(k + 1) % 2])
        time.sleep(lasts * dice.random())
        writer.kill()
        writer.join()
        caught = writer.exitcode == -9
        seen[f"{'killed' if caught else 'had ended'}, then {check(settings().data, [one, other])}"] += 1
        killed += caught
        if killed == KILLS:
            break
        lasts *= 1 if caught else 0.8  # the first ingest of all, which set the store up, took longer than the others
    report = ingest("files", ["BTC/USDT"], "15m", options[0])
    print(f"{killed} kills:", dict(seen))
    assert killed == KILLS

    # What came of it is what an undisturbed store has, to the byte, and is recorded.
    clean = Store(tmp_path / "clean")
    undisturbed = ingest("files", ["BTC/USDT"], "15m", options[0], clean)
    assert contents(settings().data) == contents(clean.root)
    assert report.version.md5 == undisturbed.version.md5
    assert Versions().commit("nothing is left over") is None
    assert check(settings().data, [one, other]) == "history 1"
    assert not list((settings().data / ".locks").glob("*.json"))


def test_a_set_up_killed_anywhere_is_completed_by_the_next_ingest(home, make_bars, tmp_path):
    """The very first ingest makes the folder a git and a DVC repository: that is killed too."""
    bars = make_bars(300)
    csv(tmp_path / "one.csv", bars)
    options = {"paths": [str(tmp_path / "one.csv")], "tick_size": "0.01"}
    dice = random.Random(3)
    for k in range(max(3, KILLS // 4)):
        folder = home / f"home {k}"
        folder.mkdir()
        writer = ingesting(str(folder), "files", ["BTC/USDT"], "15m", options)
        time.sleep(0.2 + 0.8 * dice.random())
        writer.kill()
        writer.join()
        report = ingest("files", ["BTC/USDT"], "15m", options, Store(folder / "data"))
        assert report.series[0].quality.bars == 300
        assert [v.md5 for v in Versions(folder / "data").list()][-1:] == [report.version.md5]
        check(folder / "data", [bars])


def test_the_same_ingest_twice_at_once_stores_and_records_once(home, make_bars, tmp_path):
    bars = make_bars(3_000)
    csv(tmp_path / "one.csv", bars)
    options = {"paths": [str(tmp_path / "one.csv")], "tick_size": "0.01"}
    running = [ingesting(str(home), "files", ["BTC/USDT"], "15m", options) for _ in range(3)]
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    clean = Store(tmp_path / "clean")
    ingest("files", ["BTC/USDT"], "15m", options, clean)
    assert contents(settings().data) == contents(clean.root)
    assert [v.message for v in Versions().list()] == ["Ingest from files: BTC/USDT 15m +3,000"]
