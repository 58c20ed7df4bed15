"""The store as a whole: what each series covers, what was found in it, its versions, and files that a person brings."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

from pregao.core.errors import NotFoundError, PregaoError, UsageError, unknown
from pregao.core.timeframe import Timeframe
from pregao.market import sources
from pregao.market.store import Store
from pregao.settings import settings
from pregao_ui.schemas.data import BadRowOut, FindingOut, QualityOut, SourceOut, StoredSeries, Uploaded, VersionOut

UPLOAD_MOST = 25_000_000
"""Bytes of a file: a year of minutes of one instrument has some thirty million as CSV."""
SUFFIXES = (".csv", ".txt", ".tsv", ".gz", ".parquet")
ASIDE_SHOWN = 50
_STALE_S = 3_600.0


class UploadTooLongError(PregaoError):
    """An uploaded file has more than `UPLOAD_MOST` bytes."""


class Data:
    """The store of market data, and its versions."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def source(self, name: str) -> SourceOut:
        """One source of market data; importing it takes a moment, once. Raises `NotFoundError`."""
        names = sources.source_names()
        if name not in names:
            raise unknown("source", name, names)
        try:
            found = sources.source(name)
        except PregaoError as error:  # it is installed, and cannot be used
            return SourceOut(name=name, live=False, options=None, error=str(error))
        live = isinstance(found, sources.LiveSource)
        return SourceOut(name=name, live=live, options=found.Options.model_json_schema(), error="")

    def series(self) -> list[StoredSeries]:
        """Every stored series, with its quality as of now."""
        from pregao.market.inspection import current

        found = []
        for instrument in self.store.instruments():
            for timeframe in self.store.timeframes(instrument):
                report = current(self.store, instrument, timeframe)
                have = self.store.coverage(instrument, timeframe)
                missing = sum(period.missing for period in report.periods.values())
                found.append(
                    StoredSeries(
                        key=instrument.key,
                        symbol=instrument.symbol,
                        source=instrument.source,
                        asset_class=instrument.asset_class,
                        synthetic=instrument.synthetic,
                        timeframe=timeframe.name,
                        bars=report.bars,
                        first=have.first_ns / 1e9,
                        last=have.last_ns / 1e9,
                        missing=missing,
                        coverage=report.bars / (report.bars + missing),
                        periods={n: p.bars / max(1, p.bars + p.missing) for n, p in report.periods.items()},
                        findings=[FindingOut.of(finding) for finding in report.findings],
                    )
                )
        return found

    def quality(self, key: str, timeframe: str) -> QualityOut:
        """What was found in a series, and the newest of the rows that were put aside; raises `NotFoundError`."""
        from pregao.market.findings import quarantined
        from pregao.market.inspection import current

        instrument, length = self.store.instrument(key), Timeframe.parse(timeframe)
        report = current(self.store, instrument, length)
        aside = quarantined(self.store, instrument, length)
        return QualityOut(
            key=instrument.key,
            timeframe=length.name,
            findings=[FindingOut.of(finding) for finding in report.findings],
            aside=[BadRowOut.of(row) for row in aside[-ASIDE_SHOWN:]],
            aside_count=len(aside),
        )

    def versions(self, limit: int) -> list[VersionOut]:
        """The recorded versions of the store, newest first."""
        from pregao.market.versions import Versions

        return [VersionOut.of(version) for version in Versions().list()[:limit]]

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> Path:
        """Keep an uploaded file for its ingest, in ``var/uploads``, under the person's own name of it.

        Raises:
            UsageError: if the name is of no kind that can be read, or the file is empty.
            UploadTooLongError: if it is too long; what has come of it is deleted.
        """
        plain = re.sub(r"[^\w. -]+", "_", Path(name.replace("\\", "/")).name).strip(". ") or "upload"
        if not plain.lower().endswith(SUFFIXES):
            raise UsageError(f"{plain} is no table.", f"Bring one of {', '.join(SUFFIXES)}.")
        root = settings().var / "uploads"
        _sweep(root)
        path = root / uuid4().hex / plain
        path.parent.mkdir(parents=True, mode=0o700)
        size = 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > UPLOAD_MOST:
                        raise UploadTooLongError(
                            f"{plain} has more than {UPLOAD_MOST / 1e6:.0f} MB.",
                            "Split it, or use `pregao ingest --source files`.",
                        )
                    file.write(chunk)
            if not size:
                raise UsageError(f"{plain} is empty.", "Bring a file with bars.")
        except BaseException:
            self.forget(path)
            raise
        return path

    def take(self, path: Path, symbol: str, timeframe: str | None) -> Uploaded:
        """Bring an uploaded file into the store, as the source ``files`` does; rows that cannot be bars are put aside.

        Raises:
            UsageError: what is wrong with the file, with its line where there is one.
            PregaoError: if the store cannot be written.
        """
        from pregao.market.ingest import ingest

        try:
            report = ingest("files", [symbol], timeframe, {"paths": [str(path)]}, self.store, bad_rows="quarantine")
        finally:
            self.forget(path)
        if not report.series:
            raise NotFoundError(f"{path.name} brought no bars.", "Check its columns and its dates.")
        one = report.series[0]
        return Uploaded(
            key=one.key,
            symbol=one.symbol,
            timeframe=one.timeframe,
            added=one.written.added,
            replaced=one.written.replaced,
            bars=one.quality.bars,
            version=report.version.short,
            findings=[FindingOut.of(finding) for finding in one.quality.findings],
            aside=[BadRowOut.of(row) for row in one.quality.quarantined[:ASIDE_SHOWN]],
        )

    @staticmethod
    def forget(path: Path) -> None:
        """Delete an uploaded file."""
        shutil.rmtree(path.parent, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Delete what uploads that were broken off have left."""
    for folder in root.glob("*"):
        if time.time() - folder.stat().st_mtime > _STALE_S:
            shutil.rmtree(folder, ignore_errors=True)
