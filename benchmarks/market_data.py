"""How fast the store reads, checks, ingests and records, beside pandas and beside itself when it was small.

What is compared is checked to be equal first. Prints seconds and ratios, the best of several runs in one process.

    python benchmarks/market_data.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from engine_against_floor import best, market

from pregao.core.bars import COLUMNS, Bars
from pregao.core.timeframe import Timeframe
from pregao.market.judge import judge
from pregao.market.policies import DEFAULTS
from pregao.market.quality import inspect
from pregao.market.sources import Series
from pregao.market.store import Store
from pregao.market.versions import Versions

YEAR = 525_600
FIELDS = ("open_ns", *COLUMNS, "volume")
START = int(np.datetime64("2019-01-01", "ns").astype(np.int64))


def moved(bars: Bars, timeframe: str = "1m", symbol: str = "BENCH/USD") -> Bars:
    """The same walk from 2019 on, of another length or name, with volumes of five decimals."""
    length = Timeframe.parse(timeframe)
    instrument = bars.instrument.model_copy(update={"symbol": symbol})
    times = START + np.arange(len(bars), dtype=np.int64) * length.ns
    volume = np.round(np.exp(np.random.default_rng(3).normal(2.0, 1.0, len(bars))), 5)
    return Bars(instrument, length, times, *(getattr(bars, name) for name in COLUMNS), volume)


def from_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, parse_dates=["timestamp"])


def year_of_minutes(folder: Path, bars: Bars) -> dict[str, float]:
    store, csv = Store(folder / "year"), folder / "year.csv"
    store.write(bars)
    bars.frame().to_csv(csv, index=False)
    read, frame = store.bars(bars.instrument, bars.timeframe), from_csv(csv)
    assert all(np.array_equal(getattr(read, name), getattr(bars, name)) for name in FIELDS)
    assert all(np.array_equal(np.rint(frame[name].to_numpy() * 100), getattr(read, name)) for name in COLUMNS)
    assert np.array_equal(frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy(), read.open_ns)
    assert np.array_equal(frame["volume"].to_numpy(), read.volume)
    copies = store.root / ".tmp" / "decoded"

    def megabytes(paths: Iterable[Path]) -> float:
        return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6

    def without_copies() -> None:
        for path in copies.iterdir():
            path.unlink()
        store.bars(bars.instrument, bars.timeframe)

    sizes = {"parquet_mb": megabytes(store.bars_root.rglob("*")), "copies_mb": megabytes(copies.iterdir())}
    # Ours and theirs by turns: what else the machine does meanwhile meets both.
    turns = [
        (
            best(lambda: store.bars(bars.instrument, bars.timeframe), 4),
            best(lambda: from_csv(csv), 1),
            best(without_copies, 1),
            best(lambda: Bars.from_frame(from_csv(csv), bars.instrument, bars.timeframe), 1),
        )
        for _ in range(5)
    ]
    ours, pandas, first, arrays = (min(column) for column in zip(*turns, strict=True))
    shutil.rmtree(copies)
    decoded = best(lambda: store.bars(bars.instrument, bars.timeframe), 5)
    return {
        "bars": len(bars),
        "store_s": ours,
        "pandas_csv_s": pandas,
        "pandas_csv_to_arrays_s": arrays,
        "pandas_over_store": pandas / ours,
        "pandas_to_arrays_over_store": arrays / ours,
        "store_first_time_s": first,
        "store_decoding_s": decoded,
        "csv_mb": megabytes([csv]),
        **sizes,
    }


def twenty_of_hours(folder: Path, bars: Bars) -> dict[str, float]:
    store, hours = Store(folder / "twenty"), 5 * 8_766
    every = [moved(bars[:hours], "1h", f"COIN{i}/USD") for i in range(20)]
    for one in every:
        store.write(one)

    def read() -> int:
        return sum(len(store.bars(one.instrument, one.timeframe)) for one in every)

    assert read() == 20 * hours
    return {"bars": 20 * hours, "store_s": best(read, 3)}


def checking(bars: Bars) -> dict[str, float]:
    frame = bars.frame()
    series = Series(bars.instrument, bars.timeframe, frame)
    judged = judge(series, DEFAULTS)
    assert all(np.array_equal(getattr(judged.bars, name), getattr(bars, name)) for name in FIELDS)
    return {"bars": len(bars), "s": best(lambda: inspect(judge(series, DEFAULTS).bars), 3)}


def one_new_bar(folder: Path, bars: Bars, times: int) -> dict[str, float]:
    """An ingest of a bar a minute later: judged, stored, its report brought up to date, recorded as a version."""
    from pregao.market.ingest import Gathered, keep

    def after(have: int, name: str) -> tuple[Store, list[float]]:
        store, took = Store(folder / name), []
        keep([_gathered(bars[:have], Gathered)], DEFAULTS, store)
        for k in range(times):
            new = bars[have + k - 4 : have + k + 1]  # as a source brings it: with the last bars again
            began = time.perf_counter()
            report = keep([_gathered(new, Gathered)], DEFAULTS, store)
            took.append(time.perf_counter() - began)
            assert report.added == 1
            assert report.series[0].quality.bars == have + k + 1
        return store, took

    week, long = 7 * 1_440, len(bars) - times - 1
    _, small = after(week, "week")
    _, large = after(long, "years")
    return {
        "after_a_week_s": float(np.median(small)),
        "after_years_s": float(np.median(large)),
        "years_over_week": float(np.median(large) / np.median(small)),
        "bars_of_years": long,
    }


def _gathered(bars: Bars, kind: type) -> object:
    series = Series(bars.instrument, bars.timeframe, bars.frame())
    return kind("benchmark", (judge(series, DEFAULTS),))


def one_of_many_files(folder: Path, bars: Bars, files: int) -> dict[str, float]:
    """A version recorded after one of many files has changed."""
    store = Store(folder / "many")
    for i in range(files // 60):
        store.write(moved(bars[: 60 * 31 * 24], "1h", f"COIN{i}/USD"))
    versions = Versions(store.root)
    versions.commit("all")
    count = sum(1 for _ in store.bars_root.rglob("*.parquet"))
    took = []
    for k in range(3):
        last = moved(bars[: 60 * 31 * 24 + k + 1], "1h", "COIN0/USD")
        store.write(last[-1:])
        began = time.perf_counter()
        assert versions.commit("one more") is not None
        took.append(time.perf_counter() - began)
    return {"files": count, "s": min(took)}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="A tenth of the data, for a try.")
    part = 10 if parser.parse_args().quick else 1
    minutes = moved(market(5 * YEAR // part + 20))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "read_a_year_of_minutes": year_of_minutes(folder, minutes[: YEAR // part]),
            "read_5_years_of_20_of_hours": twenty_of_hours(folder, minutes),
            "normalise_and_check": checking(minutes[: 1_000_000 // part]),
            "ingest_one_new_bar": one_new_bar(folder, minutes, 5),
            "record_one_file_of_many": one_of_many_files(folder, minutes, 2_000 // part),
        }
    print(json.dumps({k: {n: round(v, 4) for n, v in of.items()} for k, of in found.items()}, indent=2))


if __name__ == "__main__":
    main()
