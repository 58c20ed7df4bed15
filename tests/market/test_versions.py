"""Versions: a real git and DVC repository in a scratch folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

M15 = Timeframe.parse("15m")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def versions(home):
    return Versions()


def test_a_store_without_versions_says_so(versions):
    assert versions.list() == []
    assert versions.commit("nothing there") is None
    with pytest.raises(NotFoundError, match="pregao ingest"):
        versions.current()
    with pytest.raises(NotFoundError, match="no version named 'abcd'"):
        versions.find("abcd")


def test_a_commit_is_a_version_and_nothing_new_is_none(versions, make_bars):
    versions.store.write(make_bars(1_000))
    first = versions.commit("Ingest: São Paulo")
    assert first is not None
    assert first.md5.endswith(".dir")
    assert len(first.md5) == 36
    assert versions.commit("again") is None
    versions.store.write(make_bars(500, first=1_000))
    second = versions.commit("two")
    assert second is not None
    assert second.md5 != first.md5
    assert versions.list() == [second, first]
    assert versions.current() == second
    assert first.message == "Ingest: São Paulo"
    assert first.revision == git(versions.root, "rev-parse", "HEAD~1")
    for name in (first.short, first.md5, first.revision[:8]):
        assert versions.find(name) == first
    with pytest.raises(UsageError, match="four characters"):
        versions.find("a")


def test_equal_bars_have_the_equal_md5_anywhere(versions, make_bars, tmp_path):
    versions.store.write(make_bars(1_000))
    other = Versions(tmp_path / "other")
    other.store.write(make_bars(600, first=400))
    other.store.write(make_bars(1_000))
    assert versions.commit("one").md5 == other.commit("other").md5


def test_the_data_repository_is_its_own_and_touches_nothing_else(versions, make_bars, monkeypatch, tmp_path):
    """Neither the user's git configuration nor a surrounding repository and its hooks play a part."""
    (tmp_path / "gitconfig").write_text("[commit]\n\tgpgsign = true\n[core]\n\thooksPath = /nonexistent\n")
    before = (tmp_path / "gitconfig").read_text()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "surrounding.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "surrounding.index"))
    versions.store.write(make_bars(10))
    assert versions.commit("one") is not None
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert (tmp_path / "gitconfig").read_text() == before
    assert git(versions.root, "config", "--local", "user.email") == "pregao@localhost"
    assert git(versions.root, "status", "--short") == ""
    config = (versions.root / ".dvc" / "config").read_text().lower()
    assert "analytics = false" in config
    assert "check_update = false" in config
    assert "bars/" not in git(versions.root, "ls-files")


def test_a_killed_git_does_not_block_the_next_commit(versions, make_bars):
    versions.store.write(make_bars(10))
    versions.commit("one")
    (versions.root / ".git" / "index.lock").touch()
    versions.store.write(make_bars(20))
    assert versions.commit("two") is not None


def test_what_killed_writers_left_behind_is_swept_away(versions, make_bars):
    versions.store.write(make_bars(10))
    old, young = (versions.root / ".tmp" / name for name in ("old.part", "young.part"))
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (0, 0))
    versions.commit("one")
    assert not old.exists()
    assert young.exists()


def test_a_snapshot_is_a_store_of_its_own(versions, make_bars, make_instrument, equal, tmp_path):
    one = make_bars(4_000)
    eth = make_bars(500, instrument=make_instrument("ETH/USDT"))
    versions.store.write(one[:3_000])
    first = versions.commit("one")
    versions.store.write(one)
    versions.store.write(eth)
    versions.commit("two")

    target = tmp_path / "work" / "snapshot"
    assert versions.snapshot(None, target) == versions.current()
    assert equal(Store(target).bars(one.instrument, M15), one)
    assert equal(Store(target).bars(eth.instrument, M15), eth)

    assert versions.snapshot(first.short, target) == first
    assert equal(Store(target).bars(one.instrument, M15), one[:3_000])
    assert [i.symbol for i in Store(target).instruments()] == ["BTC/USDT"]
    with pytest.raises(NotFoundError, match="has no 15m bars of files/local/ETH-USDT"):
        versions.snapshot(first, target, [(eth.instrument.key, M15)])
    assert equal(Store(target).bars(one.instrument, M15), one[:3_000])

    versions.snapshot(None, target, [(eth.instrument.key, "15m")])
    assert [i.symbol for i in Store(target).instruments()] == ["ETH/USDT"]
    assert sorted(os.listdir(target)) == ["bars"]
    assert not [p.name for p in target.parent.iterdir() if p.suffix in (".part", ".old")]


