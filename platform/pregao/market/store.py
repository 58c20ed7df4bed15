"""The store: Parquet files of bars, exact, atomic and idempotent.

Layout, below the root: ``bars/<source>/<venue>/<symbol>/instrument.json`` holds the trading rules and
``bars/<source>/<venue>/<symbol>/<timeframe>/<period>.parquet`` the bars, one file a month (``2024-05``), or a
year (``2024``) for bars of a day and more. Columns: ``timestamp`` (open time, UTC), ``open high low close``
(float64, each the nearest float to its decimal price) and ``volume`` (float64, base units), ascending in time.
Splits and dividends are in ``actions.parquet`` beside the rules, where there are any; prices are as they were traded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from pregao.core.actions import Action, from_frame
from pregao.core.adjustment import adjusted
from pregao.core.bars import COLUMNS, Bars, Ints, prices
from pregao.core.errors import NotFoundError, PregaoError, UsageError, unknown
from pregao.core.instrument import Instrument, folder_name
from pregao.core.timeframe import NAMES, Timeframe
from pregao.market import actions as action_table
from pregao.market.atomic import disk_errors, exclusive, write_atomic
from pregao.settings import settings

SCHEMA = 1
"""Version of the layout and of the files; a store with a higher one is refused."""

_ARROW = pa.schema([("timestamp", pa.timestamp("us", "UTC")), *((name, pa.float64()) for name in (*COLUMNS, "volume"))])
_INGEST = "Bring it in with `pregao ingest`; `pregao data list` shows what is there."


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did to the store, in bars."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0

    @property
    def changed(self) -> bool:
        """Whether the store differs from what it was."""
        return bool(self.added or self.replaced or self.removed)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The span of a series: open times of its first and last bar (ns since 1970 UTC) and how many there are."""

    first_ns: int
    last_ns: int
    count: int


