"""The store: Parquet files of bars, exact, atomic and idempotent.

Layout, below the root: ``bars/<source>/<venue>/<symbol>/instrument.json`` holds the trading rules and
``bars/<source>/<venue>/<symbol>/<timeframe>/<period>.parquet`` the bars, one file a month (``2024-05``), or a
year (``2024``) for bars of a day and more. Columns: ``timestamp`` (open time, UTC), ``open high low close``
(float64, each the nearest float to its decimal price) and ``volume`` (float64, base units), ascending in time.
Splits and dividends are in ``actions.parquet`` beside the rules, where there are any; prices are as they were traded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pregao.core.actions import Action, from_frame
from pregao.core.adjustment import adjusted
from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, UsageError, unknown
from pregao.core.instrument import Instrument, folder_name
from pregao.core.timeframe import NAMES, Timeframe
from pregao.market import actions as action_table
from pregao.market import parquet
from pregao.market.atomic import exclusive, shared, write_atomic
from pregao.market.decoded import Decoded
from pregao.market.merging import WriteResult, merge
from pregao.market.parquet import PeriodFile
from pregao.market.transaction import Transaction, finish_interrupted
from pregao.settings import settings

SCHEMA = parquet.SCHEMA
T = TypeVar("T")
_INGEST = "Bring it in with `pregao ingest`; `pregao data list` shows what is there."


@dataclass(frozen=True, slots=True)
class Coverage:
    """The span of a series: open times of its first and last bar (ns since 1970 UTC) and how many there are."""

    first_ns: int
    last_ns: int
    count: int


class Store:
    """Bars of all instruments below one folder.

    Reading needs no lock: every file is replaced whole, and who reads several finds them as one write left them.
    Different instruments are written at once, each by one writer at a time.

    Args:
        root: the data folder; `settings().data` by default.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else settings().data
        self.bars_root = self.root / "bars"
        self.lock = self.root / ".lock"
        self._gate = self.root / ".lock-gate"
        self._locks = self.root / ".locks"
        self._scratch = self.root / ".tmp"
        self._decoded = Decoded(self.root)

    def instruments(self) -> list[Instrument]:
        """All instruments, by key; empty for a store that does not exist yet."""
        found = sorted(self.bars_root.glob("*/*/*/instrument.json"))
        return [self._rules(path) for path in found]

    def instrument(self, name: str) -> Instrument:
        """The instrument with this key (``source/venue/SYMBOL``) or this symbol, in either spelling.

        Raises:
            NotFoundError: if there is none; lists the known ones.
            UsageError: if several instruments share the symbol; lists their keys.
        """
        every = self.instruments()
        wanted = name.strip()
        for instrument in every:
            if instrument.key == wanted:
                return instrument
        folded = folder_name(wanted).casefold()
        same = [i for i in every if folder_name(i.symbol).casefold() == folded or i.key.casefold() == wanted.casefold()]
        if len(same) > 1:
            keys = ", ".join(i.key for i in same)
            raise UsageError(f"{name!r} is the symbol of {len(same)} instruments.", f"Name one of {keys}.")
        if not same:
            raise unknown("instrument", name, [i.key for i in every], _INGEST)
        return same[0]

    def timeframes(self, instrument: Instrument) -> list[Timeframe]:
        """The timeframes with bars of this instrument, shortest first."""
        folder = self.bars_root / instrument.key
        names = {path.parent.name for path in folder.glob("*/*.parquet")}
        return [Timeframe.parse(name) for name in NAMES if name in names]

    def coverage(self, instrument: Instrument, timeframe: Timeframe) -> Coverage:
        """First and last open time and number of bars, from the files' footers.

        Raises `NotFoundError` if there are no bars.
        """
        files = self.files(instrument, timeframe)
        return Coverage(files[0].first_ns, files[-1].last_ns, sum(file.bars for file in files))

    def files(self, instrument: Instrument, timeframe: Timeframe) -> list[PeriodFile]:
        """The files of a series, in order of time.

        Raises `NotFoundError` if there are no bars, `PregaoError` if a footer is damaged or of a newer version.
        """
        return self._steady(
            instrument, timeframe, lambda: [parquet.describe(path) for path in self._paths(instrument, timeframe)]
        )

    def covered(self, instrument: Instrument, timeframe: Timeframe) -> Coverage | None:
        """As `coverage`; None if there are no bars."""
        try:
            return self.coverage(instrument, timeframe)
        except NotFoundError:
            return None

    def bars(
        self,
        instrument: Instrument,
        timeframe: Timeframe,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        adjusted_as_of: int | None = None,
    ) -> Bars:
        """The bars with ``start_ns <= open time < end_ns``; None leaves that side open.

        Only the files of the periods asked for are read. Prices are as they were traded, or, with ``adjusted_as_of``
        (ns since 1970), adjusted for the stored splits and dividends up to that time (see
        `pregao.core.adjustment.adjusted`), of which those after ``end_ns`` count too.

        Raises:
            NotFoundError: if the store has no bars of this instrument and timeframe.
            UsageError: if it has, but none in this span; says which it has.
            PregaoError: if a file is damaged or written by a newer version.
        """
        if adjusted_as_of is not None:
            # A dividend is measured by the close before it, which may lie after the bars that are wanted.
            until = None if end_ns is None else max(end_ns, adjusted_as_of + 1)
            traded = self.bars(instrument, timeframe, start_ns, until)
            made = adjusted(traded, self.actions(instrument), adjusted_as_of).between(start_ns, end_ns)
            if len(made):
                return made
        bars = self.held(instrument, timeframe, start_ns, end_ns)
        if len(bars):
            return bars
        have = self.coverage(instrument, timeframe)
        raise UsageError(
            f"The store has no {timeframe} bars of {instrument.symbol} in that span.",
            f"It has {have.count} bars from {_date(have.first_ns)} to {_date(have.last_ns)} UTC.",
        )

    def held(self, instrument: Instrument, timeframe: Timeframe, start_ns: int | None, end_ns: int | None) -> Bars:
        """As `bars`, but no bars where there are none."""
        first, last = (
            parquet.periods(np.array([t], dtype=np.int64), timeframe)[0] if t is not None else ""
            for t in (start_ns, end_ns)
        )

        def read() -> Bars:
            paths = sorted((self.bars_root / instrument.key / timeframe.name).glob("*.parquet"))
            wanted = [path for path in paths if first <= path.stem and (not last or path.stem <= last)]
            return parquet.load(wanted, instrument, timeframe, self._decoded)

        return self._steady(instrument, timeframe, read).between(start_ns, end_ns)

    def write(self, bars: Bars, *, replace: bool = False) -> WriteResult:
        """Merge bars into the store by their open time; a bar at a stored time takes its place.

        Files that would not change are not touched, so the same bars twice leave the same bytes, and so do the
        same bars in another order of writes.

        Args:
            bars: what to store, ascending in time; their instrument's rules become the stored ones.
            replace: the bars are the whole series: what is stored at other times is removed.

        Raises:
            UsageError: if another symbol has the same folder, or a stored price is off the new price grid.
            PregaoError: if the disk is full, a stored file is damaged or of a newer version.
        """
        if not len(bars):
            return WriteResult()
        folder = self.bars_root / bars.instrument.key / bars.timeframe.name
        names, starts = np.unique(parquet.periods(bars.open_ns, bars.timeframe), return_index=True)
        total = WriteResult()
        self._decoded.begin()
        written: list[tuple[Path, Bars]] = []
        with self.writing(bars.instrument.key):
            self._adopt(bars.instrument)
            with self._change(bars.instrument.key) as change:
                for name, lo, hi in zip(names, starts, [*starts[1:], len(bars)], strict=True):
                    path = folder / f"{name}.parquet"
                    old = parquet.load([path], bars.instrument, bars.timeframe) if path.exists() else None
                    merged, result = merge(old, bars[lo:hi], replace)
                    total += result
                    if result.changed:
                        change.put(path, parquet.encode(merged))
                        written.append((path, merged))
                for path in sorted(folder.glob("*.parquet")) if replace else ():
                    if path.stem not in names:
                        total += WriteResult(removed=parquet.describe(path).bars)
                        change.remove(path)
            for path, merged in written:
                parquet.keep_copy(path, merged, self._decoded)
        return total

    @contextmanager
    def writing(self, key: str) -> Iterator[None]:
        """Write to one instrument, together with writers of others; what a killed writer left undone is done first.

        Raises `PregaoError` if another process keeps the instrument, or the store, for minutes.
        """
        own = self._locks / folder_name(key)
        with shared(self.lock, self._gate), exclusive(own.with_name(f"{own.name}.lock")):
            finish_interrupted(self.root, self._manifest(key))
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the whole store: nobody writes meanwhile, and nothing is half written."""
        with exclusive(self._gate), exclusive(self.lock):
            for manifest in sorted(self._locks.glob("*.json")):
                finish_interrupted(self.root, manifest)
            yield

    def actions(self, instrument: Instrument) -> tuple[Action, ...]:
        """The splits and dividends of an instrument, ascending in time; empty if none are stored.

        Raises `PregaoError` if the file is damaged or of a newer version.
        """
        path = self.bars_root / instrument.key / action_table.FILE
        if not path.exists():
            return ()
        table = parquet.read(path, schema=action_table.SCHEMA)
        try:
            return from_frame(table.to_pandas())
        except UsageError as error:
            raise parquet.damaged(path) from error

    def write_actions(self, instrument: Instrument, frame: pd.DataFrame, *, replace: bool = False) -> WriteResult:
        """Merge splits and dividends into the instrument's table; one at a stored time takes its kind's place.

        Args:
            instrument: whose.
            frame: as of `pregao.core.actions.from_frame`, without funding.
            replace: the frame has all of them: what is stored besides is removed.

        Returns:
            What changed, in actions. A table that would not change is not touched.

        Raises:
            UsageError: naming the first row that is no action; nothing is written then.
            PregaoError: if the disk is full, the stored table damaged or of a newer version.
        """
        new = action_table.read_actions(frame)
        path = self.bars_root / instrument.key / action_table.FILE
        with self.writing(instrument.key):
            old = {(action.ts_ns, type(action)): action for action in self.actions(instrument)}
            same = sum(old.get(key) == action for key, action in new.items())
            added = len(new.keys() - old.keys())
            removed = len(old.keys() - new.keys()) if replace else 0
            result = WriteResult(added, len(new) - added - same, same, removed)
            if result.changed:
                table = action_table.to_table((new if replace else old | new).values())
                metadata = {"pregao.schema": str(parquet.SCHEMA)}
                sink = pa.BufferOutputStream()
                pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
                write_atomic(path, sink.getvalue().to_pybytes(), self._scratch)
            return result

    def export(
        self, instrument: Instrument, timeframe: Timeframe, path: Path, *, adjusted_as_of: int | None = None
    ) -> int:
        """Write the whole series to one CSV or Parquet file, by the name's ending; returns the number of bars.

        Prices are as they were traded, or adjusted as of a time, as in `bars`.
        """
        bars = self.bars(instrument, timeframe, adjusted_as_of=adjusted_as_of)
        table, instrument = parquet.to_table(bars), bars.instrument
        sink = pa.BufferOutputStream()
        if path.suffix.lower() == ".csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(table, sink)
        elif path.suffix.lower() in (".parquet", ".pq"):
            pq.write_table(
                table.replace_schema_metadata(parquet.metadata(instrument, timeframe)), sink, compression="zstd"
            )
        else:
            raise UsageError(f"{path.name!r} is neither CSV nor Parquet.", "End the name in .csv or .parquet.")
        write_atomic(path, sink.getvalue().to_pybytes(), path.parent)
        return int(table.num_rows)

    def _adopt(self, instrument: Instrument) -> None:
        """Make these the instrument's stored rules; files written under other rules are written anew."""
        folder = self.bars_root / instrument.key
        path = folder / "instrument.json"
        if path.exists():
            stored = self._rules(path)
            if stored == instrument:
                return
            if stored.symbol != instrument.symbol:
                raise UsageError(
                    f"{instrument.symbol!r} and the stored {stored.symbol!r} have the same folder {instrument.key}.",
                    "Use the stored spelling.",
                )
        with self._change(instrument.key) as change:
            for file in sorted(folder.glob("*/*.parquet")):
                bars = parquet.load([file], instrument, Timeframe.parse(file.parent.name))
                change.put(file, parquet.encode(bars))
            document = {"schema": parquet.SCHEMA, "instrument": instrument.to_json()}
            change.put(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())

    def _rules(self, path: Path) -> Instrument:
        try:
            document = json.loads(path.read_bytes())
            parquet.check_schema(int(document["schema"]), path)
            return Instrument.model_validate(document["instrument"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise parquet.damaged(path) from error

    def _paths(self, instrument: Instrument, timeframe: Timeframe) -> list[Path]:
        paths = sorted((self.bars_root / instrument.key / timeframe.name).glob("*.parquet"))
        if not paths:
            others = ", ".join(str(t) for t in self.timeframes(instrument))
            have = f"It has {others}. " if others else ""
            raise NotFoundError(f"The store has no {timeframe} bars of {instrument.symbol}.", have + _INGEST)
        return paths

    def _steady(self, instrument: Instrument, timeframe: Timeframe, read: Callable[[], T]) -> T:
        """What ``read`` reads of a series while none of its files changes: never a part of one write."""
        folder, manifest = self.bars_root / instrument.key / timeframe.name, self._manifest(instrument.key)
        for _ in range(20):
            if manifest.exists():
                with self.writing(instrument.key):
                    continue
            before = _listing(folder)
            try:
                found = read()
            except FileNotFoundError:
                # A checkout of another version has taken a file away.
                continue
            if _listing(folder) == before and not manifest.exists():
                return found
        with self.alone():
            return read()

    @contextmanager
    def _change(self, key: str) -> Iterator[Transaction]:
        """Several files of an instrument changed as one, if all goes well."""
        change = Transaction(self.root, self._manifest(key), self._scratch)
        try:
            yield change
        except BaseException:
            change.abandon()
            raise
        change.finish()

    def _manifest(self, key: str) -> Path:
        return self._locks / f"{folder_name(key)}.json"


def _listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """The files of a folder by what changes when one is replaced."""
    try:
        with os.scandir(folder) as entries:
            stats = {entry.name: entry.stat() for entry in entries}
    except FileNotFoundError:
        return {}
    return {name: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats.items()}


def _date(ns: int) -> str:
    return str(np.datetime64(ns, "ns").astype("datetime64[m]")).replace("T", " ")
