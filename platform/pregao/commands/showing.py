"""``pregao trade list``, ``show`` and ``watch``: how sessions stand and what happens in them."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.attend import state_of
from pregao.commands.output import json_option, plain, print_json, print_table

if TYPE_CHECKING:
    from pregao.sessions.journal import Journal
    from pregao.sessions.records import SessionRow


@click.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@json_option
def list_(every: bool, as_json: bool) -> None:
    """List the sessions, newest first."""
    from pregao.sessions.journal import Journal
    from pregao.sessions.records import ACTIVE
    from pregao.sessions.views import session_view

    with closing(Journal()) as journal:
        shown = journal.sessions(None if every else [*ACTIVE, "failed"])
        ended = 0 if shown or every else len(journal.sessions())
    if as_json:
        print_json([session_view(row) for row in shown])
        return
    columns = ("Session", "Status", "Instrument", "Timeframe", "Strategy", "Mode", "Bars", "Equity", "P&L", "Trades")
    cells = [
        (
            row.id, row.status, row.market, row.spec.timeframe, row.spec.strategy, row.spec.mode,
            f"{row.bars}/{row.bars_total or 'live'}", f"{row.equity:,.2f}", f"{row.pnl:+,.2f}", row.trades_count,
        )
        for row in shown
    ]  # fmt: skip
    empty = f"No session is running; --all shows the {ended} that ended." if ended else "There are no sessions yet."
    print_table("", columns, cells, f"{empty} Start one with `pregao trade start`.")


@click.command()
@click.argument("session_id", metavar="SESSION")
@json_option
def show(session_id: str, as_json: bool) -> None:
    """Show one session: its state, its settings, its trades; and how a challenger does beside it."""
    from pregao.sessions.journal import Journal
    from pregao.sessions.spec import Shadow
    from pregao.sessions.telling import moment
    from pregao.sessions.views import broker_of, session_view, trade_view

    with closing(Journal()) as journal:
        row = journal.session(session_id)
        trades = [trade_view(t, *row.instruments) for t in journal.trades(session_id, None if as_json else 20)]
        duel = _duel(journal, row)
    if as_json:
        print_json(session_view(row) | {"round_trips": trades, "shadow": duel})
        return
    quote = row.instrument.quote
    click.echo(state_of(row))
    model = f", model {row.models_text}" if row.models_text and not row.also else ""
    markets = ", ".join(instrument.key for instrument in row.instruments)
    click.echo(f"{row.spec.strategy} ({row.spec.mode}) on {markets} {row.spec.timeframe}{model}")
    spec = row.spec
    click.echo(f"Entry {spec.entry_value:,} {quote}, take profit {spec.take_profit} %, stop loss {spec.stop_loss} %")
    broker = broker_of(spec)
    whose = "Simulated money." if broker == "paper" else f"Its orders go to {broker}; fills and fees are what it says."
    click.echo(whose + (" Synthetic data." if any(each.synthetic for each in row.instruments) else ""))
    if isinstance(spec.feed, Shadow):
        click.echo(f"In shadow: it trades the bars of session {spec.feed.of}, and an account of its own.")
    if duel is not None:
        click.echo(_told(duel))
    for proposal in row.proposals:
        which = f" {row.names[proposal.get('b', 0)]}" if row.also else ""
        click.echo(f"Proposal {proposal['id']} to go {proposal['side']}{which} waits for you: approve or reject.")
    if row.also:
        click.echo()
        print_table("Instruments", *_standings(row), "")
        click.echo()
    grid = dict(zip(row.names, row.instruments, strict=True))
    columns = ("#", "Instrument", "Opened", "Closed", "Side", "Quantity", "Entry", "Exit", "P&L", "Because of")
    cells = [
        (
            t["number"], t["symbol"], moment(t["entry"]), moment(t["exit"]), t["side"],
            grid[t["symbol"]].quantity_text(t["qty"]), grid[t["symbol"]].price_text(t["entry_price"]),
            grid[t["symbol"]].price_text(t["exit_price"]), f"{t['pnl']:+,.2f}", t["role"].replace("_", " "),
        )
        for t in trades
    ]  # fmt: skip
    print_table("Last trades", columns, cells, "No trades yet.")


def _standings(row: SessionRow) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """How each of several instruments stands, as a table."""
    from pregao.sessions.views import standings

    columns = ("Instrument", "Position", "Entry", "Price", "Open P&L", "Closed P&L", "Trades", "Won", "Model")
    cells = []
    for (instrument, model, version), shown in zip(row.traded_by, standings(row), strict=False):
        price = instrument.price_text
        cells.append((
            shown["symbol"], instrument.quantity_text(shown["pos"]), price(shown["ent"]) if shown["ent"] else "",
            price(shown["c"]) if shown["c"] else "", f"{shown['upnl']:+,.2f}", f"{shown['pnl']:+,.2f}",
            shown["trades"], shown["wins"], f"{model} version {version}" if model else "",
        ))  # fmt: skip
    return columns, cells


@click.command()
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
    from pregao.sessions.journal import Journal
    from pregao.sessions.telling import line
    from pregao.sessions.views import view

    with closing(Journal()) as journal:
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
                for shown in (view(r, *row.instruments) for r in rows):
                    told = json.dumps(shown, default=plain) if as_json else line(shown, *row.instruments)
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