class Store:
    """Bars of all instruments below one folder.

    Reading needs no lock: every file is replaced whole. Writing is one writer at a time.

    Args:
        root: the data folder; `settings().data` by default.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else settings().data
        self.bars_root = self.root / "bars"
        self.lock = self.root / ".lock"
        self._scratch = self.root / ".tmp"

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
        paths = self._paths(instrument, timeframe)
        ends = [_read(path, ["timestamp"])["timestamp"] for path in (paths[0], paths[-1])]
        count = sum(_footer(path).num_rows for path in paths)
        return Coverage(_times(ends[0])[0].item(), _times(ends[1])[-1].item(), count)

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
        first = _periods(np.array([start_ns], dtype=np.int64), timeframe)[0] if start_ns is not None else ""
        last = _periods(np.array([end_ns], dtype=np.int64), timeframe)[0] if end_ns is not None else "~"

        def read() -> list[pa.Table]:
            return [_read(path) for path in self._paths(instrument, timeframe) if first <= path.stem <= last]

        try:
            tables = read()
        except FileNotFoundError:
            # A checkout of another version has taken a file away: wait until it is over.
            with exclusive(self.lock):
                tables = read()
        if tables:
            bars = _to_bars(pa.concat_tables(tables), instrument, timeframe).between(start_ns, end_ns)
            if len(bars):
                return bars
        have = self.coverage(instrument, timeframe)
        raise UsageError(
            f"The store has no {timeframe} bars of {instrument.symbol} in that span.",
            f"It has {have.count} bars from {_date(have.first_ns)} to {_date(have.last_ns)} UTC.",
        )

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
        with exclusive(self.lock):
            self._adopt(bars.instrument)
            folder = self.bars_root / bars.instrument.key / bars.timeframe.name
            periods = _periods(bars.open_ns, bars.timeframe)
            total = WriteResult()
            names, starts = np.unique(periods, return_index=True)
            for name, lo, hi in zip(names, starts, [*starts[1:], len(bars)], strict=True):
                total = _sum(total, self._write_period(folder / f"{name}.parquet", bars[lo:hi], replace))
            if replace:
                for path in sorted(folder.glob("*.parquet")):
                    if path.stem not in names:
                        total = _sum(total, WriteResult(removed=_footer(path).num_rows))
                        path.unlink()
            return total

    def actions(self, instrument: Instrument) -> tuple[Action, ...]:
        """The splits and dividends of an instrument, ascending in time; empty if none are stored.

        Raises `PregaoError` if the file is damaged or of a newer version.
        """
        path = self.bars_root / instrument.key / action_table.FILE
        if not path.exists():
            return ()
        table = _read(path, schema=action_table.SCHEMA)
        try:
            return from_frame(table.to_pandas())
        except UsageError as error:
            raise _damaged(path) from error

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
        with exclusive(self.lock):
            old = {(action.ts_ns, type(action)): action for action in self.actions(instrument)}
            same = sum(old.get(key) == action for key, action in new.items())
            added = len(new.keys() - old.keys())
            removed = len(old.keys() - new.keys()) if replace else 0
            result = WriteResult(added, len(new) - added - same, same, removed)
            if result.changed:
                table = action_table.to_table((new if replace else old | new).values())
                metadata = {"pregao.schema": str(SCHEMA)}
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
        if adjusted_as_of is None:
            table = pa.concat_tables([_read(p) for p in self._paths(instrument, timeframe)])
        else:
            bars = self.bars(instrument, timeframe, adjusted_as_of=adjusted_as_of)
            table, instrument = _to_table(bars), bars.instrument
        sink = pa.BufferOutputStream()
        if path.suffix.lower() == ".csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(table, sink)
        elif path.suffix.lower() in (".parquet", ".pq"):
            pq.write_table(table.replace_schema_metadata(_metadata(instrument, timeframe)), sink, compression="zstd")
        else:
            raise UsageError(f"{path.name!r} is neither CSV nor Parquet.", "End the name in .csv or .parquet.")
        write_atomic(path, sink.getvalue().to_pybytes(), path.parent)
        return int(table.num_rows)

    def _write_period(self, path: Path, new: Bars, replace: bool) -> WriteResult:
        """Merge the bars of one period into its file."""
        old = _to_bars(_read(path), new.instrument, new.timeframe) if path.exists() else new[:0]
        times = old.open_ns if not replace else old.open_ns[np.isin(old.open_ns, new.open_ns)]
        removed = len(old) - len(times)
        known = np.isin(new.open_ns, old.open_ns)
        at = np.searchsorted(old.open_ns, new.open_ns[known])
        differs = np.zeros(len(at), dtype=bool)
        for name in (*COLUMNS, "volume"):
            differs |= getattr(old, name)[at] != getattr(new, name)[known]
        result = WriteResult(int((~known).sum()), int(differs.sum()), int((~differs).sum()), removed)
        if not result.changed:
            return result
        kept = np.zeros(len(old), dtype=bool) if replace else ~np.isin(old.open_ns, new.open_ns)
        columns = {
            name: np.concatenate([getattr(old, name)[kept], getattr(new, name)])
            for name in ("open_ns", *COLUMNS, "volume")
        }
        order = np.argsort(columns["open_ns"], kind="stable")
        merged = Bars(new.instrument, new.timeframe, **{name: column[order] for name, column in columns.items()})
        self._save(path, _to_table(merged), merged.instrument, merged.timeframe)
        return result

    def _save(self, path: Path, table: pa.Table, instrument: Instrument, timeframe: Timeframe) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(
            table.replace_schema_metadata(_metadata(instrument, timeframe)),
            sink,
            compression="zstd",
            use_dictionary=False,
            column_encoding={"timestamp": "DELTA_BINARY_PACKED"},
        )
        write_atomic(path, sink.getvalue().to_pybytes(), self._scratch)

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
        rewrite = [
            (file, _to_table(_to_bars(_read(file), instrument, Timeframe.parse(file.parent.name))))
            for file in sorted(folder.glob("*/*.parquet"))
        ]
        document = {"schema": SCHEMA, "instrument": instrument.to_json()}
        write_atomic(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(), self._scratch)
        for file, table in rewrite:
            self._save(file, table, instrument, Timeframe.parse(file.parent.name))

    def _rules(self, path: Path) -> Instrument:
        try:
            document = json.loads(path.read_bytes())
            _check_schema(int(document["schema"]), path)
            return Instrument.model_validate(document["instrument"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise _damaged(path) from error

    def _paths(self, instrument: Instrument, timeframe: Timeframe) -> list[Path]:
        paths = sorted((self.bars_root / instrument.key / timeframe.name).glob("*.parquet"))
        if not paths:
            others = ", ".join(str(t) for t in self.timeframes(instrument))
            have = f"It has {others}. " if others else ""
            raise NotFoundError(f"The store has no {timeframe} bars of {instrument.symbol}.", have + _INGEST)
        return paths


def _metadata(instrument: Instrument, timeframe: Timeframe) -> dict[str, str]:
    rules = json.dumps(instrument.to_json(), ensure_ascii=False, sort_keys=True)
    return {"pregao.schema": str(SCHEMA), "pregao.timeframe": timeframe.name, "pregao.instrument": rules}


def _to_table(bars: Bars) -> pa.Table:
    columns: list[Any] = [pa.array(bars.open_ns // 1_000).cast(_ARROW.field("timestamp").type)]
    columns += [prices(getattr(bars, name), bars.instrument.tick_size) for name in COLUMNS]
    return pa.Table.from_arrays([pa.array(c) for c in (*columns, bars.volume)], schema=_ARROW)


def _to_bars(table: pa.Table, instrument: Instrument, timeframe: Timeframe) -> Bars:
    """Exact bars of a stored table. Raises `UsageError` if a price is off the instrument's grid."""
    tick = float(instrument.tick_size)
    ticks: dict[str, Ints] = {}
    for name in COLUMNS:
        raw = table[name].to_numpy() / tick
        whole = np.rint(raw)
        off = np.abs(raw - whole) > np.maximum(1e-12 * np.abs(whole), 1e-6)
        if off.any():
            price = table[name][int(np.argmax(off))].as_py()
            raise UsageError(
                f"A stored {name} of {instrument.symbol}, {price}, is not a multiple of the tick size "
                f"{instrument.tick_size}.",
                "Give a finer --tick-size.",
            )
        ticks[name] = whole.astype(np.int64)
    volume = np.ascontiguousarray(table["volume"].to_numpy())
    return Bars(instrument, timeframe, _times(table["timestamp"]), **ticks, volume=volume)


