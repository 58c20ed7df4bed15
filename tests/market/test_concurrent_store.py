"""Many at once: writers of different instruments side by side, readers that never see half a write."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pregao.core.timeframe import Timeframe
from pregao.market.atomic import exclusive, shared
from pregao.market.store import Store
from pregao.market.transaction import Transaction, finish_interrupted

M15 = Timeframe.parse("15m")


def test_instruments_are_written_side_by_side_and_one_after_the_other_alone(tmp_path):
    store = Store(tmp_path)
    inside, most = set(), []

    def write(key: str) -> None:
        with store.writing(key):
            assert key not in inside
            inside.add(key)
            most.append(len(inside))
            time.sleep(0.05)
            inside.discard(key)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [f"a/b/{k % 4}" for k in range(12)]))
    assert max(most) > 1
    with store.alone(), pytest.raises(Exception, match="Another process"), shared(store.lock, tmp_path / "g", 0.05):
        pass


def test_who_wants_the_store_alone_is_not_kept_out_by_a_stream_of_writers(tmp_path):
    store, stop = Store(tmp_path), threading.Event()

    def stream(key: str) -> None:
        while not stop.is_set():
            with store.writing(key):
                time.sleep(0.01)

    writers = [threading.Thread(target=stream, args=(f"a/b/{k}",)) for k in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(0.1)
    began = time.monotonic()
    with store.alone():
        waited = time.monotonic() - began
    stop.set()
    for writer in writers:
        writer.join()
    assert waited < 30


def test_many_instruments_written_at_once_are_all_there(tmp_path, make_bars, make_instrument, equal):
    store = Store(tmp_path)
    every = [make_bars(3_000, seed=k, instrument=make_instrument(f"C{k}/USDT")) for k in range(6)]
    parts = [bars[a : a + 1_000] for bars in every for a in (0, 1_000, 2_000)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(store.write, parts))
    assert all(result.added == 1_000 for result in results)
    assert all(equal(store.bars(bars.instrument, M15), bars) for bars in every)


def test_a_reader_never_sees_half_a_write(tmp_path, make_bars):
    """A history of four files is replaced again and again by another one: what is read is the one or the other."""
    store = Store(tmp_path)
    one, other = make_bars(9_000, seed=1), make_bars(9_000, seed=2)
    store.write(one)
    stop, read, mixed = threading.Event(), [], []

    def reading() -> None:
        while not stop.is_set():
            found = Store(tmp_path).bars(one.instrument, M15).close
            which = [np.array_equal(found, bars.close) for bars in (one, other)]
            read.append(which.index(True) if any(which) else -1)
            if not any(which):
                mixed.append(found)

    readers = [threading.Thread(target=reading) for _ in range(2)]
    for reader in readers:
        reader.start()
    until, k = time.monotonic() + 90, 0
    while k < 15 or (set(read) != {0, 1} and time.monotonic() < until):  # both are there to be read, too
        store.write(other if k % 2 == 0 else one)
        k += 1
    stop.set()
    for reader in readers:
        reader.join()
    assert not mixed
    assert set(read) == {0, 1}


def test_a_change_is_made_whole_by_whoever_comes_next(tmp_path, make_bars, equal):
    """The manifest is there, some files are moved, and the writer is gone: a reader finishes it first."""
    store = Store(tmp_path)
    one, other = make_bars(9_000, seed=1), make_bars(9_000, seed=2)
    store.write(one)
    there = Store(tmp_path / "there")
    there.write(other)
    key = one.instrument.key
    change = Transaction(store.root, store._manifest(key), store.root / ".tmp")
    for path in sorted(there.bars_root.rglob("*.parquet")):
        change.put(store.root / path.relative_to(there.root), path.read_bytes())
    moves = change._moves
    store._manifest(key).write_text(json.dumps({"moves": moves, "removals": []}))
    (store.root / moves[0][0]).replace(store.root / moves[0][1])  # one of four was moved
    assert equal(store.bars(one.instrument, M15), other)
    assert not store._manifest(key).exists()
    finish_interrupted(store.root, store._manifest(key))  # nothing is left to do


def test_a_lock_is_free_when_its_holder_fails(tmp_path):
    lock = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), exclusive(lock):
        1 / 0  # noqa: B018
    with exclusive(lock, 0.1):
        pass
