"""``pregao trade start``: from a market and what is wanted of it to a session that runs."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from pregao.commands.attend import attend
from pregao.commands.backtest_options import parse_time
from pregao.commands.output import json_option, print_json, progress
from pregao.commands.parameters import Pair
from pregao.commands.settings_option import set_option, strategy_settings
from pregao.core.errors import UsageError


@click.command()
@click.argument("symbols", nargs=-1, metavar="[SYMBOL]...")
@click.option("--strategy", required=True, help="Name of an installed strategy; see `pregao plugins`.")
@click.option(
    "--data",
    "keys",
    metavar="KEY",
    multiple=True,
    help="Replay these bars of the store: source/venue/symbol; again for each further instrument of the account.",
)
@click.option("--source", default=None, help="Follow the markets of SYMBOL live: ccxt, yfinance, a plugin's.")
@click.option("--venue", default=None, help="ccxt: which exchange; binance unless given.")
@click.option("--option", "options", type=Pair(), multiple=True, help="Live: any other option of the source.")
@click.option("--timeframe", default=None, help="Default: the finest in the store; live 1m.")
@click.option("--mode", default="auto", show_default=True, help="observe: signals only; approve: you confirm; auto.")
@click.option("--cash", default="10000", show_default=True, help="Simulated money at the start.")
@click.option("--entry-value", default="1000", show_default=True, help="Spent on each entry.")
@click.option("--take-profit", default="2", show_default=True, help="Per cent of the entry price.")
@click.option("--stop-loss", default="1", show_default=True, help="Per cent of the entry price.")
@click.option("--horizon", default=0, show_default=True, help="Exit after this many bars; 0 is never.")
@click.option("--fee", default="0.1", show_default=True, help="Per cent of the notional, each side.")
@click.option("--slippage", default="0.02", show_default=True, help="Per cent of the price, market and stop orders.")
@click.option("--take-profit-price", default=None, help="Exit at this price instead of --take-profit.")
@click.option("--stop-loss-price", default=None, help="Exit at this price instead of --stop-loss.")
@click.option("--trailing", is_flag=True, help="The stop loss follows the best close, at its distance.")
@click.option(
    "--risk", "profile", default="none", show_default=True, help="conservative, balanced, aggressive or none."
)
@click.option("--max-position", default=None, help="Most that one entry may be worth, per cent of the equity.")
@click.option("--max-exposure", default=None, help="Most that all may be worth together, per cent of the equity.")
@click.option("--kelly", default=None, help="Per cent of Kelly's fraction, where the strategy estimates its chance.")
@click.option("--daily-loss", default=None, help="No more entries that UTC day after this loss, per cent.")
@click.option("--max-drawdown", default=None, help="Close the position and pause at this fall from the peak, per cent.")
@click.option("--cool-down", type=int, default=None, help="Bars without an entry after a trade that lost.")
@click.option("--since", metavar="DATE", help="First bar to replay, UTC; default what the model has not seen, or all.")
@click.option("--until", metavar="DATE", help="End of the replay, UTC; the bar that opens then is left out.")
@click.option("--speed", default=2.0, show_default=True, help="Bars a second; 0 is as fast as possible.")
@click.option("--data-version", metavar="VERSION", help="Replay this version; see `pregao data versions`.")
@click.option("--model", default=None, help="Registered model for the AI; default the instrument's own.")
@click.option("--meta", default="off", show_default=True, help="veto: a meta-model that helps may veto entries.")
@click.option("--shadow/--no-shadow", default=True, show_default=True, help="A challenger trades the same in shadow.")
@click.option("--seed", default=0, show_default=True, help="Seed of the strategy's own randomness.")
@click.option("--approval-bars", default=3, show_default=True, help="Bars that a proposal waits for you.")
@click.option(
    "--broker",
    default="paper",
    show_default=True,
    help="Live: who has the orders. paper: the simulation; or an exchange, its sandbox: binance.",
)
@click.option(
    "--real-money", default=None, metavar="WORDS", help="Not the sandbox: see 'Orders at an exchange' in the documents."
)
@click.option("--here", is_flag=True, help="Run in this terminal, without the servers.")
@set_option
@json_option
def start(
    symbols: tuple[str, ...],
    keys: tuple[str, ...],
    source: str | None,
    venue: str | None,
    options: tuple[tuple[str, str], ...],
    timeframe: str | None,
    since: str | None,
    until: str | None,
    speed: float,
    data_version: str | None,
    here: bool,
    profile: str,
    max_position: str | None,
    max_exposure: str | None,
    kelly: str | None,
    daily_loss: str | None,
    max_drawdown: str | None,
    cool_down: int | None,
    broker: str,
    real_money: str | None,
    pairs: tuple[str, ...],
    as_json: bool,
    **values: Any,
) -> None:
    """Start a session: it follows a market live, or replays stored bars as if they came live.

    \b
    pregao trade start BTC/USDT --source ccxt --venue binance --timeframe 1m --strategy ma-cross
    pregao trade start --data sample/binance/BTC-USDT --strategy ma-cross

    Several markets of one currency share one account: the entry value and the exits are each operation's, the limits
    of the risk the account's.

    \b
    pregao trade start BTC/USDT ETH/USDT SOL/USDT --source ccxt --strategy ma-cross --max-exposure 30

    It runs under the servers of `pregao up`, and this command returns at once with its id. With --here it runs in
    this terminal: Ctrl-C lets go of it, `pregao trade resume ID --here` goes on.
    """
    from pregao.sessions.control import spec_of
    from pregao.sessions.control import start as begin
    from pregao.sessions.journal import Journal
    from pregao_flows.starting import begin as launch
    from pregao_flows.starting import require_runner

    if source is not None:
        replayed = {"--data": keys, "--since": since, "--until": until, "--data-version": data_version}
        key, timeframe, feed = _live_feed(symbols, source, venue, options, timeframe, replayed)
        also: list[str] = []
    else:
        if venue is not None or options:
            raise UsageError("--venue and --option are of a live market.", "Name its source: --source ccxt.")
        key, also, timeframe = _stored(keys or symbols, timeframe)
        feed = {"start": parse_time(since), "end": parse_time(until), "speed": speed, "version": data_version}
    settings = strategy_settings(pairs)
    risk = {
        "profile": profile, "max_position": max_position, "max_exposure": max_exposure, "kelly": kelly,
        "daily_loss": daily_loss, "max_drawdown": max_drawdown, "cool_down": cool_down,
    }  # fmt: skip
    asked = {"instrument": key, "also": also, "timeframe": timeframe, "config": settings, "feed": feed, "risk": risk,
             "broker": _broker(broker, real_money)}  # fmt: skip
    spec = spec_of({**values, **asked})
    with closing(Journal()) as journal:
        if not here:
            require_runner(journal)
        session_id = begin(spec, journal)
        if here:
            attend(journal, session_id, as_json)
            return
        launch(session_id, journal)
    if as_json:
        print_json({"session": session_id})
        return
    click.echo(f"Session {session_id} starts. Follow it with `pregao trade watch {session_id}`, or in the panel.")


def _broker(name: str, real_money: str | None) -> dict[str, Any]:
    """The broker of a session by its name; with the words typed, the exchange itself and not its sandbox."""
    if name == "paper":
        if real_money is not None:
            raise UsageError("--real-money is of an exchange, and the broker is paper.", "Name one with --broker.")
        return {"kind": "paper"}
    return {"kind": "exchange", "exchange": name, "sandbox": real_money is None, "confirmation": real_money}


def _stored(names: tuple[str, ...], timeframe: str | None) -> tuple[str, list[str], str]:
    """The keys of stored instruments, and the timeframe to replay: the finest that there is of all of them."""
    from pregao.market.store import Store

    if not names:
        raise UsageError(
            "No market is named.", "Give --data with a stored one, or SYMBOL with --source to follow it live."
        )
    store = Store()
    chosen = [store.instrument(name) for name in names]
    key, *also = (each.key for each in chosen)
    if timeframe is None:
        common = set.intersection(*(set(store.timeframes(each)) for each in chosen))
        if not common:
            raise UsageError(f"The store has no timeframe of all of {', '.join(names)}.", "Ingest one of each.")
        timeframe = min(common, key=lambda each: each.seconds).name
    return key, also, timeframe


def _live_feed(
    symbols: tuple[str, ...],
    source: str,
    venue: str | None,
    options: tuple[tuple[str, str], ...],
    timeframe: str | None,
    replayed: dict[str, Any],
) -> tuple[str, str, dict[str, Any]]:
    """The key, the timeframe and the feed of markets to follow."""
    from pregao.core.instrument import folder_name

    for option, given in replayed.items():
        if given not in (None, ()):
            raise UsageError(f"{option} is of a replay, and --source follows a market live.", "Leave one of them out.")
    if not symbols:
        raise UsageError("No market is named.", "Name it, such as BTC/USDT.")
    known: dict[str, Any] = dict(options)
    if source == "ccxt":
        venue = venue or "binance"
        known["exchange"] = venue
    elif venue is not None:
        raise UsageError(f"The source {source} has no venues to choose from.", "Leave --venue out.")
    progress(f"Asking {venue or source} for {', '.join(symbols)}")
    key = f"{source}/{venue or 'yahoo'}/{folder_name(symbols[0])}"
    feed = {"kind": "live", "source": source, "symbol": symbols[0], "also": symbols[1:], "options": known}
    return key, timeframe or "1m", feed
