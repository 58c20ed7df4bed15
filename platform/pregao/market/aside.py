"""What has been fetched and waits to be stored: the next run goes on where a killed one ended.

A source may bring a series in parts (`pregao.market.sources.Series.part`). Each part is put aside as it comes, as a
file of its own below ``.tmp/fetched``, outside of what is versioned and read; when the series is complete, all of it is
judged and stored as one. So a refused series leaves nothing in the store, an ingest stays one version, and the result
is that of a fetch which was never broken off.

A series that comes whole waits there too while others are fetched. What a killed run left there is stored by the next
one before it asks for more (`left_by_others`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument, folder_name
from pregao.core.timeframe import Timeframe
from pregao.market.arrived import from_file, to_bytes
from pregao.market.atomic import exclusive, write_atomic
from pregao.market.parts import Parts, closed
from pregao.market.sources import BrokenOffError, Series
from pregao.market.store import Coverage, Store

_WHOLE = "whole.parquet"


class Aside:
    """What one ingest fetches, until it is stored.

    A series belongs to one fetch at a time: another one of the same series, in whatever process, neither reads what
    this one puts aside nor adds to it. It is given free by `stored`, `refused` or `failed`, or as the process ends.

    Args:
        store: where the series go to.
        end_ns: the open times wanted end here; None is now.
        anew: whether to begin anew, whatever is stored or was put aside.
        wholes: whether series that come whole are worth to be put aside: they cost a question over a network.
        progress: called with a line about each part.
    """

    def __init__(
        self, store: Store, end_ns: int | None, anew: bool, wholes: bool, progress: Callable[[str], None]
    ) -> None:
        self._store = store
        self._end_ns = end_ns
        self._anew = anew
        self._wholes = wholes
        self._progress = progress
        self._files: list[Path] = []
        self._open: dict[tuple[str, str], Parts] = {}
        self._locks = ExitStack()

    def stored(self) -> None:
        """All of it is in the store: it is of no use any more."""
        for path in self._files:
            path.unlink(missing_ok=True)
        self._locks.close()

    def refused(self) -> None:
        """The ingest is refused: nothing stays of what came whole; parts stay, which cost more to fetch."""
        for path in self._files:
            if path.name == _WHOLE:
                path.unlink(missing_ok=True)
        self._locks.close()

    def failed(self) -> None:
        """The ingest has failed: what was put aside stays for the next one."""
        self._locks.close()

    def covered(self, instrument: Instrument, timeframe: Timeframe) -> Coverage | None:
        """What is stored of a series together with what was put aside; as `Store.covered`."""
        return self._parts(instrument, timeframe).covers

    def complete(self, arriving: Iterable[Series]) -> Iterator[Series]:
        """The series of a source, those in parts as soon as they are complete.

        Where the source breaks off, all that came and all that was put aside comes first, and then the error.
        """
        last: Parts | None = None
        try:
            for series in arriving:
                parts = self._parts(series.instrument, series.timeframe) if series.part else None
                if last is not None and last is not parts:
                    yield self._taken(last)
                if parts is None:
                    if self._wholes:
                        self._put(series)
                    yield series
                else:
                    parts.add(series, self._progress)
                last = parts
        except PregaoError as error:
            waiting = [parts for parts in self._open.values() if parts.frames]
            for parts in waiting:
                yield self._taken(parts)
            if waiting and not isinstance(error, UsageError | BrokenOffError):
                raise BrokenOffError(error.message, error.mend) from error
            raise
        if last is not None:
            yield self._taken(last)

    def _put(self, series: Series) -> None:
        """Put a series aside that came whole."""
        folder = self._parts(series.instrument, series.timeframe).folder
        if folder is not None and closed(series):
            self._files.append(folder / _WHOLE)
            write_atomic(folder / _WHOLE, to_bytes(series), self._store.root / ".tmp")

    def _taken(self, parts: Parts) -> Series:
        self._files += parts.files
        series = parts.series()
        parts.frames = []
        return series

    def _parts(self, instrument: Instrument, timeframe: Timeframe) -> Parts:
        key = instrument.key, timeframe.name
        if key not in self._open:
            folder: Path | None = self._store.root / ".tmp" / "fetched" / instrument.key / timeframe.name
            try:
                self._locks.enter_context(exclusive(_lock(self._store, instrument, timeframe), 0.0))
            except PregaoError:
                folder = None  # somebody else is fetching it
            stored = None if self._anew else self._store.covered(instrument, timeframe)
            parts = self._open[key] = Parts(
                instrument, timeframe, folder, stored, self._end_ns, self._store.root / ".tmp"
            )
            if self._anew:
                parts.drop()
            elif parts.load():
                self._progress(
                    f"{instrument.symbol} {timeframe}: {parts.bars:,} bars were fetched by a run that ended early; "
                    "it goes on from there (--anew asks for all again)"
                )
        return self._open[key]


def left_by_others(store: Store, source: str) -> Iterator[tuple[Series, Path]]:
    """The series of a source that came whole to a run that ended before it could store them, with their files.

    Those of a run that still goes on are left alone; what cannot be read is deleted.
    """
    for path in sorted((store.root / ".tmp" / "fetched" / source).glob(f"*/*/*/{_WHOLE}")):
        series = from_file(path)
        if series is None:
            path.unlink(missing_ok=True)
            continue
        try:
            with exclusive(_lock(store, series.instrument, series.timeframe), 0.0):
                yield series, path
        except PregaoError:  # somebody is fetching it
            continue


def _lock(store: Store, instrument: Instrument, timeframe: Timeframe) -> Path:
    return store.root / ".locks" / f"{folder_name(f'{instrument.key} {timeframe.name}')}.fetch.lock"
