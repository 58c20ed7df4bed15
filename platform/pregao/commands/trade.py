"""``pregao trade``: start and steer paper-trading sessions."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.attend import attend, state_of
from pregao.commands.backtest_options import parse_time
from pregao.commands.hosting import host, hosts
from pregao.commands.output import json_option, plain, print_json, print_table, progress
from pregao.commands.parameters import Pair
from pregao.commands.settings_option import set_option, strategy_settings
from pregao.core.errors import PregaoError, UsageError

if TYPE_CHECKING:
    from pregao.sessions.journal import Journal
    from pregao.sessions.records import SessionRow

ANSWER_S = 5.0
"""How long a command waits for the session's runner to take it."""
ATTENDED_S = 10.0
"""A runner that has not shown itself for so long is taken to be gone."""


@click.group()
def trade() -> None:
    """Start and steer paper-trading sessions. The money is simulated.

    A session is one strategy trading one account on one instrument. It runs under the servers of `pregao up`, or in
    this terminal with --here; killed at any moment, it goes on where it was.
    """


@contextmanager
def _journal() -> Iterator[Journal]:
    from pregao.sessions.journal import Journal

    opened = Journal()
    try:
        yield opened
    finally:
        opened.close()


@trade.command()
@click.argument("symbol", required=False)
@click.option("--strategy", required=True, help="Name of an installed strategy; see `pregao plugins`.")
@click.option("--data", "instrument", metavar="KEY", help="Replay these bars of the store: source/venue/symbol.")
@click.option("--source", default=None, help="Follow the market of SYMBOL live: ccxt, yfinance, a plugin's.")
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
    symbol: str | None,
    instrument: str | None,
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

    It runs under the servers of `pregao up`, and this command returns at once with its id. With --here it runs in
    this terminal: Ctrl-C lets go of it, `pregao trade resume ID --here` goes on.
    """
    from pregao.sessions.control import spec_of
    from pregao.sessions.control import start as begin

    if source is not None:
        replayed = {"--data": instrument, "--since": since, "--until": until, "--data-version": data_version}
        key, timeframe, feed = _live_feed(symbol, source, venue, options, timeframe, replayed)
    else:
        if venue is not None or options:
            raise UsageError("--venue and --option are of a live market.", "Name its source: --source ccxt.")
        key, timeframe = _stored(instrument or symbol, timeframe)
        feed = {"start": parse_time(since), "end": parse_time(until), "speed": speed, "version": data_version}
    settings = strategy_settings(pairs)
    risk = {
        "profile": profile, "max_position": max_position, "max_exposure": max_exposure, "kelly": kelly,
        "daily_loss": daily_loss, "max_drawdown": max_drawdown, "cool_down": cool_down,
    }  # fmt: skip
    asked = {"instrument": key, "timeframe": timeframe, "config": settings, "feed": feed, "risk": risk,
             "broker": _broker(broker, real_money)}  # fmt: skip
    spec = spec_of({**values, **asked})
    with _journal() as journal:
        if not here:
            _require_runner(journal)
        session_id = begin(spec, journal)
        if here:
            attend(journal, session_id, as_json)
            return
        _launch(session_id, journal)
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


def _stored(name: str | None, timeframe: str | None) -> tuple[str, str]:
    """The key of a stored instrument, and the timeframe to replay."""
    from pregao.market.store import Store

    if name is None:
        raise UsageError(
            "No market is named.", "Give --data with a stored one, or SYMBOL with --source to follow it live."
        )
    store = Store()
    chosen = store.instrument(name)
    return chosen.key, timeframe or min(store.timeframes(chosen), key=lambda t: t.seconds).name


def _live_feed(
    symbol: str | None,
    source: str,
    venue: str | None,
    options: tuple[tuple[str, str], ...],
    timeframe: str | None,
    replayed: dict[str, str | None],
) -> tuple[str, str, dict[str, Any]]:
    """The key, the timeframe and the feed of a market to follow."""
    from pregao.core.instrument import folder_name

    for option, given in replayed.items():
        if given is not None:
            raise UsageError(f"{option} is of a replay, and --source follows a market live.", "Leave one of them out.")
    if symbol is None:
        raise UsageError("No market is named.", "Name it, such as BTC/USDT.")
    known: dict[str, Any] = dict(options)
    if source == "ccxt":
        venue = venue or "binance"
        known["exchange"] = venue
    elif venue is not None:
        raise UsageError(f"The source {source} has no venues to choose from.", "Leave --venue out.")
    progress(f"Asking {venue or source} for {symbol}")
    key = f"{source}/{venue or 'yahoo'}/{folder_name(symbol)}"
    return key, timeframe or "1m", {"kind": "live", "source": source, "symbol": symbol, "options": known}


@trade.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def stop(session_id: str, as_json: bool) -> None:
    """Close the position and end the session for good: live at the last price heard, of a replay at the next open."""
    with _journal() as journal:
        if _unattended(journal, session_id):
            progress("No runner attends this session: it is brought to its end here.")
            _send(journal, session_id, "stop", {}, wait=False)
            attend(journal, session_id, as_json)
            return
        _tell(_send(journal, session_id, "stop", {}), as_json)


@trade.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def pause(session_id: str, as_json: bool) -> None:
    """Stop asking the strategy; take profit, stop loss and the horizon go on working."""
    _command(session_id, "pause", {}, as_json)


@trade.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--here", is_flag=True, help="If nothing runs it, run it in this terminal, without the servers.")
@json_option
def resume(session_id: str, here: bool, as_json: bool) -> None:
    """Go on with a paused session, or with one whose runner has gone."""
    with _journal() as journal:
        row = journal.session(session_id)
        if not _unattended(journal, session_id):
            _tell(_send(journal, session_id, "resume", {}), as_json)
            return
        if not here:
            _require_runner(journal)
        if row.status == "paused":
            _send(journal, session_id, "resume", {}, wait=False)
        if here:
            attend(journal, session_id, as_json)
            return
        _launch(session_id, journal)
    _tell({"session": session_id, "command": "resume", "outcome": "a runner was asked for"}, as_json)


@trade.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def flatten(session_id: str, as_json: bool) -> None:
    """Close the position and go on: live at the last price heard, of a replay at the next bar's open."""
    _command(session_id, "flatten", {}, as_json)


