"""The command `pregao ingest`."""

from __future__ import annotations

from typing import Any

import click

from pregao.commands.output import json_option, print_json, print_table, progress, verdict
from pregao.commands.parameters import Moment, Pair
from pregao.core.errors import UsageError

_SOURCE_OPTIONS = (
    *("asset_class", "tick_size", "lot_size", "quote", "calendar", "time_zone", "time_format", "volume_in"),
    *("round_prices", "seed", "bars", "edge", "regimes", "defects"),
)


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
                *(one.quality.bars, one.quality.first, one.quality.last, verdict(one.quality.findings)),
            )
            for one in report.series
        ),
        "",
    )
    if not report.changed:
        click.echo("No bars were added: the store already has them all.")
