"""Commands of the market data: `pregao ingest` and `pregao data`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.output import json_option, print_json, print_table, progress
from pregao.core.errors import UsageError

if TYPE_CHECKING:
    from pregao.core.instrument import Instrument
    from pregao.core.timeframe import Timeframe
    from pregao.market.differences import SeriesChange
    from pregao.market.store import Store

SHOWN = 20
"""Rows of a long list that a person is shown; ``--json`` has all."""
_SOURCE_OPTIONS = (
    *("asset_class", "tick_size", "lot_size", "quote", "calendar", "time_zone", "time_format", "volume_in"),
    *("round_prices", "seed", "bars", "edge", "regimes", "defects"),
)


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic for the checker only
    """A date or time as ns since 1970: ``2024-05-31``, ``2024-05-31T13:00``, UTC unless it names an offset."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time in ns; a wrong use for text that is no ISO 8601 time."""
        if isinstance(value, int):
            return value
        from pregao.market.moments import parse

        try:
            return parse(str(value))
        except UsageError as error:
            self.fail(error.message, param, ctx)


class Pair(click.ParamType):  # type: ignore[type-arg]  # generic for the checker only
    """``NAME=VALUE``."""

    name = "name=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The two sides; a wrong use without an ``=``."""
        if isinstance(value, tuple):
            return value
        name, equals, content = str(value).partition("=")
        if not (name and equals and content):
            self.fail(f"{value!r} is not of the form NAME=VALUE.", param, ctx)
        return name.strip(), content.strip()


