"""The parts of one series, each put aside as it came, joined to what is stored and to each other."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pregao.core.bars import Ints
from pregao.core.errors import PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.atomic import write_atomic
from pregao.market.pace import Pace
from pregao.market.quality import when
from pregao.market.sift import sift
from pregao.market.sources import Series, by_time
from pregao.market.store import Coverage

_WENT_ON_FROM = b"pregao.went-on-from"
_SAME = 0.001
"""Closes in common, by their median, are of the same history if they differ by less."""


def closed(series: Series) -> bool:
    """Whether all of its bars are over: later nobody could tell those that were not."""
    return bool((_times(series.frame) + series.timeframe.ns <= time.time_ns()).all())


class Parts:
    """The parts of one series in the order in which they came, each joined to what was there before it."""

    def __init__(
        self,
        instrument: Instrument,
        timeframe: Timeframe,
        folder: Path | None,
        stored: Coverage | None,
        end_ns: int | None,
        scratch: Path,
    ) -> None:
        self.instrument = instrument
        self.timeframe = timeframe
        self.covers = stored
        self.frames: list[pd.DataFrame] = []
        self.files: list[Path] = []
        self.bars = 0
        self.folder = folder
        self._scratch = scratch
        self._stored = stored
        self._number = 0
        self._earlier: pd.DataFrame | None = None
        self._remarks: dict[str, str] = {}
        self._pace = Pace(end_ns)

    def load(self) -> bool:
        """What an earlier run put aside, as far as it joins what is stored; whether there is any."""
        for path in sorted(self.folder.glob("[0-9]*.parquet")) if self.folder is not None else ():
            part = _read(path)
            if part is None or not self._joins(*part):
                break
            self._append(part[0])
            self.files.append(path)
            self._number = int(path.stem) + 1
        if self.covers is None or (self._stored is not None and _span(self.covers) == _span(self._stored)):
            self._forget()  # all of it has been stored since
        self.drop()
        if self.frames:
            self._earlier = pd.concat(self.frames[-2:])
        return bool(self.frames)

    def drop(self) -> None:
        """Delete what is put aside and not loaded."""
        for path in self.folder.glob("[0-9]*.parquet") if self.folder is not None else ():
            if path not in self.files:
                path.unlink(missing_ok=True)

    def add(self, series: Series, progress: Callable[[str], None]) -> None:
        """Another part."""
        frame, self.instrument = series.frame, series.instrument
        self._remarks |= series.remarks
        if not len(frame):
            return
        self._compare(frame)
        if self.folder is not None and closed(series) and not sift(frame, self.instrument, self.timeframe).bad:
            path = self.folder / f"{self._number:06d}.parquet"
            write_atomic(path, _content(frame, self.covers), self._scratch)
            self.files.append(path)
            self._number += 1
        else:  # the next run asks for it again, and for all after it
            self.folder = None
        before = self.covers
        self._append(frame)
        assert self.covers is not None
        told = self._pace.told(_span(before) if before else None, _span(self.covers))
        reached = (
            self.covers.last_ns if before is None or self.covers.last_ns > before.last_ns else self.covers.first_ns
        )
        progress(
            f"{self.instrument.symbol} {self.timeframe}: {self.bars:,} bars, {when(reached, self.timeframe)} reached"
            f"{told}"
        )

    def series(self) -> Series:
        """All parts as one: in order of time, and of a time that came again what was said last."""
        kept = []
        for k, frame in enumerate(self.frames):
            times, again = _times(frame), np.zeros(len(frame), dtype=bool)
            for later in self.frames[k + 1 :]:
                others = _times(later)
                if others.min() <= times.max() and others.max() >= times.min():
                    again |= np.isin(times, others)
            kept.append(frame[~again] if again.any() else frame)
        kept = sorted((frame for frame in kept if len(frame)), key=lambda frame: int(_times(frame)[0]))
        whole = pd.concat(kept, ignore_index=True) if kept else _EMPTY
        named = by_time(self.instrument, whole)
        return Series(self.instrument, self.timeframe, whole, named, remarks=dict(self._remarks))

    def _append(self, frame: pd.DataFrame) -> None:
        times = _times(frame)
        first, last, new, count = int(times.min()), int(times.max()), len(frame), 0
        if self.covers is not None:
            new = int(((times < self.covers.first_ns) | (times > self.covers.last_ns)).sum())
            first, last, count = min(first, self.covers.first_ns), max(last, self.covers.last_ns), self.covers.count
        self.covers = Coverage(first, last, count + new)
        self.frames.append(frame)
        self.bars += new

    def _forget(self) -> None:
        self.frames, self.files, self.covers, self.bars = [], [], self._stored, 0

    def _joins(self, frame: pd.DataFrame, went_on_from: list[int] | None) -> bool:
        """Whether a part goes on from something that is still there: else there would be a hole before it."""
        if went_on_from is None:
            times = _times(frame)
            have = self.covers
            return have is None or bool(times.min() <= have.last_ns and times.max() >= have.first_ns)
        return self.covers is not None and (
            self.covers.first_ns <= went_on_from[0] and self.covers.last_ns >= went_on_from[1]
        )

    def _compare(self, frame: pd.DataFrame) -> None:
        """The first part after those of an earlier run: the venue must still say the same of the bars in common.

        Raises `PregaoError` if it does not; what was put aside is dropped then.
        """
        earlier, self._earlier = self._earlier, None
        if earlier is None:
            return
        _, old, new = np.intersect1d(_times(earlier), _times(frame), return_indices=True)
        before, now = (one["close"].to_numpy(dtype=np.float64) for one in (earlier.iloc[old], frame.iloc[new]))
        with np.errstate(all="ignore"):
            moved = np.abs(np.log(now / before))
        moved = moved[np.isfinite(moved)]
        if len(moved) > 1 and float(np.median(moved)) > _SAME:
            self._forget()
            self.drop()
            raise PregaoError(
                f"{self.instrument.symbol} was re-based since an earlier run: what that one had fetched is by a factor "
                f"of {math.exp(float(np.median(moved))):.4g} off, and was dropped.",
                "Run it again: it begins anew.",
            )


_EMPTY = pd.DataFrame(
    {"timestamp": pd.to_datetime([], utc=True)}
    | {name: np.empty(0) for name in ("open", "high", "low", "close", "volume")}
)


def _times(frame: pd.DataFrame) -> Ints:
    times: Ints = frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy()
    return times


def _span(covers: Coverage) -> tuple[int, int]:
    return covers.first_ns, covers.last_ns


def _content(frame: pd.DataFrame, went_on_from: Coverage | None) -> bytes:
    said = json.dumps(None if went_on_from is None else _span(went_on_from))
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata({_WENT_ON_FROM: said})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _read(path: Path) -> tuple[pd.DataFrame, list[int] | None] | None:
    """A part and the span that it went on from; None if it cannot be read."""
    try:
        table = pq.read_table(path)
        return table.replace_schema_metadata(None).to_pandas(), json.loads(table.schema.metadata[_WENT_ON_FROM])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return None
