"""The command `pregao ingest`: bars from a source, judged, stored and recorded as a version."""

from __future__ import annotations

from typing import Any

import click

from pregao.commands.grouped_help import GroupedCommand
from pregao.commands.output import json_option, print_json, print_table, progress, verdict
from pregao.commands.parameters import Moment, Pair
from pregao.core.errors import UsageError

_SOURCE_OPTIONS = (
    *("asset_class", "tick_size", "lot_size", "quote", "calendar", "time_zone", "time_format", "volume_in"),
    *("round_prices", "seed", "bars", "edge", "regimes", "defects"),
)

_FILES = (
    *("mapping", "asset_class", "tick_size", "round_prices", "lot_size", "quote", "calendar", "time_zone"),
    *("time_format", "volume_in"),
)
_GROUPS = {
    "What to bring": ("source_name", "symbols", "timeframe", "since", "until", "anew", "others"),
    "What to do with flaws": ("bad_rows", "policies"),
    "Of the source files": _FILES,
    "Of the source synthetic": ("seed", "bars", "edge", "regimes", "defects"),
}
SOURCES = {
    "ccxt": "Any exchange that ccxt knows: coins and linear perpetual contracts, by symbols such as BTC/USDT. 1h bars "
    "of a year unless told otherwise. Needs the network.",
    "yfinance": "Stocks, funds, indices, coins of Yahoo Finance, with splits and dividends, by symbols such as AAPL, "
    "PETR4.SA, ^GSPC. 1d bars unless told otherwise; minutes go back 30 days, hours 730. Needs the network.",
    "files": "Your own CSV and Parquet files, by their paths.",
    "sample": "Real day bars of two indices from 1999 to 2018 (SPX, NASDAQ). No options.",
    "synthetic": "Seeded markets, one with a planted edge (EDGE/USDT) and one without (NOISE/USDT). No real prices.",
}
"""The sources of the platform, in plain words; a test holds them to what there is."""
SOURCE_OPTIONS = {
    "ccxt": {
        "exchange": "Which exchange, by ccxt's name: binance (unless given), kraken, bybit, okx…",
        "kind": "spot (unless given), or swap for linear perpetual contracts.",
        "tick_size": "A finer price grid than today's, where older prices lie on a finer one.",
        "base_url": "Where the exchange's API is, in place of its own hosts: a gateway. Also PREGAO_CCXT_BINANCE_URL.",
    },
    "yfinance": {
        "calendar": "When the exchange is open, 24/7 or XNYS, BVMF…; by Yahoo's name of the exchange unless given.",
        "lot_size": "The smallest quantity; 1 for a stock unless given.",
        "fractional": "true: fractions of a share may be traded, down to 0.0001.",
        "allow_short": "true: may be sold short.",
        "address": "Where Yahoo's hosts are found instead of at their own: a gateway. Also PREGAO_YAHOO_URL.",
        "attempts": "How often a question is asked before it is given up; 4 unless given.",
        "pause_s": "Seconds to wait after the first failure, then doubled; 1 unless given.",
        "timeout_s": "For how many seconds an answer is waited for; 20 unless given.",
    },
}
"""What is given as ``--option NAME=VALUE``; a test holds it to the sources' own options."""


class _Ingest(GroupedCommand):
    """Its help begins with the sources, and ends with the options that have no flag of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from importlib.metadata import entry_points

        others = sorted({entry.name for entry in entry_points(group="pregao.sources")} - SOURCES.keys())
        with formatter.section("Sources"):
            formatter.write_dl([*SOURCES.items(), *((name, "Of an installed plugin.") for name in others)])
        super().format_options(ctx, formatter)
        for source, options in SOURCE_OPTIONS.items():
            with formatter.section(f"Of the source {source}, as --option NAME=VALUE"):
                formatter.write_dl(list(options.items()))


@click.command(cls=_Ingest, groups=_GROUPS)
@click.argument("what", nargs=-1, metavar="[PATH|SYMBOL]...")
@click.option(
    "--source",
    "source_name",
    help="Where from: ccxt, yfinance, files, sample, synthetic, a plugin's; files, for paths.",
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
@click.option("--map", "mapping", type=Pair(), multiple=True, help="Our column=the file's, e.g. close=Last.")
@click.option("--asset-class", type=click.Choice(["crypto", "stock", "index"]), help="crypto unless given.")
@click.option("--tick-size", help="Price grid; from the decimals in the data unless given.")
@click.option("--round", "round_prices", is_flag=True, default=None, help="Round prices to --tick-size.")
@click.option("--lot-size", help="Smallest quantity.")
@click.option("--quote", help="Quote currency; from the symbol, or USD, unless given.")
@click.option("--calendar", help="24/7, XNYS, BVMF…; by the asset class unless given.")
@click.option("--time-zone", help="Zone of times that name none, e.g. America/Sao_Paulo; UTC unless given.")
@click.option("--time-format", help="Format of the times, e.g. '%d/%m/%Y %H:%M', unless ISO 8601 or numbers.")
@click.option("--volume-in", type=click.Choice(["base", "quote"]), help="Unit of the volume; base unless given.")
@click.option("--seed", type=int, help="The same seed gives the same market.")
@click.option("--bars", type=int, help="How many bars; 30,000 unless given.")
@click.option("--edge", type=float, help="Strength of the planted edge of EDGE/USDT; 1 unless given.")
@click.option("--regimes", is_flag=True, default=None, help="Calm and wild months take turns.")
@click.option("--defects", type=int, help="Planted gaps, spikes and duplicates, of each so many.")
@click.option(
    "--option", "others", type=Pair(), multiple=True, help="An option of the source, as listed below; may be repeated."
)
@json_option
def ingest(
    what: tuple[str, ...],
    source_name: str | None,
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
    pregao ingest BTC/USDT ETH/USDT --source ccxt --timeframe 1m --since 2024-01-01
    pregao ingest BTC/USDT:USDT --source ccxt --option exchange=bybit --option kind=swap
    pregao ingest AAPL MSFT --source yfinance --since 2010-01-01
    pregao ingest --source synthetic --timeframe 15m --bars 30000
    pregao ingest prices.csv --symbol BTC/USD --timeframe 1m --map close=Last

    The arguments are paths for the source `files` and symbols for any other. Run again, it adds what is new; a long
    fetch that was broken off goes on where it ended.
    """
    from pregao.market.ingest import ingest as run
    from pregao.market.versions import Versions
    from pregao.settings import settings, shown

    source_name = source_name or _source_of(what)
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
        progress(shown(f"Pushing to {settings().dvc_remote}"))
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


def _source_of(what: tuple[str, ...]) -> str:
    """The source that is meant where none is named: paths, and nothing else, are of files."""
    if what and all(name.lower().endswith((".csv", ".parquet")) for name in what):
        return "files"
    raise UsageError(
        "Where the data is to come from is not said.",
        "Add --source: ccxt for coins, yfinance for stocks, sample or synthetic without a network; --help tells all.",
    )