@trade.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--proposal", type=int, default=None, help="Its number; default the one that is open.")
@json_option
def approve(session_id: str, proposal: int | None, as_json: bool) -> None:
    """Accept the entry that waits for you."""
    _command(session_id, "approve", {} if proposal is None else {"proposal": proposal}, as_json)


@trade.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--proposal", type=int, default=None, help="Its number; default the one that is open.")
@json_option
def reject(session_id: str, proposal: int | None, as_json: bool) -> None:
    """Refuse the entry that waits for you."""
    _command(session_id, "reject", {} if proposal is None else {"proposal": proposal}, as_json)


@trade.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@json_option
def list_(every: bool, as_json: bool) -> None:
    """List the sessions, newest first."""
    from pregao.sessions.records import ACTIVE
    from pregao.sessions.views import session_view

    with _journal() as journal:
        shown = journal.sessions(None if every else [*ACTIVE, "failed"])
        ended = 0 if shown or every else len(journal.sessions())
    if as_json:
        print_json([session_view(row) for row in shown])
        return
    columns = ("Session", "Status", "Instrument", "Timeframe", "Strategy", "Mode", "Bars", "Equity", "P&L", "Trades")
    cells = [
        (
            row.id, row.status, row.instrument.symbol, row.spec.timeframe, row.spec.strategy, row.spec.mode,
            f"{row.bars}/{row.bars_total or 'live'}", f"{row.equity:,.2f}", f"{row.pnl:+,.2f}", row.trades_count,
        )
        for row in shown
    ]  # fmt: skip
    empty = f"No session is running; --all shows the {ended} that ended." if ended else "There are no sessions yet."
    print_table("", columns, cells, f"{empty} Start one with `pregao trade start`.")


@trade.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def show(session_id: str, as_json: bool) -> None:
    """Show one session: its state, its settings, its trades; and how a challenger does beside it."""
    from pregao.sessions.spec import Shadow
    from pregao.sessions.telling import moment
    from pregao.sessions.views import broker_of, session_view, trade_view

    with _journal() as journal:
        row = journal.session(session_id)
        trades = [trade_view(t, row.instrument) for t in journal.trades(session_id, None if as_json else 20)]
        duel = _duel(journal, row)
    if as_json:
        print_json(session_view(row) | {"round_trips": trades, "shadow": duel})
        return
    quote = row.instrument.quote
    click.echo(state_of(row))
    model = f", model {row.model_name} version {row.trading_version}" if row.trading_version else ""
    click.echo(f"{row.spec.strategy} ({row.spec.mode}) on {row.instrument.key} {row.spec.timeframe}{model}")
    spec = row.spec
    click.echo(f"Entry {spec.entry_value:,} {quote}, take profit {spec.take_profit} %, stop loss {spec.stop_loss} %")
    broker = broker_of(spec)
    whose = "Simulated money." if broker == "paper" else f"Its orders go to {broker}; fills and fees are what it says."
    click.echo(whose + (" Synthetic data." if row.instrument.synthetic else ""))
    if isinstance(spec.feed, Shadow):
        click.echo(f"In shadow: it trades the bars of session {spec.feed.of}, and an account of its own.")
    if duel is not None:
        click.echo(_told(duel))
    if row.proposal:
        click.echo(f"Proposal {row.proposal['id']} to go {row.proposal['side']} waits for you: approve or reject.")
    columns = ("#", "Opened", "Closed", "Side", "Quantity", "Entry", "Exit", "P&L", "Because of")
    cells = [
        (
            t["number"], moment(t["entry"]), moment(t["exit"]), t["side"], f"{t['qty']:g}", f"{t['entry_price']:,.8g}",
            f"{t['exit_price']:,.8g}", f"{t['pnl']:+,.2f}", t["role"].replace("_", " "),
        )
        for t in trades
    ]  # fmt: skip
    print_table("Last trades", columns, cells, "No trades yet.")