def _times(column: pa.ChunkedArray) -> Ints:
    times: Ints = column.cast(pa.int64()).to_numpy() * 1_000
    return times


def _periods(open_ns: Ints, timeframe: Timeframe) -> NDArray[np.str_]:
    """The name of the file that holds each bar."""
    unit = "M" if timeframe.intraday else "Y"
    stamps = open_ns.astype("datetime64[ns]").astype(f"datetime64[{unit}]")
    # A month of minutes shares one name: name each month once, not each minute.
    distinct, which = np.unique(stamps, return_inverse=True)
    return np.datetime_as_string(distinct)[which]


def _footer(path: Path) -> pq.FileMetaData:
    try:
        with disk_errors(path):
            return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error


def _read(path: Path, columns: list[str] | None = None, schema: pa.Schema = _ARROW) -> pa.Table:
    """A stored file, checked to be ours, with these columns, and not newer than this code."""
    try:
        with disk_errors(path):
            table = pq.read_table(path, columns=columns, partitioning=None)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error
    metadata = table.schema.metadata or {}
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    try:
        _check_schema(int(metadata[b"pregao.schema"]), path)
    except (KeyError, ValueError) as error:
        raise _damaged(path) from error
    if not table.schema.equals(wanted):
        raise _damaged(path)
    return table


def _check_schema(version: int, path: Path) -> None:
    if version > SCHEMA:
        raise PregaoError(
            f"{path} was written by a newer Pregão (store version {version}; this one knows {SCHEMA}).",
            "Update Pregão, or point PREGAO_HOME to another folder.",
        )


def _damaged(path: Path) -> PregaoError:
    return PregaoError(
        f"{path} is damaged.",
        "Bring back a stored version with `pregao data versions` and `pregao data checkout VERSION`, "
        "or delete the file and ingest that period again.",
    )


def _sum(a: WriteResult, b: WriteResult) -> WriteResult:
    return WriteResult(a.added + b.added, a.replaced + b.replaced, a.unchanged + b.unchanged, a.removed + b.removed)


def _date(ns: int) -> str:
    return str(np.datetime64(ns, "ns").astype("datetime64[m]")).replace("T", " ")
