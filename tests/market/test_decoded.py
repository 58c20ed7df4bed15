"""Copies of decoded files: read in place of the Parquet file only where they are certainly what it holds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pregao.core.timeframe import Timeframe
from pregao.market import parquet
from pregao.market.decoded import LEAST, Decoded
from pregao.market.store import Store
from pregao.market.versions import Versions

MINUTE = Timeframe.parse("1m")


@pytest.fixture
def decodes(monkeypatch) -> list[Path]:
    """The files that were decoded."""
    seen: list[Path] = []
    real = parquet._decode

    def counted(path, instrument, rows):
        seen.append(path)
        real(path, instrument, rows)

    monkeypatch.setattr(parquet, "_decode", counted)
    return seen


@pytest.fixture
def bars(make_bars):
    return make_bars(100_000, timeframe="1m")  # of four months


def copies(store: Store) -> list[Path]:
    return sorted((store.root / ".tmp" / "decoded").iterdir())


def test_what_was_written_is_read_without_decoding_it(tmp_path, bars, equal, decodes):
    store = Store(tmp_path)
    store.write(bars)
    assert equal(store.bars(bars.instrument, MINUTE), bars)
    assert equal(Store(tmp_path).bars(bars.instrument, MINUTE), bars)
    assert not decodes
    assert len(copies(store)) == len(np.unique(parquet.periods(bars.open_ns, MINUTE)))


def test_arrays_that_were_read_are_the_readers_own(tmp_path, bars, equal):
    store = Store(tmp_path)
    store.write(bars)
    store.bars(bars.instrument, MINUTE).close[:] = 1
    assert equal(store.bars(bars.instrument, MINUTE), bars)


def test_a_store_without_copies_makes_them_when_it_is_read(tmp_path, bars, equal, decodes):
    """As one of before there were any, or one that was pulled, once something has been written to it."""
    store = Store(tmp_path)
    store.write(bars)
    for path in copies(store):
        path.unlink()
    for _ in range(2):
        assert equal(store.bars(bars.instrument, MINUTE), bars)
    assert len(decodes) == len(set(decodes)) == len(copies(store))


def test_files_of_before_there_were_digests_are_read_and_not_copied(tmp_path, bars, equal, monkeypatch, decodes):
    store = Store(tmp_path)
    with monkeypatch.context() as before:
        before.setattr(parquet, "_DIGEST", b"pregao.no-digest-yet")
        store.write(bars)
    for path in copies(store):
        path.unlink()
    for _ in range(2):
        assert equal(store.bars(bars.instrument, MINUTE), bars)
    assert not copies(store)
    assert len(decodes) == 2 * len(list(store.bars_root.rglob("*.parquet")))


@pytest.mark.parametrize("harm", ["cut", "zeros", "one bit", "empty", "longer", "a folder"])
def test_a_copy_that_was_harmed_is_not_believed(tmp_path, bars, equal, decodes, harm):
    store = Store(tmp_path)
    store.write(bars)
    (place, *_) = copies(store)
    content = bytearray(place.read_bytes())
    if harm == "cut":
        place.write_bytes(content[:-8])
    elif harm == "zeros":  # as a machine that lost its power may leave it
        place.write_bytes(content[:4096] + bytes(len(content) - 4096))
    elif harm == "one bit":
        content[len(content) // 2] ^= 16
        place.write_bytes(content)
    elif harm == "empty":
        place.write_bytes(b"")
    elif harm == "longer":
        place.write_bytes(content + b"x")
    else:
        place.unlink()
        place.mkdir()
    assert equal(store.bars(bars.instrument, MINUTE), bars)
    assert len(decodes) == (harm != "longer")  # what comes after the rows is not read


def test_a_file_that_changes_and_one_that_comes_back_are_read_as_they_are(home, make_bars, bars, equal):
    store = Store()
    other = make_bars(100_000, seed=1, timeframe="1m")
    store.write(bars)
    first = Versions().commit("one")
    store.write(other)
    Versions().commit("other")
    assert equal(store.bars(bars.instrument, MINUTE), other)
    Versions().checkout(first)
    assert equal(store.bars(bars.instrument, MINUTE), bars)
    assert equal(store.bars(bars.instrument, MINUTE), bars)


def test_a_finer_grid_of_prices_is_another_copy(tmp_path, bars, make_instrument):
    store = Store(tmp_path)
    store.write(bars)
    finer = make_instrument(tick="0.001")
    assert np.array_equal(store.bars(finer, MINUTE).close, bars.close * 10)
    assert np.array_equal(store.bars(bars.instrument, MINUTE).close, bars.close)


def test_a_folder_that_is_only_read_stays_as_it_is(home, bars, equal, tmp_path):
    Store().write(bars)
    Versions().commit("one")
    Versions().snapshot(None, tmp_path / "snapshot")
    before = sorted(tmp_path.rglob("*"))
    assert equal(Store(tmp_path / "snapshot").bars(bars.instrument, MINUTE), bars)
    assert sorted(tmp_path.rglob("*")) == before


def test_copies_take_no_more_than_their_share_and_the_least_recently_read_make_room(tmp_path):
    files = [tmp_path / "bars" / f"{name}.parquet" for name in "abcd"]
    rows = np.arange(6 * LEAST, dtype=np.int64).reshape(6, LEAST)
    few = Decoded(tmp_path, 3 * (48 * LEAST + 256))
    few.begin()
    for k, path in enumerate(files[:3]):
        few.keep(path, "identity", rows)
        os.utime(few._place(path), (k, k))
    assert few.read(files[0], "identity", np.empty_like(rows))
    few.keep(files[3], "identity", rows)
    found = [few.read(path, "identity", np.empty_like(rows)) for path in files]
    assert found == [True, False, True, True]
    assert not few.read(files[0], "another", np.empty_like(rows))


def test_a_disk_without_room_only_means_no_copy(tmp_path, bars, equal, monkeypatch):
    store = Store(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Decoded, "_place", full)
        store.write(bars)
    assert not copies(store)
    assert not list((tmp_path / ".tmp").glob("*.part"))
    assert equal(store.bars(bars.instrument, MINUTE), bars)