def test_a_snapshot_that_is_right_is_left_alone_and_a_touched_one_mended(
    versions, make_bars, make_instrument, tmp_path
):
    bars = make_bars(4_000)
    versions.store.write(bars)
    versions.commit("one")
    target = tmp_path / "snapshot"
    keys = [(bars.instrument.key, M15)]
    versions.snapshot(None, target, keys)
    inode = target.stat().st_ino
    versions.snapshot(None, target, keys)
    assert target.stat().st_ino == inode

    # Another instrument's bars make a new version, but not a new snapshot of this one.
    versions.store.write(make_bars(10, instrument=make_instrument("ETH/USDT")))
    second = versions.commit("two")
    assert versions.snapshot(None, target, keys) == second
    assert target.stat().st_ino == inode
    assert json.loads((tmp_path / ".snapshot.json").read_text())["version"]["md5"] == second.md5

    victim = next(target.rglob("*.parquet"))
    original = victim.read_bytes()
    victim.write_bytes(b"x" * len(original))
    versions.snapshot(None, target, keys)
    assert next(p for p in target.rglob("*.parquet") if p.name == victim.name).read_bytes() == original
    (target / "bars" / "stranger").write_text("not ours")
    versions.snapshot(None, target, keys)
    assert not (target / "bars" / "stranger").exists()


def test_a_damaged_cache_is_found_not_copied(versions, make_bars, tmp_path):
    bars = make_bars(100)
    versions.store.write(bars)
    versions.commit("one")
    cached = [p for p in (versions.root / ".dvc" / "cache").rglob("*") if p.is_file() and p.suffix != ".dir"]
    victim = max(cached, key=lambda p: p.stat().st_size)
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    with pytest.raises(PregaoError, match="damaged"):
        versions.snapshot(None, tmp_path / "snapshot")
    assert not (tmp_path / "snapshot").exists()
    victim.unlink()
    with pytest.raises(PregaoError, match="gone from DVC's cache"):
        versions.snapshot(None, tmp_path / "snapshot")


def test_checkout_goes_back_and_forth_and_mends_damage(versions, make_bars, equal):
    bars = make_bars(4_000)
    versions.store.write(bars[:1_000])
    first = versions.commit("one")
    versions.store.write(bars)
    second = versions.commit("two")
    back = versions.checkout(first.short)
    assert back.md5 == first.md5
    assert back.revision not in (first.revision, second.revision)
    assert equal(versions.store.bars(bars.instrument, M15), bars[:1_000])
    assert versions.commit("nothing new") is None
    versions.checkout(second)
    assert equal(versions.store.bars(bars.instrument, M15), bars)

    victim = next(versions.store.bars_root.rglob("*.parquet"))
    victim.write_bytes(b"garbage")
    with pytest.raises(PregaoError, match="is damaged"):
        versions.store.bars(bars.instrument, M15)
    assert versions.checkout(second).md5 == second.md5
    assert equal(versions.store.bars(bars.instrument, M15), bars)
    versions.store.write(bars)


def test_bars_live_in_the_remote_from_the_first_version_on(home, make_bars, equal, tmp_path, monkeypatch):
    monkeypatch.setenv("PREGAO_DVC_REMOTE", str(tmp_path / "remote"))
    settings.cache_clear()
    versions = Versions()
    bars = make_bars(3_000)
    versions.store.write(bars[:1_000])
    first = versions.commit("one")
    versions.store.write(bars)
    versions.commit("two")
    assert git(versions.root, "show", f"{first.revision}:.dvc/config").count(str(tmp_path / "remote")) == 1
    assert versions.push() > 0
    assert versions.push() == 0
    shutil.rmtree(versions.root / ".dvc" / "cache")
    versions.snapshot(first, tmp_path / "snapshot")
    assert equal(Store(tmp_path / "snapshot").bars(bars.instrument, M15), bars[:1_000])


def test_pushing_without_a_remote_says_how(versions, make_bars):
    versions.store.write(make_bars(10))
    versions.commit("one")
    with pytest.raises(PregaoError, match="PREGAO_DVC_REMOTE"):
        versions.push()


INGEST = """
import sys
from pregao.market.ingest import ingest
report = ingest("synthetic", ["NOISE/USDT"], sys.argv[1], {"bars": 300})
print(report.version.md5)
"""


def test_ingests_at_once_are_all_recorded(home):
    environment = {**os.environ, "PREGAO_HOME": str(home)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", INGEST, timeframe],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for timeframe in ("1m", "5m", "1h")
    ]
    for process in running:
        _, errors = process.communicate(timeout=250)
        assert process.returncode == 0, errors
    versions = Versions()
    store = versions.store
    assert [str(t) for t in store.timeframes(store.instrument("NOISE/USDT"))] == ["1m", "5m", "1h"]
    assert {v.message for v in versions.list()} == {
        f"Ingest from synthetic: NOISE/USDT {timeframe} +300" for timeframe in ("1m", "5m", "1h")
    }
    assert versions.commit("nothing is left over") is None
    assert git(versions.root, "status", "--short") == ""


def test_readers_never_miss_a_file_while_a_version_is_recorded(versions, make_bars, equal):
    import threading

    bars = make_bars(9_000)
    versions.store.write(bars)
    wrong, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                if len(Store(versions.root).bars(bars.instrument, M15)) < 9_000:
                    wrong.append("short")
            except PregaoError as error:
                wrong.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(3):
        versions.store.write(make_bars(100, first=9_000 + 100 * k))
        versions.commit(f"part {k}")
    versions.checkout(versions.list()[-1])
    versions.checkout(versions.list()[1])
    stop.set()
    reader.join()
    assert not wrong
