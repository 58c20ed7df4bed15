"""Ingest: from a source into the store, judged and versioned. Used alike by the command and the flow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.market import findings, quality, sources
from pregao.market.atomic import exclusive
from pregao.market.sift import Sifted, sift
from pregao.market.sources import BrokenOffError, Request, Series, read_options
from pregao.market.store import Store, WriteResult
from pregao.market.versions import Version, Versions

BadRows = Literal["reject", "quarantine"]


@dataclass(frozen=True)
class SeriesReport:
    """What an ingest did to one series: bars and actions written, and the quality of the whole series with them."""

    key: str
    symbol: str
    timeframe: str
    written: WriteResult
    quality: findings.QualityReport
    actions: WriteResult = field(default_factory=WriteResult)

    @property
    def changed(self) -> bool:
        """Whether a stored bar or action was added, replaced or removed."""
        return self.written.changed or self.actions.changed


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        source: the name of the source.
        series: one report for each series that it brought.
        version: the version of the store after it.
    """

    source: str
    series: tuple[SeriesReport, ...]
    version: Version

    @property
    def added(self) -> int:
        """Bars that the store did not have before."""
        return sum(one.written.added for one in self.series)

    @property
    def changed(self) -> bool:
        """Whether any stored bar or action was added, replaced or removed."""
        return any(one.changed for one in self.series)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "source": self.source,
            "added": self.added,
            "changed": self.changed,
            "version": asdict(self.version),
            "series": [
                {
                    "key": one.key,
                    "symbol": one.symbol,
                    "timeframe": one.timeframe,
                    **asdict(one.written),
                    "actions": asdict(one.actions),
                    "quality": one.quality.to_json(),
                }
                for one in self.series
            ],
        }


def ingest(
    source: str,
    symbols: Iterable[str] = (),
    timeframe: str | None = None,
    options: Mapping[str, Any] | None = None,
    store: Store | None = None,
    progress: Callable[[str], None] = lambda _: None,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    bad_rows: BadRows = "reject",
    anew: bool = False,
) -> IngestReport:
    """Bring bars from a source into the store, keep a quality report of each series, and record a version.

    All series are fetched and judged before the first is written, so that a refused one leaves nothing behind.
    Bars that have not closed yet are left out.

    Args:
        source: a name of `pregao.market.sources.source_names`.
        symbols: what to bring; empty for all that the source offers.
        timeframe: for example ``"15m"``; None for the source's usual one.
        options: the source's own options, by name.
        store: where to; the installation's store by default.
        progress: called with a line about each step.
        start_ns, end_ns: open times wanted, ``start_ns <= t < end_ns``; None is open.
        bad_rows: what to do if a row cannot be a bar: refuse the ingest, or leave the row out and report it.
        anew: fetch the whole span again, also what is stored; else only what is missing.

    Raises:
        UsageError: for an unknown source, symbol or option, a bad row, or a source without bars in the span.
        BrokenOffError: if the source broke off; what was complete is in the store, and another run goes on from there.
        PregaoError: if the disk is full, or the store damaged or of a newer version.
    """
    origin = sources.source(source)
    into = store if store is not None else Store()
    request = Request(
        symbols=tuple(symbols),
        timeframe=Timeframe.parse(timeframe) if timeframe is not None else None,
        start_ns=start_ns,
        end_ns=end_ns,
        options=read_options(origin.Options, options or {}),
        known={instrument.key: instrument for instrument in into.instruments()},
        **({} if anew else {"stored": into.covered}),
        store=into,
    )
    judged: list[_Judged] = []
    broken: BrokenOffError | None = None
    try:
        for series in origin.fetch(request):
            judged.append(_judge(series, bad_rows, progress))
    except BrokenOffError as error:
        broken = error
    judged = [one for one in judged if len(one.bars)]
    if not judged and broken is not None:
        raise broken
    if not judged:
        raise UsageError(f"The source {source} has no bars in that span.", "Give another symbol or an earlier start.")
    # One ingest, one version: another that runs meanwhile waits, so that each is recorded with its own words.
    with exclusive(into.root / ".lock-ingest", timeout_s=600.0):
        reports = [_keep(one, into, progress) for one in judged]
        versions = Versions(into.root)
        changed = ", ".join(_change(one) for one in reports if one.changed)
        recorded = versions.commit(f"Ingest from {source}: {changed or 'quality reports only'}")
        version = recorded or versions.current()
        progress(f"Version {version.short}" + ("" if recorded else " (as before)"))
    if broken is not None:
        raise broken
    return IngestReport(source, tuple(reports), version)


class _Judged(NamedTuple):
    """A series that may be stored, and what the checks of its rows found."""

    series: Series
    sifted: Sifted
    bars: Bars


def _judge(series: Series, bad_rows: BadRows, progress: Callable[[str], None]) -> _Judged:
    progress(f"{series.instrument.symbol} {series.timeframe}: {len(series.frame):,} rows")
    sifted = sift(series.frame, series.instrument, series.timeframe, series.origin)
    for kind, text in series.remarks.items():
        sifted.findings.append(findings.Finding(kind=kind, level="warning", count=1, text=text))
    if sifted.bad and bad_rows == "reject":
        first, more = sifted.bad[0], len(sifted.bad) - 1
        others = f" ({more:,} more rows are bad.)" if more else ""
        raise UsageError(
            f"{first.where} {first.why} ({first.content}).{others}",
            "Mend the data, or give --bad-rows quarantine to leave such rows out.",
        )
    bars = Bars.from_frame(sifted.frame, series.instrument, series.timeframe)
    closed = bars.between(None, time.time_ns() - series.timeframe.ns + 1)
    return _Judged(series, sifted, closed)


def _keep(one: _Judged, store: Store, progress: Callable[[str], None]) -> SeriesReport:
    instrument, timeframe = one.series.instrument, one.series.timeframe
    # Actions first: whoever reads meanwhile never finds prices ex of an action that is not there.
    actions = _keep_actions(one.series, store)
    written = store.write(one.bars, replace=one.series.whole)
    found = quality.report(one.sifted, len(one.series.frame), store.bars(instrument, timeframe))
    findings.save(found, store)
    report = SeriesReport(instrument.key, instrument.symbol, timeframe.name, written, found, actions)
    progress(describe(report))
    return report


def _keep_actions(series: Series, store: Store) -> WriteResult:
    if series.actions is None:
        return WriteResult()
    return store.write_actions(series.instrument, series.actions, replace=series.whole)


def _change(one: SeriesReport) -> str:
    count = one.written.added - one.written.removed
    what = [f"{count:+,}"] if count else [f"{one.written.replaced:,} replaced"] if one.written.changed else []
    if one.actions.changed:
        acted = one.actions.added + one.actions.replaced + one.actions.removed
        what.append(f"{acted:,} action{'s' if acted > 1 else ''}")
    return f"{one.symbol} {one.timeframe} {' and '.join(what)}"


def describe(one: SeriesReport) -> str:
    """One line about a series: what was written and what was found."""
    done = one.written
    parts = [f"{count:,} {word}" for word, count in asdict(done).items() if count and word != "unchanged"]
    wrote = ", ".join(parts) if parts else f"nothing new, the store already has these {done.unchanged:,} bars"
    wrote += f", {one.actions.added:,} new actions" if one.actions.added else ""
    flaws = ", ".join(f"{f.count:,} {f.kind}" for f in one.quality.findings if f.level != "info") or "clean"
    return f"{one.symbol} {one.timeframe}: {wrote}; {one.quality.bars:,} bars in all; quality: {flaws}"
