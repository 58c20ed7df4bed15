"""The long-running flow of a paper session.

The session's loop runs in a thread of its own and is asked to end between two bars, so that Prefect's termination
signal, which is raised in the main thread, never cuts a transaction in half. The journal stays the truth: this flow
only starts the loop, passes the person's wishes from Prefect's pages on to it, and reports how it ended.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import httpx
from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, Pause, PrefectException, TerminationSignal

from pregao.core.errors import PregaoError, UsageError
from pregao_flows import own_run
from pregao_flows.aside import Aside
from pregao_flows.client import SHUTDOWN
from pregao_flows.messages import of_error, said
from pregao_flows.reports import ended_badly, ended_well, leave, table

if TYPE_CHECKING:
    from pregao.sessions.records import SessionRow

POLL_SECONDS = 2.0
"""How often the run's own state is read: Pause and Suspend reach a flow without tasks in no other way."""

PAGE_SECONDS = 30.0
"""How often the run's page tells how the session stands."""

STOP_SECONDS = 15.0
"""How long a stopping session may take to close its orders and positions; SIGKILL follows 30 s after a cancel."""


class Loop(Aside):
    """A session's loop, and how it ended."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.status = ""
        self._stop = threading.Event()
        super().__init__(f"session {session_id}", self._live)

    def _live(self) -> None:
        from pregao.sessions.journal import Journal
        from pregao.sessions.runtime import run

        with closing(Journal()) as journal:
            self.status = run(self.session_id, journal, stop=self._stop.is_set)

    def leave(self) -> None:
        """End the loop at the next bar; the session stays as it is, to be gone on with."""
        self._stop.set()
        self.join(STOP_SECONDS)

    def end(self) -> None:
        """Stop the session for good, as its own Stop does."""
        self.command("stop")
        if not self.join(STOP_SECONDS):
            self.leave()

    def command(self, kind: Any) -> None:
        """Put a command into the session's inbox; one that has ended takes none."""
        from pregao.sessions.journal import Journal

        with suppress(UsageError), closing(Journal()) as journal:
            journal.command(self.session_id, kind)


@flow(name="paper-trade", log_prints=False)
def paper_trade(session_id: str) -> State[Any]:
    """Run a paper session until it ends or is asked to.

    Cancel stops the session for good; Suspend ends this process and Resume goes on where it was; Pause pauses the
    strategy while exits keep working. A shutdown of the servers leaves the session to be gone on with.
    """
    log = get_run_logger()
    loop = Loop(session_id)
    log.info("Session %s runs", session_id)
    page = Page(session_id)
    try:
        with get_client(sync_client=True) as client:
            _attend(loop, client, page)
        page.tell()
    except TerminationSignal:
        if own_run.message() == SHUTDOWN.english:
            loop.leave()
            log.info("Session %s waits to be gone on with", session_id)
        else:
            loop.end()
            page.tell()
            if loop.status == "stopped":
                log.info("Session %s was stopped", session_id)
            else:
                log.warning("Session %s could not be ended yet: it is gone on with until it is", session_id)
        raise
    if _is_fenced(loop.error):
        return ended_well(said("elsewhere", session=session_id))
    if isinstance(loop.error, PregaoError):
        return ended_badly(of_error(loop.error))
    if loop.error is not None:
        raise loop.error
    if loop.status == "failed":
        return ended_badly(said("session_failed", session=session_id))
    return ended_well(said("session_ended", session=session_id, status=loop.status))


def _is_fenced(error: BaseException | None) -> bool:
    from pregao.sessions.writer import FencedError

    return isinstance(error, FencedError)


class Page:
    """How the session stands, on the run's own page: an artifact, told anew when it has changed."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._told = ""
        self._due = 0.0

    def tell_sometimes(self) -> None:
        """As `tell`, but not more than once in `PAGE_SECONDS`."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + PAGE_SECONDS
            self.tell()

    def tell(self) -> None:
        """Tell how the session stands; a server or a database that is away is told the next time."""
        from sqlalchemy.exc import DBAPIError

        from pregao.sessions.journal import Journal
        from pregao.sessions.views import session_view

        try:
            with closing(Journal()) as journal:
                row = journal.session(self._session_id)
            shown = _page(row)
            if shown != self._told:
                leave(f"session {row.id}", shown, session_view(row), f"How session {row.id} stands.")
                self._told = shown
        except (PregaoError, DBAPIError, OSError, PrefectException, httpx.HTTPError):
            return


def _page(row: SessionRow) -> str:
    from pregao.sessions.views import broker_of

    quote = row.instrument.quote
    figures: list[list[object]] = [
        ["State", row.status],
        ["Market", f"{', '.join(each.key for each in row.instruments)}, {row.spec.timeframe}"],
        ["Strategy", f"{row.spec.strategy} ({row.spec.mode})"],
        ["Model", row.models_text or "none"],
        ["Bars", f"{row.bars:,}" + (f" of {row.bars_total:,}" if row.bars_total else "")],
        ["Equity", f"{row.equity:,.2f} {quote}"],
        ["P&L", f"{row.pnl:+,.2f} {quote} ({row.pnl_percent:+.2f} %)"],
        ["Fees", f"{row.fees:,.2f} {quote}"],
        ["Position", _position(row)],
        ["Trades", f"{row.trades_count}, {row.win_count} won"],
    ]
    notes = [row.error or "", *row.details.get("notices", {}).values()]
    told = "\n".join(f"- {note}" for note in notes if note)
    broker = broker_of(row.spec)
    money = "Simulated money" if broker == "paper" else f"Orders go to {broker}"
    return f"# Session {row.id}\n\n{table(['', money], figures)}\n\n{told}\n"


def _position(row: SessionRow) -> str:
    """The quantity held, of each instrument."""
    if not row.also:
        return f"{row.position:g}"
    held = zip(row.instruments, row.details.get("books", ()), strict=False)
    return ", ".join(f"{instrument.quantity(body['pos']):f} {instrument.base}" for instrument, body in held)


def _attend(loop: Loop, client: SyncPrefectClient, page: Page) -> None:
    """Return when the loop has ended; follow the run's state meanwhile."""
    paused = False
    while not loop.join(POLL_SECONDS):
        page.tell_sometimes()
        state = own_run.state(client)
        if state is None or state.is_running() or state.is_cancelling():
            if paused and state is not None and state.is_running():
                loop.command("resume")
                paused = False
        elif state.name == "Suspended":
            loop.leave()
            raise Pause(state=state)
        elif state.is_paused():
            if not paused:
                loop.command("pause")
                paused = True
        else:
            # Another process has ended this run, or scheduled it again: whoever owns it now goes on.
            loop.leave()
            raise Abort(f"The run is {state.name}.")
