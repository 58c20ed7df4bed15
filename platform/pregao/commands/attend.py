"""Running a session in this terminal: a live line, and Ctrl-C that lets go of it between two bars."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pregao.commands.output import print_json, progress

if TYPE_CHECKING:
    from pregao.sessions.journal import Journal
    from pregao.sessions.records import SessionRow
    from pregao.sessions.runtime import Tick


def attend(journal: Journal, session_id: str, as_json: bool) -> None:
    """Run the session in this process, with a live line on a terminal, until it ends or Ctrl-C lets go of it."""
    from pregao.sessions.records import ENDED
    from pregao.sessions.runtime import run
    from pregao.sessions.views import broker_of, session_view

    progress(f"Session {session_id} runs here. Ctrl-C lets go of it.")
    line = _LiveLine(journal.session(session_id))

    def told(tick: Tick) -> None:
        line(tick)
        if tick.status in ENDED and journal.shadow_of(session_id) is not None:
            line.end()
            progress("It has ended. Its shadow lives through the last of its bars; Ctrl-C leaves that for later.")

    with interrupts() as interrupted:
        status = run(session_id, journal, stop=interrupted.is_set, on_tick=told)
    line.end()
    row = journal.session(session_id)
    if as_json:
        print_json(session_view(row))
        return
    click.echo(state_of(row))
    if status in ("running", "paused"):
        broker = broker_of(row.spec)
        if broker != "paper":
            click.echo(f"What it has at {broker} stays there, and nobody attends to it: position {row.position:g}.")
        click.echo(f"Go on with `pregao trade resume {session_id} --here`; end with `pregao trade stop {session_id}`.")


class _LiveLine:
    """How the session stands, in one line that is written over, four times a second, on a terminal only."""

    def __init__(self, row: SessionRow) -> None:
        self._at = 0.0
        self._row = row
        self._shown = sys.stderr.isatty()
        self._open = False

    def __call__(self, tick: Tick) -> None:
        if self._shown and time.monotonic() - self._at > 0.25:
            self._at = time.monotonic()
            self._open = True
            held = f"position {self._row.instrument.quantity_text(tick.position)}, " if not self._row.also else ""
            click.echo(
                f"\r{bars_of(tick)}, equity {tick.equity:,.2f}, P&L {tick.pnl:+,.2f}, {held}{tick.trades} trades, "
                f"{tick.status}\033[K", nl=False, err=True,
            )  # fmt: skip

    def end(self) -> None:
        if self._open:
            self._open = False
            click.echo("", err=True)


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that a session is let go of between two bars; twice interrupts."""
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def bars_of(row: SessionRow | Tick) -> str:
    """How many bars a session has lived through, and of how many, if that is known."""
    return f"{row.bars:,} of {row.bars_total:,} bars" if row.bars_total else f"{row.bars:,} bars"


def state_of(row: SessionRow) -> str:
    """A session's state and figures in one line, and in others what is wrong with it and what else to know."""
    figures = (
        f"Session {row.id}: {row.status}, {bars_of(row)}, equity {row.equity:,.2f} "
        f"{row.instrument.quote}, P&L {row.pnl:+,.2f} ({row.pnl_percent:+.2f} %), {row.trades_count} trades, "
        f"{row.win_count} won, fees {row.fees:,.2f}"
    )
    notices = [f"Note: {notice}" for notice in row.details.get("notices", {}).values()]
    return "\n".join([figures, *([f"Error: {row.error}"] if row.error else []), *notices])
