"""The quality of a stored series grows with it: the same report whenever it is made, at the cost of what is new."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.market import findings, inspection, parquet
from pregao.market.quality import inspect
from pregao.market.store import Store

DAY = Timeframe.parse("1d")


def flawed(make_bars, n: int, **given) -> Bars:
    """Bars with a gap, a spike, a jump, a split, a stale run and silent bars every few hundred."""
    bars = make_bars(n, **given)
    prices = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    volume = bars.volume.copy()
    for at in range(150, n - 210, 400):
        for price in prices.values():
            price[at] = price[at] * 14 // 10
            price[at + 60 :] = price[at + 60 :] * 13 // 10 if at % 800 == 150 else price[at + 60 :] // 2
        for price in prices.values():
            price[at + 100 : at + 115] = prices["close"][at + 99]
        volume[at + 200 : at + 203] = 0
    keep = np.ones(n, dtype=bool)
    for at in range(90, n - 30, 500):
        keep[at : at + 4] = False
    columns = (column[keep] for column in (bars.open_ns, *prices.values(), volume))
    return Bars(bars.instrument, bars.timeframe, *columns)


def report(store: Store, bars: Bars, known=None):
    return inspection.made(store, bars.instrument, bars.timeframe, 0, known=known)


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 1_450), max_size=6, unique=True), order=st.randoms(use_true_random=False))
def test_a_report_that_grows_is_the_report_made_at_once(cuts, order, make_bars, make_instrument):
    """By parts in any order, with each report built on the last: years of day bars on an exchange."""
    stock = make_instrument("GOOG", asset_class="stock", calendar="XNYS")
    whole = flawed(make_bars, 1_500, timeframe="1d", instrument=stock, start_ns=1_262_304_000_000_000_000)
    bounds = [0, *sorted(c for c in cuts if c < len(whole)), len(whole)]
    parts = [whole[a:b] for a, b in pairwise(bounds)]
    order.shuffle(parts)
    with tempfile.TemporaryDirectory() as folder:
        store, known = Store(Path(folder)), None
        for part in parts:
            store.write(part)
            known = report(store, whole, known).periods
        grown = report(store, whole, known)
        assert grown == report(store, whole)
        assert {f.kind for f in grown.findings} >= {"gap", "closed day", "spike", "stale", "zero volume"}


def test_the_files_together_tell_what_the_series_tells(tmp_path, make_bars):
    """Nothing is lost or counted twice where files meet; only a sigma is of other bars."""
    bars = flawed(make_bars, 9_000)
    store = Store(tmp_path)
    store.write(bars)
    found = report(store, bars)
    assert len(found.periods) == 4
    whole = inspect(bars)
    assert set(whole) == {"gap", "spike", "jump", "split-like jump", "stale", "zero volume"}
    assert {f.kind: f.count for f in found.findings} == {kind: of.count for kind, of in whole.items()}
    assert sum(of.missing for of in found.periods.values()) == whole["gap"].count
    assert sum(of.bars for of in found.periods.values()) == len(bars)


@pytest.mark.parametrize(("first", "last"), [(30, 34), (28, 31), (31, 60)])
def test_what_lies_across_the_border_of_two_files_is_found_once(tmp_path, make_bars, first, last):
    """Day bars from 20 December on: row 12 is the first of the next year's file. A stale run and a gap across it."""
    start = np.datetime64("2020-11-30", "ns").astype(np.int64)
    bars = make_bars(90, timeframe="1d", start_ns=int(start))
    prices = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for price in prices.values():
        price[first - 5 : last + 8] = bars.close[first - 6]
    stale = Bars(bars.instrument, DAY, bars.open_ns, **prices, volume=bars.volume)
    Store(tmp_path / "stale").write(stale)
    [run] = [f for f in report(Store(tmp_path / "stale"), stale).findings if f.kind == "stale"]
    assert run.count == last - first + 13
    assert "1 runs" in run.text
    keep = np.r_[0:first, last:90]
    gone = Bars(
        bars.instrument, DAY, *(getattr(bars, n)[keep] for n in ("open_ns", "open", "high", "low", "close", "volume"))
    )
    Store(tmp_path / "gap").write(gone)
    [gap] = [f for f in report(Store(tmp_path / "gap"), gone).findings if f.kind == "gap"]
    assert gap.count == last - first
    assert "1 places" in gap.text


def test_only_what_changed_and_its_neighbours_are_read_again(tmp_path, make_bars, monkeypatch):
    bars = make_bars(30_000)
    store = Store(tmp_path)
    store.write(bars[:-1])
    known = report(store, bars).periods
    assert len(known) == 11
    read = []
    real = parquet.load
    monkeypatch.setattr(parquet, "load", lambda paths, *more: read.extend(p.stem for p in paths) or real(paths, *more))
    assert report(store, bars, known).periods == known
    assert read == []
    store.write(bars[-1:])
    read.clear()
    again = report(store, bars, known)
    assert sorted(set(read)) == sorted(known)[-3:]
    assert {name for name in known if again.periods[name] != known[name]} == set(sorted(known)[-2:])


def test_a_report_is_never_older_than_its_bars(tmp_path, make_bars):
    """Whoever was killed between writing bars and their report: the next look makes the report anew."""
    bars = make_bars(3_000)
    store = Store(tmp_path)
    store.write(bars[:1_000])
    findings.save(report(store, bars), store)
    store.write(bars[1_500:])
    found = inspection.current(store, bars.instrument, bars.timeframe)
    assert found.bars == 2_500
    assert [(f.kind, f.count) for f in found.findings] == [("gap", 500)]


def test_a_change_of_the_rules_makes_all_reports_anew(tmp_path, make_bars, make_instrument):
    bars = make_bars(700, timeframe="1d", start_ns=1_577_836_800_000_000_000)
    store = Store(tmp_path)
    store.write(bars)
    known = report(store, bars).periods
    stock = make_instrument(calendar="XNYS")
    found = inspection.made(store, stock, DAY, 0, known=known)
    assert {f.kind for f in found.findings} == {"closed day"}
