"""Reading CSV and Parquet files into the columns of bars."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pregao.core.bars import COLUMNS
from pregao.core.errors import UsageError
from pregao.market.grid import shortest

FIELDS = ("timestamp", *COLUMNS, "volume")
_ALIASES = {
    "timestamp": ("timestamp", "time", "datetime", "date", "open_time", "opentime", "ts", "index"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "last"),
    "volume": ("volume", "vol", "v"),
}
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Table:
    """A file's rows, and how to name one of them to a person.

    Attributes:
        frame: as read, index 0..n-1.
        path: the file.
        lines: line number of each row in a text file; None for a binary one.
    """

    frame: pd.DataFrame
    path: Path
    lines: np.ndarray | None

    def row(self, i: int) -> str:
        """Where row ``i`` is: ``"prices.csv, line 7"``."""
        return f"{self.path.name}, " + (f"line {self.lines[i]}" if self.lines is not None else f"row {i}")


def read_table(path: Path) -> Table:
    """Read a CSV (``.csv``, ``.txt``, ``.tsv``, also compressed) or Parquet file, told apart by its content.

    Raises `UsageError` if it is missing, empty or neither.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Check the path.")
    with open(path, "rb") as file:
        magic = file.read(4)
    return _read_parquet(path) if magic == b"PAR1" else _read_csv(path)


def pick_columns(frame: pd.DataFrame, mapping: Mapping[str, str], path: Path) -> pd.DataFrame:
    """The columns ``timestamp open high low close volume``; the numbers as float64, what is no number as NaN.

    A column is the one that the mapping names, else one with a usual name in any case (``Date``, ``Open``, ``vol``).

    Raises `UsageError` if a column is missing, listing those of the file.
    """
    by_name = {str(name).strip().casefold().replace(" ", "_"): name for name in reversed(frame.columns)}
    chosen: dict[str, object] = {}
    for field in FIELDS:
        if field in mapping:
            if mapping[field] not in frame.columns:
                raise UsageError(f"{path.name} has no column {mapping[field]!r}.", _columns_of(frame))
            chosen[field] = mapping[field]
            continue
        found = [by_name[alias] for alias in _ALIASES[field] if alias in by_name]
        if not found:
            raise UsageError(
                f"{path.name} has no column for {field!r}.", f"{_columns_of(frame)} Name it with --map {field}=COLUMN."
            )
        chosen[field] = found[0]
    picked = pd.DataFrame({"timestamp": frame[chosen["timestamp"]]})
    for field in FIELDS[1:]:
        column = pd.to_numeric(frame[chosen[field]], errors="coerce")
        picked[field] = shortest(column.to_numpy(dtype=np.float32 if column.dtype == np.float32 else np.float64))
    return picked


def _columns_of(frame: pd.DataFrame) -> str:
    return f"It has {', '.join(str(name) for name in frame.columns[:20])}."


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        frame = pq.read_table(path, partitioning=None).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} is a damaged Parquet file.", "Get it again.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    return Table(frame.reset_index(drop=True), path, None)


def _read_csv(path: Path) -> Table:
    try:
        head = pd.read_csv(path, nrows=1, header=None, sep="\x00", dtype=str, quoting=csv.QUOTE_NONE, engine="c")
        first = str(head.iloc[0, 0])
        separator = max(_SEPARATORS, key=first.count)
        # Exchanges' dumps often have no header: then the columns are in the order that all of them use.
        bare = all(_is_number(cell) for cell in first.split(separator)) and first.count(separator) >= 5
        frame = pd.read_csv(
            path,
            sep=separator,
            header=None if bare else 0,
            skip_blank_lines=False,
            low_memory=False,
        )
    except (pd.errors.EmptyDataError, IndexError):
        raise UsageError(f"{path} is empty.", "Give a file with bars.") from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError, ValueError) as error:
        raise UsageError(
            f"{path} is not a readable CSV file: {str(error).strip()}.", "Mend it or export it anew."
        ) from None
    if bare:
        frame.columns = pd.Index([*FIELDS, *(f"column {i + 1}" for i in range(len(FIELDS), frame.shape[1]))])
    lines = np.arange(len(frame)) + (1 if bare else 2)
    filled = frame.notna().any(axis=1).to_numpy()
    return Table(frame[filled].reset_index(drop=True), path, lines[filled])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
