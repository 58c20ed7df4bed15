"""The options of ``pregao backtest``, and what was asked for with them. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pregao.commands.output import json_option
from pregao.commands.settings_option import set_option

GROUPS = {
    "What is run": ("name", "pairs", "model", "seed", "keys", "timeframe", "since", "until"),
    "Money and exits": ("cash", "currency", "entry_value", "take_profit", "stop_loss", "horizon"),
    "Costs": ("fees", "list_fees", "slippage"),
    "How orders fill": ("profile", "path", "finer", "touch", "participation", "latency"),
    "Short sales, perpetuals, corporate actions": (
        "short", "contract", "margin", "maintenance", "liquidation_fee", "borrow", "actions",
    ),
    "Reports": ("report", "language", "trades_file", "as_json"),
}  # fmt: skip
"""Headings of the help -> the options below each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked ``pregao backtest`` for, as it was typed; None and empty where nothing was said."""

    name: str
    pairs: tuple[str, ...]
    model: str | None
    seed: int
    keys: tuple[str, ...]
    timeframe: str | None
    since: str | None
    until: str | None
    cash: tuple[str, ...]
    currency: str | None
    entry_value: str
    take_profit: str
    stop_loss: str
    horizon: int
    fees: str
    slippage: tuple[str, ...]
    profile: str
    path: str | None
    finer: str | None
    touch: str | None
    participation: str | None
    latency: tuple[str, ...]
    short: bool
    contract: str | None
    margin: str | None
    maintenance: str | None
    liquidation_fee: str | None
    borrow: str | None
    actions: tuple[str, ...]
    report: Path | None
    language: str
    trades_file: Path | None
    as_json: bool


_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    # ---- what is run
    click.option("--strategy", "name", metavar="NAME", help="An installed strategy; see `pregao plugins`.  [required]"),
    set_option,
    click.option("--model", metavar="VERSION", help="Model version or alias for the AI.  [default: champion]"),
    click.option("--seed", default=0, show_default=True, help="Of all that is drawn: strategy, latency, touches."),
    click.option(
        "--data", "keys", multiple=True, metavar="INSTRUMENT",
        help="source/venue/symbol, or the symbol alone; repeat it to trade several in one account.  [required]",
    ),
    click.option("--timeframe", metavar="TIMEFRAME", help="Of the bars.  [default: the finest that all have]"),
    click.option("--since", metavar="DATE", help="First bar, UTC; bars before it warm the strategy up."),
    click.option("--until", metavar="DATE", help="End, UTC; the bar that opens then is left out."),
    # ---- money and exits
    click.option(
        "--cash", multiple=True, default=("10000",), show_default=True, metavar="[CURRENCY=]AMOUNT",
        help="Simulated money at the start, in the reporting currency; repeat it as USD=5000 for several.",
    ),
    click.option(
        "--currency", metavar="CURRENCY", help="In which the account is reported.  [default: the first instrument's]"
    ),
    click.option("--entry-value", default="1000", show_default=True, help="Spent on each entry, quote currency."),
    click.option("--take-profit", default="2", show_default=True, help="Per cent of the entry price; 0 is none."),
    click.option("--stop-loss", default="1", show_default=True, help="Per cent of the entry price; 0 is none."),
    click.option("--horizon", default=0, show_default=True, help="Exit after this many bars; 0 is never."),
    # ---- costs
    click.option(
        "--fees", "--fee", "fees", default="0.1", show_default=True, metavar="FEES",
        help="Per cent of the value each side, as 0.1; MAKER,TAKER as 0.02,0.05; or a venue, as binance-spot.",
    ),
    click.option("--list-fees", is_flag=True, help="Show the venues with their rates, dates and sources, and end."),
    click.option(
        "--slippage", multiple=True, default=("0.02",), show_default=True, metavar="MODEL",
        help="Of market and stop orders: 0.02% of the price, spread:0.05% (the full spread), corwin-schultz:60 or "
        "abdi-ranaldo:60 (a spread estimated over 60 bars), volume-share:0.1, sqrt-impact:1.0:60, none. Repeat it, or "
        "join with +, to add them up.",
    ),
    # ---- how orders fill
    click.option(
        "--profile", default="realistic", show_default=True, metavar="RULES",
        help="Whose rules: realistic, or those of backtesting_py, vectorbt, backtrader, nautilus, jesse, freqtrade.",
    ),
    click.option(
        "--path", metavar="RULE",
        help="What happened first in a bar: pessimistic (the stop), optimistic (the profit), shortest (high first "
        "where the bar fell), nearest (the extreme nearer to the open), ohlc (the high), finer (as finer bars say).  "
        "[default: the profile's]",
    ),
    click.option(
        "--finer", metavar="TIMEFRAME", help="Bars for the path rule finer.  [default: the finest in the store]"
    ),
    click.option(
        "--touch", metavar="CHANCE",
        help="Whether a limit that is only touched fills: through (no), touch (yes), or per cent.  "
        "[default: the profile's]",
    ),
    click.option(
        "--participation", metavar="PERCENT",
        help="The most of a bar's volume that may fill; 0 is no limit.  [default: the profile's]",
    ),
    click.option(
        "--latency", multiple=True, metavar="MS",
        help="Until an order acts, ms; of several (as 20,50,300) one is drawn for each order.",
    ),
    # ---- short sales, perpetuals, corporate actions
    click.option("--short", is_flag=True, help="Allow short sales where the instrument or venue does not say so."),
    click.option(
        "--contract", metavar="KIND",
        help="cash (paid in full), or margin (a perpetual).  [default: the venue's of --fees, or cash]",
    ),
    click.option(
        "--margin", metavar="PERCENT", help="Locked for a perpetual and for any short, of its value.  [default: 100]"
    ),
    click.option("--maintenance", metavar="PERCENT", help="Below this part of its value a position is liquidated."),
    click.option("--liquidation-fee", metavar="PERCENT", help="Of the value that is liquidated, on top."),
    click.option("--borrow", metavar="PERCENT", help="Interest a year on the value of a short position."),
    click.option(
        "--actions", multiple=True, metavar="[INSTRUMENT=]FILE",
        help="CSV or Parquet with the columns timestamp and split, dividend or funding; with several instruments say "
        "whose.",
    ),
    # ---- reports
    click.option("--report", type=_FILE, metavar="FILE.html", help="Write a tear sheet: one page with all plots."),
    click.option(
        "--language", type=click.Choice(["en", "pt", "pt-BR"]), default="en", show_default=True,
        help="Of the tear sheet.",
    ),
    click.option("--trades", "trades_file", type=_FILE, metavar="FILE", help="Write the trades: .csv or .parquet."),
    json_option,
)  # fmt: skip


def backtest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options, so that the help lists them in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def parse_time(text: str | None) -> int | None:
    """An ISO date or time, UTC unless it says otherwise, in ns since 1970; None stays None."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date such as 2024-01-31 or 2024-01-31T12:00.") from None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000_000
