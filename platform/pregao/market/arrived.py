"""A series as it came from its source, as one file: frame, actions, rules and remarks."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.sources import Series, by_time

_SAID = b"pregao.series"
_ACTIONS = b"pregao.actions"


def to_bytes(series: Series) -> bytes:
    """The file; `from_file` reads it."""
    said = {
        "instrument": series.instrument.to_json(),
        "timeframe": series.timeframe.name,
        "whole": series.whole,
        "remarks": dict(series.remarks),
    }
    metadata = {_SAID: json.dumps(said).encode()}
    if series.actions is not None:
        metadata[_ACTIONS] = _parquet(pa.Table.from_pandas(series.actions, preserve_index=False)).hex().encode()
    frame = pa.Table.from_pandas(series.frame, preserve_index=False)
    return _parquet(frame.replace_schema_metadata(metadata))


def from_file(path: Path) -> Series | None:
    """The series of a file; None if it cannot be read. Its rows are named by their times."""
    try:
        table = pq.read_table(path)
        said = json.loads(table.schema.metadata[_SAID])
        instrument = Instrument.model_validate(said["instrument"])
        actions = table.schema.metadata.get(_ACTIONS)
        frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
        return Series(
            instrument,
            Timeframe.parse(said["timeframe"]),
            frame,
            by_time(instrument, frame),
            whole=bool(said["whole"]),
            actions=None if actions is None else pd.read_parquet(io.BytesIO(bytes.fromhex(actions.decode()))),
            remarks=said["remarks"],
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, ValidationError, UsageError):
        return None


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content
