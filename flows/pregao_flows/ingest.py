"""Bring market data into the store: a task for each instrument, side by side, and one version for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task
from prefect.utilities.annotations import quote

from pregao.core.errors import PregaoError, UsageError
from pregao.market.feeds.wire import BusyError
from pregao_flows.limits import AT_ONCE, DVC_LIMIT, ensure_venue_limit
from pregao_flows.messages import Message, failing, failures, said, sentence
from pregao_flows.reports import ended_badly, ended_well, leave, table
from pregao_flows.secrets import revealed

if TYPE_CHECKING:
    from pregao.market.ingest import Gathered
    from pregao.market.refresh import Job
    from pregao.market.reports import IngestReport


_PAUSES_S = (2, 10)


def _worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """A wrong request stays wrong, and a venue that wants to be left alone for longer is; what a network or a busy disk
    did may pass."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, BusyError):
        return error.retry_after_s <= _PAUSES_S[-1]
    return not isinstance(error, UsageError)


_again: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": len(_PAUSES_S),
    "retry_delay_seconds": list(_PAUSES_S),
    "retry_condition_fn": _worth_another_try,
}


@task(name="fetch and check", task_run_name="fetch and check {label}", **_again)
def fetch(label: str, job: Job, policies: dict[str, str], since: str | None, anew: bool) -> Gathered:
    """Fetch and judge one instrument and write nothing; so many at once as its venue's limit lets through."""
    from pregao.market.ingest import chosen_policies, gather
    from pregao.market.moments import parse

    log = get_run_logger()
    with concurrency(ensure_venue_limit(job.venue), occupy=1, strict=True, lease_duration=60):
        gathered = gather(
            job.source,
            job.symbols,
            job.timeframe,
            revealed(job.options),
            None,
            log.info,
            chosen_policies(policies),
            start_ns=parse(since) if since else None,
            anew=anew,
        )
    if gathered.broken is not None and not gathered.judged:
        raise gathered.broken
    return gathered


@task(name="store and record", **_again)
def record(gathered: list[Gathered], policies: dict[str, str]) -> tuple[IngestReport, dict[str, PregaoError]]:
    """Write what was fetched, and record it as one version; idempotent, so trying again is safe.

    Returns the report, and the series that were refused with the reason: they keep nobody else's from being stored.
    """
    from pregao.market.ingest import chosen_policies, keep

    log = get_run_logger()
    refused: dict[str, PregaoError] = {}
    # DVC's own lock gives up after three seconds: a second ingest waits here instead.
    with concurrency(DVC_LIMIT, occupy=1, strict=True, lease_duration=60):
        return keep(gathered, chosen_policies(policies), None, log.info, refused), refused


@flow(name="ingest", task_runner=ThreadPoolTaskRunner(max_workers=AT_ONCE))
def ingest(
    source: str | None = None,
    symbols: list[str] | None = None,
    timeframe: str | None = None,
    options: dict[str, Any] | None = None,
    since: str | None = None,
    policies: dict[str, str] | None = None,
    anew: bool = False,
) -> State[Any]:
    """Bring bars of a source into the store, judge them and record the version.

    Args:
        source: name of the source: ccxt, yfinance, sample, synthetic, files, …; none goes on with every series of the
            store whose source can.
        symbols: as the source names them; none is all that it offers.
        timeframe: such as 15m; none is the source's usual one.
        options: the source's own options, as `pregao ingest --help` lists them. A secret is named, never written: as
            {"secret": "name of a Prefect Secret block"} or {"env": "NAME"}.
        since: first open time wanted, such as 2024-05-31; none is the source's usual one.
        policies: what to do with each kind of flaw: {"spike": "quarantine"}.
        anew: fetch the whole span again, also what is stored.
    """
    from pregao.market.refresh import Job, refreshable

    log = get_run_logger()
    if source is None:
        jobs = refreshable()
        if not jobs:
            return ended_well(said("nothing_to_ingest"))
    else:
        jobs = [Job(source, (symbol,), timeframe, options or {}) for symbol in symbols or []]
        jobs = jobs or [Job(source, (), timeframe, options or {})]
    given = policies or {}
    progress = create_progress_artifact(0.0, key="ingest-progress", description=f"{len(jobs)} to fetch and check")
    labels = [job.label for job in jobs]
    futures = {fetch.submit(label, job, given, since, anew): label for label, job in zip(labels, jobs, strict=True)}
    failed: dict[str, BaseException] = {}
    done: dict[str, Gathered] = {}
    for count, future in enumerate(as_completed(list(futures)), start=1):
        _sort_out(future, futures[future], done, failed)
        update_progress_artifact(progress, round(90.0 * count / len(jobs), 1))
    if not done:
        raise failed[labels[0]]
    try:
        # Quoted: Prefect would look for futures in every array.
        report, refused = record(quote([done[label] for label in labels if label in done]), given)
    except PregaoError as error:
        if not failed:
            raise
        raise PregaoError(f"{error.message} Also failed: {failures(failed)}.", error.mend) from error
    failed |= refused
    update_progress_artifact(progress, 100.0)
    summary = _summary(report)
    leave(f"ingest {report.source}", _page(report, summary, failed), report.to_json(), summary.english)
    if failed:
        log.error("Failed: %s", failures(failed))
        return ended_badly(failing(summary, failed))
    return ended_well(summary)


def _sort_out(
    future: PrefectFuture[Any], label: str, done: dict[str, Gathered], failed: dict[str, BaseException]
) -> None:
    """Note what became of one task."""
    result = future.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        failed[label] = result
        return
    if result.broken is not None:
        failed[label] = result.broken  # what had come until then is stored
    done[label] = replace(result, broken=None)


def _summary(report: IngestReport) -> Message:
    count = len(report.series)
    return said("ingested", source=report.source, added=f"{report.added:,}", series=count, version=report.version.short)


def _page(report: IngestReport, summary: Message, failed: dict[str, BaseException]) -> str:
    """The report for a person: what was written, each flaw that was found, and what could not be had."""
    rows: Sequence[list[object]] = [
        [
            one.symbol,
            one.timeframe,
            f"{one.written.added:,}",
            f"{one.quality.bars:,}",
            one.quality.first,
            one.quality.last,
        ]
        for one in report.series
    ]
    flaws: list[list[object]] = [
        [one.symbol, flaw.level, flaw.kind, f"{flaw.count:,}", flaw.text, "; ".join(flaw.examples)]
        for one in report.series
        for flaw in one.quality.findings
    ]
    parts = [f"# {summary}", table(["series", "bars of", "new", "in all", "first", "last"], list(rows)), "## Quality"]
    parts.append(
        table(["series", "level", "finding", "count", "what", "where"], flaws) if flaws else "Nothing was found."
    )
    if failed:
        parts += ["## Failed", table(["series", "why"], [[label, sentence(error)] for label, error in failed.items()])]
    parts += [f"Version `{report.version.md5}`, revision `{report.version.revision[:12]}`."]
    return "\n\n".join(parts)
