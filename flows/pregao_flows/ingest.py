"""Bring market data into the store and record the version: `pregao.market.ingest`, run and shown by Prefect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.states import Completed
from prefect.tasks import Task

from pregao.core.errors import UsageError
from pregao_flows.limits import DVC_LIMIT
from pregao_flows.reports import leave, table

if TYPE_CHECKING:
    from pregao.market.ingest import IngestReport


def _worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """A wrong request stays wrong; what a network or a busy disk did may pass."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, UsageError)


@task(
    name="fetch, check, store, version",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=_worth_another_try,
)
def bring_in(source: str, symbols: list[str], timeframe: str | None, options: dict[str, Any]) -> IngestReport:
    """The whole ingest of one source; idempotent, so trying again is safe. Returns its report."""
    from pregao.market.ingest import ingest as library

    log = get_run_logger()
    # DVC's own lock gives up after three seconds: a second ingest waits here instead.
    with concurrency(DVC_LIMIT, occupy=1, strict=True, lease_duration=60):
        return library(source, symbols, timeframe, options, progress=log.info)


@flow(name="ingest")
def ingest(
    source: str,
    symbols: list[str] | None = None,
    timeframe: str | None = None,
    options: dict[str, Any] | None = None,
) -> State[Any]:
    """Bring bars of a source into the store, judge them and record the version.

    Args:
        source: name of the source: sample, synthetic, files, …
        symbols: as the source names them; none is all that it offers.
        timeframe: such as 15m; none is the source's usual one.
        options: the source's own options, as `pregao ingest --help` lists them.
    """
    report = bring_in(source, symbols or [], timeframe, options or {})
    summary = f"{source}: {report.added:,} new bars in {len(report.series)} series, version {report.version.short}"
    leave(f"ingest {source}", _page(report, summary), report.to_json(), summary)
    return Completed(message=summary)


def _page(report: IngestReport, summary: str) -> str:
    """The report for a person: what was written, and each flaw that was found."""
    rows = [
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
    flaws = [
        [one.symbol, flaw.level, flaw.kind, f"{flaw.count:,}"] for one in report.series for flaw in one.quality.findings
    ]
    parts = [f"# {summary}", table(["series", "bars of", "new", "in all", "first", "last"], rows)]
    if flaws:
        parts += ["## Quality", table(["series", "level", "finding", "count"], flaws)]
    parts += [f"Version `{report.version.md5}`, revision `{report.version.revision[:12]}`."]
    return "\n\n".join(parts)
