"""Commands of the stored market data: `pregao data`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.output import json_option, print_json, print_table, verdict
from pregao.commands.parameters import Moment, Pair
from pregao.core.errors import UsageError

if TYPE_CHECKING:
    from pregao.core.instrument import Instrument
    from pregao.core.timeframe import Timeframe
    from pregao.market.differences import SeriesChange
    from pregao.market.store import Store

SHOWN = 20
"""Rows of a long list that a person is shown; ``--json`` has all."""


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
                    "quality": verdict(found.findings),
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
@click.argument("words", nargs=-1)
@click.option("--source", "source_name", required=True, help="Whose: ccxt, yfinance, or a plugin's.")
@click.option("--option", "others", type=Pair(), multiple=True, help="An option of the source, as for `pregao ingest`.")
@json_option
def search(words: tuple[str, ...], source_name: str, others: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """The symbols that a source offers, by WORDS of a symbol or a name: what `pregao ingest` takes.

    \b
    pregao data search petrobras --source yfinance
    pregao data search btc usd --source ccxt --option exchange=kraken
    """
    from pregao.market.sources import listed

    found = listed(source_name, dict(others), " ".join(words))
    if as_json:
        print_json([one._asdict() for one in found])
        return
    columns = ("symbol", "name", "exchange", "asset_class")
    rows = ([getattr(one, name) or "" for name in columns] for one in found)
    print_table(f"Found at {source_name}", columns, rows, f"{source_name} has nothing like {' '.join(words)!r}.")


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