@trade.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--tail", default=200, show_default=True, help="Begin with this many of the last rows.")
@click.option("--after", type=int, default=None, help="Begin after this row instead.")
@click.option("--no-follow", is_flag=True, help="Do not wait for more.")
@click.option("--lines", is_flag=True, help="Lines also on a terminal, instead of one screen.")
@click.option("--json", "as_json", is_flag=True, help="Print every row as one JSON document a line.")
def watch(session_id: str, tail: int, after: int | None, no_follow: bool, lines: bool, as_json: bool) -> None:
    """Watch a session until it ends. Ctrl-C stops watching, not the session.

    On a terminal: one screen with the profit or loss, the equity's curve, the position and its exits, and what
    happened last. Piped, with --lines or --no-follow: a line for each thing that happens.
    """
    from pregao.sessions.telling import line
    from pregao.sessions.views import view

    with _journal() as journal:
        journal.session(session_id)
        seq = journal.tail_start(session_id, tail) if after is None else after
        if sys.stdout.isatty() and not (lines or no_follow or as_json):
            from pregao.commands.watching import follow

            follow(journal, session_id, seq)
            return
        while True:
            row = journal.session(session_id)
            while rows := journal.rows(session_id, seq):
                seq = rows[-1].seq
                for shown in (view(r, row.instrument) for r in rows):
                    told = json.dumps(shown, default=plain) if as_json else line(shown, row.instrument.quote)
                    if told is not None:
                        click.echo(told)
            if no_follow or (not row.active and seq >= row.last_seq):
                break
            time.sleep(0.2)
        if not as_json:
            click.echo(state_of(row))


def _duel(journal: Journal, row: SessionRow) -> dict[str, Any] | None:
    """How a challenger does in shadow of a session; None if there is none."""
    if journal.shadow_of(row.id) is None:
        return None
    from pregao.learning.params import read_params
    from pregao.sessions.duel import duel
    from pregao.settings import settings

    return duel(journal, row.id, read_params(settings().home / "params.yaml").gate)


def _told(duel: dict[str, Any]) -> str:
    own, challenger = ("no figure yet" if value is None else f"{value:+.2%}" for value in duel["returns"])
    reason = duel["reason"]
    return (
        f"The challenger, version {duel['challenger']}, in shadow ({duel['shadow']}, {duel['status']}): {challenger} "
        f"against {own} over {duel['bars']} bars that neither has seen; {reason['text']}"
    )


def _command(session_id: str, kind: str, body: dict[str, Any], as_json: bool) -> None:
    with _journal() as journal:
        _tell(_send(journal, session_id, kind, body), as_json)


def _send(journal: Journal, session_id: str, kind: str, body: dict[str, Any], wait: bool = True) -> dict[str, Any]:
    """Send a command and wait for its outcome. Raises `PregaoError` if the session refuses it."""
    from pregao.sessions.control import command

    number = command(session_id, kind, body, journal)
    told = {"session": session_id, "command": kind, "number": number, "outcome": "waiting"}
    until = time.monotonic() + (ANSWER_S if wait else 0)
    while time.monotonic() < until:
        outcome = journal.answer(number).outcome
        if outcome == "done":
            return told | {"outcome": "done"}
        if outcome is not None:
            raise PregaoError(f"Session {session_id} refuses {kind}: {outcome}.")
        if _unattended(journal, session_id):
            break
        time.sleep(0.05)
    return told


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(told)
    elif told["outcome"] == "waiting":
        session_id = told["session"]
        click.echo(f"Session {session_id} has no runner now; it takes the {told['command']} when it goes on.")
        click.echo(f"Go on with `pregao trade resume {session_id}`.")
    else:
        click.echo(f"Session {told['session']}: {told['command']}, {told['outcome']}.")


def _unattended(journal: Journal, session_id: str) -> bool:
    """Whether no process runs a session that has not ended."""
    row = journal.session(session_id)
    return row.status == "failed" or (row.active and not journal.attended(row, ATTENDED_S))


def _require_runner(journal: Journal) -> None:
    from pregao_flows.starting import require_runner

    require_runner(journal)


def _launch(session_id: str, journal: Journal) -> None:
    from pregao_flows.starting import begin

    begin(session_id, journal)


trade.add_command(host)
trade.add_command(hosts)
