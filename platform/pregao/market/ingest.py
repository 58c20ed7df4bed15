"""Ingest: from a source into the store, judged and versioned. Used alike by the command and the flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pregao.core.errors import PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.market import findings, inspection, sources
from pregao.market.aside import Aside, left_by_others
from pregao.market.atomic import exclusive
from pregao.market.judge import Judged, judge, weigh
from pregao.market.merging import WriteResult
from pregao.market.policies import BAD_ROW, Policies
from pregao.market.policies import policies as policies_of
from pregao.market.reports import IngestReport, SeriesReport, change, describe
from pregao.market.sources import BrokenOffError, Request, Series, read_options
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

BadRows = Literal["reject", "quarantine"]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Gathered:
    """What a source brought, judged by itself.

    Attributes:
        source: its name.
        judged: the series.
        broken: why it broke off, if it did.
        aside: what was put aside of it, until it is stored.
    """

    source: str
    judged: tuple[Judged, ...]
    broken: BrokenOffError | None = None
    aside: Aside | None = None


def ingest(
    source: str,
    symbols: Iterable[str] = (),
    timeframe: str | None = None,
    options: Mapping[str, Any] | None = None,
    store: Store | None = None,
    progress: Progress = lambda _: None,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    bad_rows: BadRows | None = None,
    policies: Mapping[str, str] | None = None,
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
        policies: what to do with each kind of flaw, over those of the settings; see `pregao.market.policies`.
        anew: fetch the whole span again, also what is stored; else only what is missing.

    Raises:
        UsageError: for an unknown source, symbol or option, a flaw that the policies reject, or a source without bars
            in the span.
        BrokenOffError: if the source broke off; what was complete is in the store, and another run goes on from there.
        PregaoError: if the disk is full, or the store damaged or of a newer version.
    """
    chosen = chosen_policies(policies, bad_rows)
    gathered = gather(
        source, symbols, timeframe, options, store, progress, chosen, start_ns=start_ns, end_ns=end_ns, anew=anew
    )
    return keep([gathered], chosen, store, progress)


def chosen_policies(given: Mapping[str, str] | None = None, bad_rows: BadRows | None = None) -> Policies:
    """The policies of the settings, and over them those of an ingest; raises `UsageError` for an unknown one."""
    return policies_of(settings().quality, {BAD_ROW: bad_rows} if bad_rows else {}, given or {})


def gather(
    source: str,
    symbols: Iterable[str],
    timeframe: str | None,
    options: Mapping[str, Any] | None,
    store: Store | None,
    progress: Progress,
    chosen: Policies,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    anew: bool = False,
) -> Gathered:
    """Fetch and judge, and store nothing: several may run at once. Arguments and errors as of `ingest`.

    What a long fetch has brought is put aside as it comes, so that the next one goes on from there; see
    `pregao.market.aside`.
    """
    origin = sources.source(source)
    into = store if store is not None else Store()
    judged: list[Judged] = []
    broken: BrokenOffError | None = None
    resumable = hasattr(origin, "resuming")
    if resumable:
        _store_left(source, into, chosen, progress)
    aside = Aside(into, end_ns, anew, resumable, progress)
    try:
        request = Request(
            symbols=tuple(symbols),
            timeframe=Timeframe.parse(timeframe) if timeframe is not None else None,
            start_ns=start_ns,
            end_ns=end_ns,
            options=read_options(origin.Options, options or {}),
            known={instrument.key: instrument for instrument in into.instruments()},
            **({} if anew else {"stored": aside.covered}),
            store=into,
        )
        for series in aside.complete(origin.fetch(request)):
            progress(f"{series.instrument.symbol} {series.timeframe}: {len(series.frame):,} rows")
            judged.append(judge(series, chosen))
    except BrokenOffError as error:
        broken = error
    except UsageError:
        aside.refused()
        raise
    except BaseException:
        aside.failed()
        raise
    return Gathered(source, tuple(judged), broken, aside)


def _store_left(source: str, store: Store, policies: Policies, progress: Progress) -> None:
    """Store and record what came whole to an ingest that was killed while it fetched the rest."""
    left, paths = [], []
    for series, path in left_by_others(store, source):
        paths.append(path)
        with suppress(UsageError):  # refused, and asked for again
            left.append(judge(series, policies))
    if left:
        names = ", ".join(f"{one.series.instrument.symbol} {one.series.timeframe}" for one in left)
        progress(f"{names}: fetched by a run that ended early, and stored now")
        with suppress(UsageError):
            keep([Gathered(source, tuple(left))], policies, store, progress, {})
    for path in paths:
        path.unlink(missing_ok=True)