@click.command()
@click.argument("what", nargs=-1, metavar="[PATH|SYMBOL]...")
@click.option(
    "--source", "source_name", required=True, help="Where from: files, sample, synthetic, yfinance, a plugin's."
)
@click.option("--symbol", "symbols", multiple=True, help="Instrument, for example BTC/USDT; may be repeated.")
@click.option("--timeframe", help="Length of the bars: 1m, 15m, 1h, 1d…; the source's usual one unless given.")
@click.option("--since", type=Moment(), help="First open time wanted, for example 2024-05-31 (UTC).")
@click.option("--until", type=Moment(), help="Open times before this one only.")
@click.option(
    "--bad-rows",
    type=click.Choice(["reject", "quarantine"]),
    help="Refuse data with a row that cannot be a bar (the default), or put such rows aside and list them.",
)
@click.option(
    "--policy",
    "policies",
    type=Pair(),
    multiple=True,
    metavar="KIND=ACTION",
    help="What to do with a kind of flaw: reject, quarantine or keep, e.g. spike=quarantine; PREGAO_QUALITY for good.",
)
@click.option("--anew", is_flag=True, help="Fetch the whole span again, also what is stored.")
@click.option("--map", "mapping", type=Pair(), multiple=True, help="files: our column=the file's, e.g. close=Last.")
@click.option("--asset-class", type=click.Choice(["crypto", "stock", "index"]), help="files: crypto unless given.")
@click.option("--tick-size", help="files: price grid; from the decimals in the data unless given.")
@click.option("--round", "round_prices", is_flag=True, default=None, help="files: round prices to --tick-size.")
@click.option("--lot-size", help="files: smallest quantity.")
@click.option("--quote", help="files: quote currency; from the symbol, or USD, unless given.")
@click.option("--calendar", help="files: 24/7, XNYS, BVMF…; by the asset class unless given.")
@click.option("--time-zone", help="files: zone of times that name none, e.g. America/Sao_Paulo; UTC unless given.")
@click.option("--time-format", help="files: format of the times, e.g. '%d/%m/%Y %H:%M', unless ISO 8601 or numbers.")
@click.option("--volume-in", type=click.Choice(["base", "quote"]), help="files: unit of the volume; base unless given.")
@click.option("--seed", type=int, help="synthetic: the same seed gives the same market.")
@click.option("--bars", type=int, help="synthetic: how many bars; 30,000 unless given.")
@click.option("--edge", type=float, help="synthetic: strength of the planted edge of EDGE/USDT; 1 unless given.")
@click.option("--regimes", is_flag=True, default=None, help="synthetic: calm and wild months take turns.")
@click.option("--defects", type=int, help="synthetic: planted gaps, spikes and duplicates, of each so many.")
@click.option("--option", "others", type=Pair(), multiple=True, help="Any other option of the source.")
@json_option
def ingest(
    what: tuple[str, ...],
    source_name: str,
    symbols: tuple[str, ...],
    timeframe: str | None,
    since: int | None,
    until: int | None,
    bad_rows: Any,
    policies: tuple[tuple[str, str], ...],
    anew: bool,
    mapping: tuple[tuple[str, str], ...],
    others: tuple[tuple[str, str], ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Bring market data into the store, judge its quality and record a version.

    \b
    pregao ingest --source sample
    pregao ingest AAPL MSFT --source yfinance --since 2010-01-01
    pregao ingest --source synthetic --timeframe 15m --bars 30000
    pregao ingest --source files prices.csv --symbol BTC/USD --timeframe 1m --map close=Last

    The arguments are paths for the source `files` and symbols for any other. Run again, it adds what is new.
    """
    from pregao.market.ingest import ingest as run
    from pregao.market.versions import Versions
    from pregao.settings import settings

    options: dict[str, Any] = {name: given[name] for name in _SOURCE_OPTIONS if given[name] is not None}
    options |= dict(others)
    if source_name == "files":
        if not what:
            raise UsageError("No file is named.", "Give one or more paths of CSV or Parquet files.")
        options["paths"] = what
    if mapping:
        options["columns"] = dict(mapping)
    wanted = symbols if source_name == "files" else (*what, *symbols)
    report = run(
        source_name,
        wanted,
        timeframe,
        options,
        progress=progress,
        start_ns=since,
        end_ns=until,
        bad_rows=bad_rows,
        policies=dict(policies),
        anew=anew,
    )
    if settings().dvc_remote:
        progress(f"Pushing to {settings().dvc_remote}")
        Versions().push()
    if as_json:
        print_json(report.to_json())
        return
    print_table(
        f"Ingested from {source_name}",
        ("instrument", "timeframe", "added", "replaced", "removed", "bars", "from", "to", "quality"),
        (
            (
                *(one.key, one.timeframe, one.written.added, one.written.replaced, one.written.removed),
                *(one.quality.bars, one.quality.first, one.quality.last, _verdict(one.quality.findings)),
            )
            for one in report.series
        ),
        "",
    )
    if not report.changed:
        click.echo("No bars were added: the store already has them all.")


@click.group()
def data() -> None:
    """Look into the store of market data."""


@data.command("list")
@json_option
def list_(as_json: bool) -> None:
    """What is in the store: instruments, timeframes, spans, coverage, quality.

    The coverage strip has a mark for each month (each year of day bars), the more of its bars are there by the market's
    calendar the fuller. Piped, and in JSON, it is a share.
    """
    from pregao.commands.strip import strip
    from pregao.market.inspection import current
    from pregao.market.store import Store

    store = Store()
    rows: list[dict[str, object]] = []
    strips = []
    for instrument in store.instruments():
        for timeframe in store.timeframes(instrument):
            found = current(store, instrument, timeframe)
            parts = {name: {"bars": of.bars, "missing": of.missing} for name, of in found.periods.items()}
            missing = sum(of["missing"] for of in parts.values())
            strips.append(parts)
            rows.append(
                {
                    "key": instrument.key,
                    "symbol": instrument.symbol,
                    "asset_class": instrument.asset_class,
                    "synthetic": instrument.synthetic,
                    "timeframe": timeframe.name,
                    "bars": found.bars,
                    "first": found.first,
                    "last": found.last,
                    "coverage": found.bars / (found.bars + missing),
                    "periods": parts,
                    "quality": _verdict(found.findings),
                }
            )
    if as_json:
        print_json(rows)
        return
    if rows and sys.stdout.isatty():
        # A table of these would be wider than a terminal.
        for row, parts in zip(rows, strips, strict=True):
            click.secho(f"{row['key']} {row['timeframe']}", bold=True)
            click.echo(f"  {strip(parts)}  {row['bars']:,} bars, {row['first']} to {row['last']}")
            click.echo(f"  {row['quality']}")
        return
    columns = ("key", "asset_class", "timeframe", "bars", "first", "last", "coverage", "quality")
    print_table(
        "Market data",
        columns,
        (
            [strip(parts) if name == "coverage" else row[name] for name in columns]
            for row, parts in zip(rows, strips, strict=True)
        ),
        "The store is empty. Bring data in with `pregao ingest --source sample`.",
    )


@data.command()
@click.argument("key")
@click.option("--timeframe", help="Which bars, if the store has several timeframes.")
@click.option("--since", type=Moment(), help="First open time to show.")
@click.option("--until", type=Moment(), help="Open times before this one only.")
@click.option("--last", type=click.IntRange(min=1), default=10, show_default=True, help="Show at most the last N bars.")
@click.option(
    "--adjusted-as-of", "as_of", type=Moment(), help="Adjust prices for the splits and dividends until this date."
)
@json_option
def show(
    key: str, timeframe: str | None, since: int | None, until: int | None, last: int, as_of: int | None, as_json: bool
) -> None:
    """The rules of an instrument, its splits and dividends, and its last bars, as they were traded unless adjusted.

    KEY is source/venue/SYMBOL, or just the symbol.
    """
    store, instrument, length = _series(key, timeframe)
    bars = store.bars(instrument, length, since, until, adjusted_as_of=as_of)
    actions = [_action(action) for action in store.actions(instrument)]
    shown = bars[-last:]
    rows = [
        {
            "time": _time(bar.open_ns),
            **{name: bars.instrument.price(getattr(bar, name)) for name in ("open", "high", "low", "close")},
            "volume": bar.volume,
        }
        for bar in (shown.bar(i) for i in range(len(shown)))
    ]
    if as_json:
        print_json(
            {
                "instrument": {"key": instrument.key, **instrument.to_json()},
                "timeframe": length.name,
                "timeframes": [t.name for t in store.timeframes(instrument)],
                "bars": len(bars),
                "adjusted_as_of": None if as_of is None else _time(as_of),
                "actions": actions,
                "rows": rows,
            }
        )
        return
    click.echo(
        f"{instrument.key}: {instrument.asset_class}{', synthetic' if instrument.synthetic else ''}, "
        f"tick {instrument.tick_size} {instrument.quote}, lot {instrument.lot_size} {instrument.base}, "
        f"calendar {instrument.calendar}" + (f"; prices adjusted as of {_time(as_of)}" if as_of is not None else "")
    )
    if actions:
        title = f"The last {len(actions[-5:])} of {len(actions):,} splits and dividends"
        print_table(title, list(actions[0]), (list(action.values()) for action in actions[-5:]), "")
    title = f"The last {len(shown):,} of {len(bars):,} bars of {length}"
    print_table(title, list(rows[0]), (list(row.values()) for row in rows), "")


@data.command()
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="Show at most N versions.")
@json_option
def versions(last: int, as_json: bool) -> None:
    """The recorded versions of the store, newest first."""
    from pregao.market.versions import Versions

    found = Versions().list()[:last]
    if as_json:
        print_json([asdict(version) for version in found])
        return
    print_table(
        "Versions",
        ("version", "revision", "recorded", "what"),
        ((v.short, v.revision[:10], _time(v.ts_ns), v.message) for v in found),
        "There is no version yet. Bring data in with `pregao ingest`.",
    )


@data.command()
@click.argument("key")
@click.option("--timeframe", help="Which bars, if the store has several timeframes.")
@json_option
def quality(key: str, timeframe: str | None, as_json: bool) -> None:
    """What is remarkable in the bars of an instrument, and which rows of it were ever put aside."""
    from pregao.market.findings import quarantined
    from pregao.market.inspection import current

    store, instrument, length = _series(key, timeframe)
    found = current(store, instrument, length)
    aside = quarantined(store, instrument, length)
    if as_json:
        print_json({**found.to_json(), "in_quarantine": aside})
        return
    click.echo(f"{found.key} {found.timeframe}: {found.bars:,} bars from {found.first} to {found.last}")
    print_table(
        "Findings",
        ("level", "kind", "count", "what", "where"),
        ((f.level, f.kind, f.count, f.text, "; ".join(f.examples)) for f in found.findings),
        "Nothing was found: no gaps, spikes, stale runs or bars without volume.",
    )
    if aside:
        shown = aside[-SHOWN:]
        print_table(
            f"In quarantine: the last {len(shown)} of {len(aside):,} rows",
            ("row", "why", "content"),
            ((row.where, row.why, row.content) for row in shown),
            "",
        )


@data.command()
@click.argument("key")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--timeframe", help="Which bars, if the store has several timeframes.")
@click.option(
    "--adjusted-as-of", "as_of", type=Moment(), help="Adjust prices for the splits and dividends until this date."
)
@json_option
def export(key: str, path: Path, timeframe: str | None, as_of: int | None, as_json: bool) -> None:
    """Write all bars of an instrument to one CSV or Parquet file, by the ending of PATH."""
    store, instrument, length = _series(key, timeframe)
    count = store.export(instrument, length, path, adjusted_as_of=as_of)
    if as_json:
        print_json({"key": instrument.key, "timeframe": length.name, "path": path, "bars": count})
        return
    click.echo(f"Wrote {count:,} bars of {instrument.symbol} {length} to {path}.")


@data.command()
@click.argument("version")
@json_option
def checkout(version: str, as_json: bool) -> None:
    """Bring the store back to VERSION (the first characters of its name), recorded as a new version.

    Bars that were never recorded and damaged files are replaced; no recorded version is ever lost.
    """
    from pregao.market.versions import Versions

    now = Versions().checkout(version)
    if as_json:
        print_json(asdict(now))
        return
    click.echo(f"The store holds version {now.short} again: {now.message}")


@data.command()
@click.argument("old")
@click.argument("new", required=False)
@json_option
def diff(old: str, new: str | None, as_json: bool) -> None:
    """What changed from version OLD to version NEW (the current one unless given), in bars."""
    from pregao.market.versions import Versions

    versions = Versions()
    first, second = versions.find(old), versions.find(new) if new is not None else versions.current()
    changes = versions.diff(first, second)
    if as_json:
        print_json({"old": asdict(first), "new": asdict(second), "changes": [asdict(change) for change in changes]})
        return
    print_table(
        f"From {first.short} to {second.short}",
        ("instrument", "what", "added", "removed", "replaced", "from", "to"),
        (
            (one.key, one.timeframe, f"{one.added:,}", f"{one.removed:,}", f"{one.replaced:,}", *_span(one))
            if one.timeframe
            else (one.key, one.what, "", "", "changed", "", "")
            for one in changes
        ),
        f"The versions {first.short} and {second.short} hold the same bars.",
    )


@data.command()
@json_option
def push(as_json: bool) -> None:
    """Send all versions to the DVC remote (PREGAO_DVC_REMOTE: a folder, or an address such as s3://bucket/data)."""
    from pregao.market.versions import Versions

    sent = Versions().push()
    if as_json:
        print_json({"sent": sent})
        return
    click.echo(f"Sent {sent:,} files." if sent else "The remote has everything already.")


@data.command()
@json_option
def pull(as_json: bool) -> None:
    """Bring the versions of the DVC remote into this folder, and the bars of the last one."""
    from pregao.market.versions import Versions

    now = Versions().pull()
    if as_json:
        print_json(asdict(now))
        return
    click.echo(f"The store holds version {now.short}: {now.message}")


def _span(change: SeriesChange) -> tuple[str, str]:
    return _time(change.first_ns), _time(change.last_ns)


def _series(key: str, timeframe: str | None) -> tuple[Store, Instrument, Timeframe]:
    """The series that a command names; the timeframe may be left out where there is only one."""
    from pregao.core.timeframe import Timeframe
    from pregao.market.store import Store

    store = Store()
    instrument = store.instrument(key)
    if timeframe is not None:
        return store, instrument, Timeframe.parse(timeframe)
    have = store.timeframes(instrument)
    if len(have) != 1:
        names = ", ".join(str(t) for t in have) or "no bars"
        raise UsageError(f"{instrument.symbol} has {names}.", "Name one with --timeframe.")
    return store, instrument, have[0]


def _action(action: Any) -> dict[str, str]:
    """A split or dividend, as it is shown."""
    ratio, amount = getattr(action, "ratio", None), getattr(action, "amount", None)
    return {
        "date": _time(action.ts_ns)[:10],
        "action": "dividend" if ratio is None else "split",
        "value": str(amount) if ratio is None else f"{ratio.numerator}:{ratio.denominator}",
    }


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")


def _verdict(findings: Any) -> str:
    flagged = [f"{finding.count:,} {finding.kind}" for finding in findings if finding.level != "info"]
    return ", ".join(flagged) or "clean"
