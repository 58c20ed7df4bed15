"""What changed between versions, and versions that travel: to a folder, to an S3-compatible server, and back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from buckets import bucket

from pregao.core.errors import PregaoError
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

M15 = Timeframe.parse("15m")


@pytest.fixture
def versions(home):
    return Versions()


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "bars").rglob("*")) if p.is_file()}


def changed(changes) -> list[tuple]:
    return [(c.key.split("/")[-1], c.timeframe or c.what, c.added, c.removed, c.replaced) for c in changes]


def test_a_remote_with_a_password_in_its_address_is_refused(home, monkeypatch, versions, make_bars):
    """DVC keeps the address in a file that is committed and pushed along."""
    versions.store.write(make_bars(10))
    monkeypatch.setenv("PREGAO_DVC_REMOTE", "https://me:hunter2@data.example/bars")
    settings.cache_clear()
    with pytest.raises(PregaoError, match="holds a password") as refused:
        Versions().commit("one")
    assert "hunter2" not in str(refused.value)
    assert not any("hunter2" in path.read_text(errors="replace") for path in (home / "data" / ".dvc").glob("config*"))


def test_a_diff_counts_bars_by_series(versions, make_bars, make_instrument):
    store, bars = versions.store, make_bars(4_000)
    store.write(bars[:3_000])
    first = versions.commit("one")
    store.write(bars)  # 1,000 more
    store.write(make_bars(50, first=100, seed=9))  # 50 others in place of theirs
    store.write(make_bars(10, instrument=make_instrument("ETH/USDT")))
    second = versions.commit("two")
    assert changed(versions.diff(first, second)) == [
        ("BTC-USDT", "15m", 1_000, 0, 50),
        ("ETH-USDT", "15m", 10, 0, 0),
        ("ETH-USDT", "rules", 0, 0, 0),
    ]
    assert changed(versions.diff(second.short, first.short)) == [
        ("BTC-USDT", "15m", 0, 1_000, 50),
        ("ETH-USDT", "15m", 0, 10, 0),
        ("ETH-USDT", "rules", 0, 0, 0),
    ]
    [bitcoin, *_] = versions.diff(first, second)
    assert (bitcoin.first_ns, bitcoin.last_ns) == (bars.open_ns[100], bars.open_ns[-1])
    assert str(bitcoin) == "files/local/BTC-USDT 15m +1,000 ~50"
    assert versions.diff(first, first) == []


def test_bars_of_an_interrupted_ingest_are_named_by_the_version_that_records_them(versions, make_bars, make_instrument):
    versions.store.write(make_bars(100))
    versions.store.write(make_bars(70, instrument=make_instrument("ETH/USDT")))  # and killed before its commit
    made = versions.commit("Ingest of BTC/USDT", {("files/local/BTC-USDT", "15m")})
    assert made.message == "Ingest of BTC/USDT; of an interrupted ingest: files/local/ETH-USDT 15m +70"


def at(home: Path, remote: str, monkeypatch: pytest.MonkeyPatch) -> Versions:
    """The versions of a project folder, as a process of its own would see them."""
    monkeypatch.setenv("PREGAO_HOME", str(home))
    monkeypatch.setenv("PREGAO_DVC_REMOTE", remote)
    settings.cache_clear()
    return Versions()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.servers)])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A DVC remote: a folder, or a bucket of moto's server, which speaks S3 on loopback."""
    if request.param == "folder":
        yield str(tmp_path / "remote")
        return
    with bucket("market", tmp_path, monkeypatch):
        yield "s3://market/data"


def test_versions_travel_to_another_machine_bit_for_bit(tmp_path, make_bars, equal, remote, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    bars = make_bars(3_000)
    here = at(one, "", monkeypatch)
    here.store.write(bars[:500])
    early = here.commit("before there was a remote")
    here = at(one, remote, monkeypatch)
    here.store.write(bars[:1_000])
    first = here.commit("one")
    here.store.write(bars)
    second = here.commit("two")
    assert here.push() > 0
    assert here.push() == 0

    there = at(other, remote, monkeypatch)
    assert there.pull() == second
    assert contents(there.root) == contents(here.root)
    assert [v.revision for v in there.list()] == [v.revision for v in here.list()]
    assert there.pull() == second
    for version, count in ((first, 1_000), (early, 500)):
        there.snapshot(version, tmp_path / "snapshot")
        assert equal(Store(tmp_path / "snapshot").bars(bars.instrument, M15), bars[:count])

    # The other machine goes on, and this one follows.
    there.store.write(make_bars(10, first=3_000))
    third = there.commit("three")
    assert there.push() > 0
    here = at(one, remote, monkeypatch)
    assert here.pull() == third
    assert contents(here.root) == contents(there.root)


def test_two_histories_that_part_are_told_apart_and_nothing_is_lost(tmp_path, make_bars, monkeypatch):
    remote = str(tmp_path / "remote")
    here = at(tmp_path / "one", remote, monkeypatch)
    here.store.write(make_bars(100))
    here.commit("one")
    here.push()
    there = at(tmp_path / "other", remote, monkeypatch)
    there.pull()
    there.store.write(make_bars(110))
    there.commit("there")
    there.push()
    here = at(tmp_path / "one", remote, monkeypatch)
    here.store.write(make_bars(50, first=500))
    before = contents(here.root)
    with pytest.raises(PregaoError, match="bars that no version records"):
        here.pull()
    here.commit("here")
    with pytest.raises(PregaoError, match="remote has versions that this folder lacks"):
        here.push()
    with pytest.raises(PregaoError, match="both have versions that the other lacks"):
        here.pull()
    assert contents(here.root) == before


def test_a_remote_that_is_not_there_or_lost_its_bars_is_told(tmp_path, make_bars, monkeypatch):
    here = at(tmp_path / "one", str(tmp_path / "remote"), monkeypatch)
    with pytest.raises(PregaoError, match="remote holds no versions"):
        here.pull()
    here.store.write(make_bars(100))
    here.commit("one")
    here.push()
    shutil.rmtree(tmp_path / "remote" / "files")
    there = at(tmp_path / "other", str(tmp_path / "remote"), monkeypatch)
    with pytest.raises(PregaoError) as caught:
        there.pull()
    assert caught.value.mend
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    here = at(tmp_path / "one", str(blocked / "remote"), monkeypatch)
    with pytest.raises(PregaoError, match=r"cannot be used|DVC failed"):
        here.push()
    monkeypatch.setenv("PREGAO_DVC_REMOTE", "")
    settings.cache_clear()
    with pytest.raises(PregaoError, match="No DVC remote is set"):
        Versions().pull()


def test_the_commands_of_versions(home, tmp_path, monkeypatch, capsys, make_bars):
    from pregao.cli import main

    def run(*arguments: str) -> str:
        main(list(arguments))
        return capsys.readouterr().out

    at(home, str(tmp_path / "remote"), monkeypatch)
    versions = Versions()
    versions.store.write(make_bars(100))
    first = versions.commit("one")
    versions.store.write(make_bars(130))
    versions.commit("two")
    document = json.loads(run("data", "diff", first.short, "--json"))
    assert [(c["timeframe"], c["added"]) for c in document["changes"]] == [("15m", 30)]
    assert "files/local/BTC-USDT  15m      30" in run("data", "diff", first.short)
    assert "hold the same bars" in run("data", "diff", first.short, first.short)
    assert "Sent " in run("data", "push")
    assert json.loads(run("data", "push", "--json")) == {"sent": 0}
    assert "The store holds version" in run("data", "pull")
