"""Sessions: what they were asked, how they stand, what they lived through, and how they are steered."""

from __future__ import annotations

from typing import Any

from pregao.core.instrument import Instrument
from pregao.sessions import control
from pregao.sessions.journal import Journal
from pregao.sessions.spec import SessionSpec
from pregao.sessions.views import view
from pregao_ui.schemas.sessions import CommandIn, Launched, SessionOut, TradeOut
from pregao_ui.services.flows import Flows


class Sessions:
    """The sessions of one database."""

    def __init__(self, journal: Journal, flows: Flows) -> None:
        self.journal = journal
        self.flows = flows
        self._instruments: dict[str, Instrument] = {}

    def all(self) -> list[SessionOut]:
        """All sessions, newest first."""
        return [SessionOut.of(row) for row in self.journal.sessions()]

    def one(self, session_id: str) -> SessionOut:
        """One session; raises `NotFoundError`."""
        return SessionOut.of(self.journal.session(session_id))

    def rows(self, session_id: str, after: int, limit: int) -> list[dict[str, Any]]:
        """The rows with a number above ``after``, as `pregao.sessions.views` shows them."""
        if session_id not in self._instruments:  # a session's instrument never changes
            self._instruments[session_id] = self.journal.session(session_id).instrument
        instrument = self._instruments[session_id]
        return [view(row, instrument) for row in self.journal.rows(session_id, after, limit)]

    def tail_start(self, session_id: str, n: int) -> int:
        """The number after which the last ``n`` rows come."""
        return self.journal.tail_start(session_id, n)

    def trades(self, session_id: str, limit: int) -> list[TradeOut]:
        """The last ``limit`` round trips, oldest first."""
        instrument = self.journal.session(session_id).instrument
        return [TradeOut.of(trade, instrument) for trade in self.journal.trades(session_id, limit)]

    def command(self, session_id: str, command: CommandIn) -> int:
        """Put a command into a session's inbox; its number."""
        body = {} if command.proposal is None else {"proposal": command.proposal}
        return control.command(session_id, command.kind, body, journal=self.journal)

    def start(self, spec: SessionSpec) -> Launched:
        """Create a session and ask for a runner; without Prefect the session waits as it is.

        Raises:
            UsageError: what is wrong with the spec.
        """
        return self.launch(control.start(spec, journal=self.journal))

    def launch(self, session_id: str) -> Launched:
        """Ask Prefect to run a session, unless a run of it is already under way."""
        self.journal.session(session_id)
        return self.flows.launch_session(session_id, self.journal)
