"""The files of the store: bars of one period as Parquet, and back, exactly.

Columns: ``timestamp`` (open time, UTC), ``open high low close`` (float64, each the nearest float to its decimal price)
and ``volume`` (float64, base units), ascending in time, zstd. The metadata hold the schema's version, the instrument's
rules, the timeframe and a digest of the bars.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pregao.core.bars import COLUMNS, Bars, Ints, prices
from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.atomic import disk_errors
from pregao.market.decoded import Decoded

SCHEMA = 1
"""Version of the layout and of the files; a store with a higher one is refused."""
ARROW = pa.schema([("timestamp", pa.timestamp("us", "UTC")), *((name, pa.float64()) for name in (*COLUMNS, "volume"))])
_DIGEST = b"pregao.digest"
_ROWS = ("open_ns", *COLUMNS, "volume")
_MANY = 3
"""So many files are worth threads."""


@dataclass(frozen=True, slots=True)
class PeriodFile:
    """A file of bars, by what its footer says.

    Attributes:
        path: where; its stem names the period (``2024-05``, ``2024``).
        bars: how many.
        first_ns, last_ns: open times of its first and last bar.
        digest: of the bars; equal for equal bars.
    """

    path: Path
    bars: int
    first_ns: int
    last_ns: int
    digest: str


def periods(open_ns: Ints, timeframe: Timeframe) -> NDArray[np.str_]:
    """The name of the period of each bar: its month, or its year for bars of a day and more."""
    unit = "M" if timeframe.intraday else "Y"
    stamps = open_ns.astype("datetime64[ns]").astype(f"datetime64[{unit}]")
    # A month of minutes shares one name: name each month once, not each minute.
    distinct, which = np.unique(stamps, return_inverse=True)
    return np.datetime_as_string(distinct)[which]


def period_start(name: str) -> int:
    """The begin of a period, ns since 1970 UTC."""
    return int(np.datetime64(name).astype("datetime64[ns]").astype(np.int64))


def metadata(instrument: Instrument, timeframe: Timeframe) -> dict[str, str]:
    """What every file says about its bars."""
    rules = json.dumps(instrument.to_json(), ensure_ascii=False, sort_keys=True)
    return {"pregao.schema": str(SCHEMA), "pregao.timeframe": timeframe.name, "pregao.instrument": rules}


def to_table(bars: Bars) -> pa.Table:
    """The bars in the columns of a file."""
    columns: list[Any] = [pa.array(bars.open_ns // 1_000).cast(ARROW.field("timestamp").type)]
    columns += [prices(getattr(bars, name), bars.instrument.tick_size) for name in COLUMNS]
    return pa.Table.from_arrays([pa.array(c) for c in (*columns, bars.volume)], schema=ARROW)


def encode(bars: Bars) -> bytes:
    """The bars as a file; equal bars give equal bytes."""
    table = to_table(bars)
    digest = hashlib.blake2b(str(bars.instrument.tick_size).encode(), digest_size=8)
    for name in ("open_ns", *COLUMNS, "volume"):
        digest.update(np.ascontiguousarray(getattr(bars, name)).data)
    said = metadata(bars.instrument, bars.timeframe) | {_DIGEST.decode(): digest.hexdigest()}
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(said),
        sink,
        compression="zstd",
        use_dictionary=False,
        column_encoding={"timestamp": "DELTA_BINARY_PACKED"},
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def load(paths: Sequence[Path], instrument: Instrument, timeframe: Timeframe, copies: Decoded | None = None) -> Bars:
    """The bars of files in order of time, exactly; several files are read side by side.

    Args:
        paths: the files.
        instrument, timeframe: whose bars they are.
        copies: where files are kept decoded, and read from; None decodes them.

    Raises:
        UsageError: if a stored price is off the instrument's grid.
        PregaoError: if a file is damaged or of a newer version.
        FileNotFoundError: if one is not there.
    """
    footers = [_footer(path) for path in paths]
    ends = np.cumsum([0, *(footer.num_rows for footer in footers)])
    # One block: its pages are had at once, and a file's part of it is read in one call.
    block = np.empty((len(_ROWS), ends[-1]), dtype=np.int64)
    parts = [block[:, lo:hi] for lo, hi in pairwise(ends)]
    names = [_identity(footer, instrument, timeframe) if copies is not None else "" for footer in footers]
    wanted = range(len(paths))
    missing = [k for k in wanted if copies is None or not copies.read(paths[k], names[k], parts[k])]

    def place(k: int) -> None:
        # File by file, gone as soon as it is in its place: together they would take as much memory as the bars.
        _decode(paths[k], instrument, parts[k])

    if len(missing) < _MANY:
        for k in missing:
            place(k)
    else:
        with ThreadPoolExecutor(min(len(missing), os.cpu_count() or 1)) as pool:
            list(pool.map(place, missing))
    open_ns, opened, high, low, close, volume = block
    columns = (open_ns, opened, high, low, close, volume.view(np.float64))
    edges = ends[1:-1]
    if not missing and (open_ns[edges] >= open_ns[edges - 1] + timeframe.ns).all():
        return Bars.trusted(instrument, timeframe, *columns)  # copies are of bars that were checked
    bars = Bars(instrument, timeframe, *columns)
    if copies is not None:
        for k in missing:
            copies.keep(paths[k], names[k], parts[k])
    return bars


def keep_copy(path: Path, bars: Bars, copies: Decoded) -> None:
    """Keep the bars of a file that was just written as they are in memory, for `load`."""
    rows = np.stack([*(getattr(bars, name) for name in _ROWS[:-1]), bars.volume.view(np.int64)])
    copies.keep(path, _identity(_footer(path), bars.instrument, bars.timeframe), rows)


def _footer(path: Path) -> pq.FileMetaData:
    try:
        with disk_errors(path):
            return pq.read_metadata(path)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(path) from error


def _identity(footer: pq.FileMetaData, instrument: Instrument, timeframe: Timeframe) -> str:
    """Names the bars of a file with the rules that they were checked by; empty for a file of before there were digests,
    or of a newer version."""
    said = footer.metadata or {}
    if said.get(b"pregao.schema") != str(SCHEMA).encode() or _DIGEST not in said:
        return ""
    rules = f"{said[_DIGEST].decode()} {instrument.tick_size} {instrument.lot_size} {timeframe}"
    return hashlib.blake2b(rules.encode(), digest_size=16).hexdigest()


def _decode(path: Path, instrument: Instrument, rows: Ints) -> None:
    """Put the bars of a file into an array of shape ``(6, bars)``, the volumes by their bits."""
    table = read(path)
    if table.num_rows != rows.shape[1]:
        raise FileNotFoundError(f"{path} was replaced while it was read.")
    columns = dict(zip(_ROWS, rows, strict=True))
    tick = float(instrument.tick_size)
    times = table["timestamp"].combine_chunks().view(pa.int64()).to_numpy()
    np.multiply(times, 1_000, out=columns["open_ns"])
    columns["volume"].view(np.float64)[:] = table["volume"].to_numpy()
    for name in COLUMNS:
        raw = table[name].to_numpy() / tick
        whole = np.rint(raw)
        np.copyto(columns[name], whole, casting="unsafe")
        raw -= whole
        if max(raw.max(initial=0.0), -raw.min(initial=0.0)) > 1e-6:
            off = np.abs(raw) > np.maximum(1e-12 * np.abs(whole), 1e-6)
            if off.any():
                raise UsageError(
                    f"A stored {name} of {instrument.symbol}, {table[name][int(np.argmax(off))].as_py()}, "
                    f"is not a multiple of the tick size {instrument.tick_size}.",
                    "Give a finer --tick-size.",
                )


def describe(path: Path) -> PeriodFile:
    """What the footer of a file says. Raises `PregaoError` if it is damaged or of a newer version."""
    try:
        with disk_errors(path):
            footer = pq.read_metadata(path)
        said = footer.metadata or {}
        check_schema(int(said[b"pregao.schema"]), path)
        times = [footer.row_group(i).column(0).statistics for i in range(footer.num_row_groups)]
        first, last = (np.datetime64(t.replace(tzinfo=None), "ns") for t in (times[0].min, times[-1].max))
        digest = said.get(_DIGEST, b"").decode() or hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, IndexError, AttributeError) as error:
        raise damaged(path) from error
    return PeriodFile(path, footer.num_rows, int(first.astype(np.int64)), int(last.astype(np.int64)), digest)


def read(path: Path, schema: pa.Schema = ARROW) -> pa.Table:
    """A stored file, checked to be ours, with these columns, and not newer than this code.

    Raises `PregaoError` if it is damaged or of a newer version, `FileNotFoundError` if it is not there.
    """
    try:
        with disk_errors(path), pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(path) from error
    said = table.schema.metadata or {}
    try:
        check_schema(int(said[b"pregao.schema"]), path)
    except (KeyError, ValueError) as error:
        raise damaged(path) from error
    if not table.schema.equals(schema):
        raise damaged(path)
    return table


def check_schema(version: int, path: Path) -> None:
    """Raise `PregaoError` for a file that this code is too old for."""
    if version > SCHEMA:
        raise PregaoError(
            f"{path} was written by a newer Pregão (store version {version}; this one knows {SCHEMA}).",
            "Update Pregão, or point PREGAO_HOME to another folder.",
        )


def damaged(path: Path) -> PregaoError:
    """The error for a file that is not what was written."""
    return PregaoError(
        f"{path} is damaged.",
        "Bring back a stored version with `pregao data versions` and `pregao data checkout VERSION`, "
        "or delete the file and ingest that period again.",
    )