def keep(
    gathered: Sequence[Gathered],
    policies: Policies,
    store: Store | None = None,
    progress: Progress = lambda _: None,
    refused: dict[str, PregaoError] | None = None,
) -> IngestReport:
    """Bring what was gathered into the store, and record it as one version.

    All series are judged beside what is stored before the first is written, so that a refused one leaves nothing
    behind.

    Args:
        gathered: from one source or several.
        policies: what is done with each kind of flaw.
        store: where to; the installation's store by default.
        progress: called with a line about each step.
        refused: takes the series that are refused, by name, with the reason, and the others are stored; without it, one
            refuses all.

    Raises:
        UsageError: for a flaw that the policies reject, or if nothing was gathered and nothing is stored.
        BrokenOffError: of a source that broke off, after what it had brought is stored.
    """
    waiting = [part.aside for part in gathered if part.aside is not None]
    try:
        report = _stored(gathered, policies, store if store is not None else Store(), progress, refused)
        for aside in waiting:
            aside.stored()
    except UsageError:
        for aside in waiting:
            aside.refused()
        raise
    finally:
        for aside in waiting:
            aside.failed()
    broken = next((part.broken for part in gathered if part.broken is not None), None)
    if broken is not None:
        raise broken
    return report


def _stored(
    gathered: Sequence[Gathered],
    policies: Policies,
    store: Store,
    progress: Progress,
    refused: dict[str, PregaoError] | None,
) -> IngestReport:
    """As `keep`; what came before a source broke off is stored, and its error is raised only if that is nothing."""
    source = ", ".join(dict.fromkeys(part.source for part in gathered))
    judged = [one for part in gathered for one in part.judged]
    wanted = [one for one in judged if len(one.bars) or store.covered(one.series.instrument, one.series.timeframe)]
    if not wanted:
        broken = next((part.broken for part in gathered if part.broken is not None), None)
        raise broken if broken is not None else _nothing(source, judged)
    # One ingest, one version: another that runs meanwhile waits, so that each is recorded with its own words.
    with exclusive(store.root / ".lock-ingest", timeout_s=600.0):
        weighed = _weighed(wanted, store, policies, refused)
        if not weighed:
            raise next(iter(refused.values())) if refused else _nothing(source, wanted)
        reports = [_keep(one, store, progress) for one in weighed]
        versions = Versions(store.root)
        changed = ", ".join(change(one) for one in reports if one.changed)
        recorded = versions.commit(
            f"Ingest from {source}: {changed or 'quality reports only'}", {(one.key, one.timeframe) for one in reports}
        )
        version = recorded or versions.current()
        progress(f"Version {version.short}" + ("" if recorded else " (as before)"))
    return IngestReport(source, tuple(reports), version)


def _weighed(
    wanted: Sequence[Judged], store: Store, policies: Policies, refused: dict[str, PregaoError] | None
) -> list[Judged]:
    """The series that may be stored, judged beside what is; see `keep`."""
    weighed = []
    for one in wanted:
        try:
            weighed.append(weigh(one, store, policies))
        except UsageError as error:
            if refused is None:
                raise
            refused[f"{one.series.instrument.symbol} {one.series.timeframe}"] = error
    return [one for one in weighed if len(one.bars) or store.covered(one.series.instrument, one.series.timeframe)]


def _nothing(source: str, judged: Sequence[Judged]) -> UsageError:
    """Why there is nothing to store."""
    for one in judged:
        if one.left_out:
            first = one.left_out[0]
            return UsageError(
                f"None of the {len(one.series.frame):,} rows of {one.series.instrument.symbol} can be stored: "
                f"{first.where} {first.why} ({first.content}).",
                "Mend the data, or change the policies.",
            )
    return UsageError(f"The source {source} has no bars in that span.", "Give another symbol or an earlier start.")


def _keep(one: Judged, store: Store, progress: Progress) -> SeriesReport:
    instrument, timeframe = one.series.instrument, one.series.timeframe
    # Rows put aside and actions first: whoever reads meanwhile never finds prices ex of an action that is not there.
    findings.quarantine(one.left_out, store, instrument, timeframe)
    actions = _keep_actions(one.series, store)
    written = store.write(one.bars, replace=one.series.whole)
    last = findings.stored(store, instrument, timeframe)
    rows = len(one.series.frame)
    periods = last.periods if last is not None else None
    found = inspection.made(store, instrument, timeframe, rows, one.findings, one.left_out, periods)
    notable = written.changed or actions.changed or any(finding.level != "info" for finding in one.findings)
    if last is not None and not notable and last.periods == found.periods:
        found = last  # an ingest that brought nothing new says nothing new
    else:
        findings.save(found, store)
    report = SeriesReport(instrument.key, instrument.symbol, timeframe.name, written, found, actions)
    progress(describe(report))
    return report


def _keep_actions(series: Series, store: Store) -> WriteResult:
    if series.actions is None:
        return WriteResult()
    return store.write_actions(series.instrument, series.actions, replace=series.whole)
