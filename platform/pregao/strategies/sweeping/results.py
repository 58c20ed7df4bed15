"""What came of a sweep, as Parquet: kept while it runs, so that one that was killed goes on where it stopped.

A folder holds ``sweep.json`` (what was asked for), ``parts/`` (rows so far, written atomically) and, once all runs are
made, ``results.parquet`` instead of the parts. The same sweep ends with the same rows in the same order, however often
it was interrupted and however many processes ran it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from pregao import __version__
from pregao.core.errors import PregaoError, UsageError
from pregao.market.atomic import disk_errors, exclusive, write_atomic
from pregao.simulation.sweeping import Figures
from pregao.strategies.sweeping.runs import Row, Sweep
from pregao.strategies.sweeping.space import Dimension, Value

RESULTS = "results.parquet"
_KINDS = {float: pa.float64(), int: pa.int64(), str: pa.string()}
_FIGURES = [pa.field(name, _KINDS[kind]) for name, kind in get_type_hints(Figures).items()]
_ROW = pa.schema([pa.field("run", pa.int64()), *_FIGURES])


def definition(sweep: Sweep) -> dict[str, Any]:
    """What a sweep is, as JSON: equal definitions, equal results.

    ``space`` is a hash over the settings, ``terms`` over the seed and the money, costs and rules of each instrument;
    ``data`` has one for each instrument's bars.
    """
    space = sweep.space
    settings = [[dict(s.strategy), dict(s.plan)] for s in space.settings]
    terms = [sweep.seed, [repr(sorted(m.plan.items())) for m in sweep.markets]]
    return {
        "version": __version__,
        "strategy": space.strategy,
        "settings": len(space.settings),
        "swept": {d.name: [str(v) for v in d.values[:100]] or [str(d.low), str(d.high)] for d in space.dimensions},
        "space": _hash([space.strategy, settings]),
        "terms": _hash(terms),
        "data": {m.bars.instrument.key: m.digest for m in sweep.markets},
    }


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


class Folder:
    """The folder of one sweep. Use it as `Folder.held` gives it: by one process at a time.

    Attributes:
        path: of the folder.
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        self.path = path
        self._sweep = sweep
        self._scratch = path / ".unfinished"

    @classmethod
    @contextmanager
    def held(cls, path: Path, sweep: Sweep) -> Iterator[Folder]:
        """The folder, new or one in which this very sweep was begun.

        Raises:
            UsageError: if it belongs to another sweep or to something else.
            PregaoError: if another process works in it.
        """
        folder = cls(path, sweep)
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file.", "Name a folder for the results with --out.")
        strange = (
            path.is_dir()
            and any(path.iterdir())
            and not (path / "sweep.json").exists()
            and not (path / ".lock").exists()
        )
        if strange:
            raise UsageError(f"{path} holds other files and no sweep.", "Name a new folder with --out.")
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        with exclusive(path / ".lock", timeout_s=1.0):
            folder._claim()
            yield folder

    def _claim(self) -> None:
        wanted = definition(self._sweep)
        file = self.path / "sweep.json"
        if not file.exists():
            write_atomic(file, (json.dumps(wanted, indent=1) + "\n").encode(), self._scratch)
            return
        try:
            found = json.loads(file.read_text())
            version, space, terms, data = (found[name] for name in ("version", "space", "terms", "data"))
            began = f"{self.path} holds the sweep of {found['settings']:,} settings of {found['strategy']!r}"
        except (ValueError, KeyError, TypeError) as error:
            raise PregaoError(f"{file} cannot be read: {error}.", "Name another folder with --out.") from None
        differs = ""
        if version != wanted["version"]:
            differs = f"made by version {version} of Pregão, and this is {__version__}"
        elif space != wanted["space"]:
            differs = "and other settings are asked for now"
        elif data != wanted["data"]:
            keys = sorted({*data, *wanted["data"]})
            differs = f"over other data: {', '.join(k for k in keys if data.get(k) != wanted['data'].get(k))}"
        elif terms != wanted["terms"]:
            differs = "with other money, costs, rules or another seed"
        if differs:
            raise UsageError(
                f"{began}, {differs}.", f"Name another folder with --out, or delete {self.path} to begin anew."
            )

    def rows(self) -> list[Row]:
        """All rows that are there, ascending, each once."""
        done = self.path / RESULTS
        files = [done] if done.exists() else sorted((self.path / "parts").glob("*.parquet"))
        found: dict[int, Figures] = {}
        for file in files:
            try:
                table = pq.read_table(file, columns=_ROW.names)
            except (pa.ArrowException, OSError) as error:
                raise PregaoError(
                    f"{file} cannot be read: {error}.", "Delete it: its runs are then made anew."
                ) from None
            columns = [column.to_pylist() for column in table.columns]
            for run, *figures in zip(*columns, strict=True):
                found[run] = Figures(*figures)
        return sorted(found.items())

    def keep(self, rows: Sequence[Row]) -> None:
        """Write rows down: after it returns they are there, whatever happens."""
        if not rows:
            return
        table = pa.Table.from_arrays(_columns(rows), schema=_ROW)
        name = f"{rows[0][0]:08d}-{hashlib.sha256(str([r for r, _ in rows]).encode()).hexdigest()[:12]}.parquet"
        write_atomic(self.path / "parts" / name, _bytes(table), self._scratch)

    def finish(self, rows: Sequence[Row]) -> Path:
        """Write all rows as `table` into one file and delete the parts; the file."""
        file = self.path / RESULTS
        if not file.exists():
            write_atomic(file, _bytes(table(self._sweep, rows)), self._scratch)
        for part in (self.path / "parts").glob("*.parquet"):
            part.unlink()
        return file


def table(sweep: Sweep, rows: Sequence[Row]) -> pa.Table:
    """Rows for a person: ``run``, ``instrument``, ``setting``, a column for each dimension, and the `Figures`.

    A dimension whose name is taken is called ``strategy.name`` or ``plan.name``.
    """
    rows = sorted(rows)
    count = len(sweep.space.settings)
    columns: dict[str, Any] = {
        "run": pa.array([run for run, _ in rows], pa.int64()),
        "instrument": pa.array([sweep.of(run)[0].bars.instrument.key for run, _ in rows], pa.string()),
        "setting": pa.array([run % count for run, _ in rows], pa.int64()),
    }
    for dimension in sweep.space.dimensions:
        columns[column_of(dimension)] = _array([sweep.of(run)[1].value(dimension) for run, _ in rows])
    columns |= dict(zip(Figures._fields, _columns(rows)[1:], strict=True))
    return pa.table(columns)


def column_of(dimension: Dimension) -> str:
    """The name of a dimension's column."""
    taken = {"run", "instrument", "setting", *Figures._fields}
    return f"{dimension.part}.{dimension.name}" if dimension.name in taken else dimension.name


def _columns(rows: Sequence[Row]) -> list[pa.Array]:
    values = [[run for run, _ in rows], *([figures[i] for _, figures in rows] for i in range(len(_FIGURES)))]
    return [pa.array(column, kind.type) for column, kind in zip(values, _ROW, strict=True)]


def _array(values: list[Value]) -> pa.Array:
    """Booleans, whole numbers or numbers where all are; else text."""
    known = [v for v in values if v is not None]
    if all(isinstance(v, bool) for v in known):
        return pa.array(values, pa.bool_())
    if any(isinstance(v, bool | str) for v in known):
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    return pa.array(values, pa.int64() if all(isinstance(v, int) for v in known) else pa.float64())


def _bytes(content: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(content, sink)
    return bytes(sink.getvalue())
