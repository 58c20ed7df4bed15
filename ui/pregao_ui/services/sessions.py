"""Sessions: what they were asked, how they stand, what they lived through, and how they are steered."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import select

from pregao.core.errors import NotFoundError, UsageError
from pregao.core.instrument import Instrument
from pregao.reporting.thinning import thin
from pregao.sessions import control, schema
from pregao.sessions.journal import Journal
from pregao.sessions.records import ENDED, SessionRow, Status
from pregao.sessions.spec import Mode, SessionSpec
from pregao.sessions.views import views
from pregao.simulation.layout import HORIZON, REASONS
from pregao_ui.schemas.sessions import CommandIn, CommandOut, EquityOut, Launched, SessionOut, TradeOut
from pregao_ui.services.flows import Flows


class Wanted(NamedTuple):
    """Which sessions are asked for; None and empty are any."""

    statuses: tuple[Status, ...] = ()
    instrument: str | None = None
    strategy: str | None = None
    mode: Mode | None = None
    text: str | None = None

    def fits(self, row: SessionRow) -> bool:
        """Whether a session is among them; ``text`` is a part of its id, symbol, key, strategy or model."""
        names = [name for each in row.instruments for name in (each.symbol, each.key)]
        said = " ".join((row.id, *names, row.spec.strategy, row.spec.model or ""))
        return (
            self.instrument in (None, *names)
            and self.strategy in (None, row.spec.strategy)
            and self.mode in (None, row.spec.mode)
            and (self.text is None or self.text.casefold() in said.casefold())
        )


class Page(NamedTuple):
    """Some of the sessions that fit; how many fit in all; whether others come after these."""

    sessions: list[SessionOut]
    total: int
    more: bool


class Sessions:
    """The sessions of one database."""

    def __init__(self, journal: Journal, flows: Flows) -> None:
        self.journal = journal
        self.flows = flows
        self._instruments: dict[str, tuple[Instrument, ...]] = {}

    def all(self) -> list[SessionOut]:
        """All sessions, newest first."""
        return [SessionOut.of(row) for row in self.journal.sessions()]

    def some(self, wanted: Wanted, after: str | None, limit: int) -> Page:
        """The sessions that fit, newest first: at most ``limit`` of those that come after one.

        Raises:
            NotFoundError: if there is no session ``after``.
        """
        fitting = [row for row in self.journal.sessions(wanted.statuses or None) if wanted.fits(row)]
        rest = fitting
        if after is not None:
            last = self.journal.session(after)
            rest = [row for row in fitting if (-row.created_ns, row.id) > (-last.created_ns, last.id)]
        return Page([SessionOut.of(row) for row in rest[:limit]], len(fitting), len(rest) > limit)

    def one(self, session_id: str) -> SessionOut:
        """One session; raises `NotFoundError`."""
        return SessionOut.of(self.journal.session(session_id))

    def rows(self, session_id: str, after: int, limit: int) -> list[dict[str, Any]]:
        """The rows with a number above ``after``, as `pregao.sessions.views` shows them."""
        if session_id not in self._instruments:  # a session's instruments never change
            self._instruments[session_id] = self.journal.session(session_id).instruments
        return views(self.journal.rows(session_id, after, limit), *self._instruments[session_id])

    def tail_start(self, session_id: str, n: int) -> int:
        """The number after which the last ``n`` rows come."""
        return self.journal.tail_start(session_id, n)

    def trades(self, session_id: str, limit: int) -> list[TradeOut]:
        """The last ``limit`` round trips, oldest first; those that ended because their time was over say so."""
        row = self.journal.session(session_id)
        found = [TradeOut.of(trade, row.instruments) for trade in self.journal.trades(session_id, limit)]
        over = self._timed_out(session_id, limit) if row.spec.horizon else set()
        return [
            trade.model_copy(update={"role": "horizon"}) if trade.role == "exit" and trade.exit in over else trade
            for trade in found
        ]

    def _timed_out(self, session_id: str, limit: int) -> set[float]:
        """When the last exits filled that were ordered because a position's longest time was over."""
        j = schema.journal.c
        rows = select(j.ts_ns, j.body).where(j.session_id == session_id).order_by(j.seq.desc()).limit(limit)
        ordered = rows.where(j.kind == "order", j.body.contains(f'"reason":"{REASONS[HORIZON]}"'))
        filled = rows.where(j.kind == "fill", j.body.contains('"role":"exit"'))
        with self.journal.reading() as connection:
            numbers = {json.loads(body)["id"] for _, body in connection.execute(ordered)}
            return {ts_ns / 1e9 for ts_ns, body in connection.execute(filled) if json.loads(body)["id"] in numbers}

    def equity(self, session_id: str, points: int) -> EquityOut:
        """The equity after each bar, thinned to the picture of so many columns: no extreme is lost."""
        session = self.journal.session(session_id)
        closes: list[int] = []
        quanta: list[int] = []
        j = schema.journal.c
        query = select(j.ts_ns, j.body).where(j.session_id == session_id, j.kind == "bar").order_by(j.seq)
        with self.journal.reading() as connection:
            for ts_ns, body in connection.execute(query):
                worth = json.loads(body).get("eq")
                if worth is not None:
                    closes.append(ts_ns)
                    quanta.append(worth)
        if not closes:
            return EquityOut(session=session_id, times=[], equity=[])
        times, equity = np.array(closes, np.int64), np.array(quanta, np.float64) * float(session.instrument.quantum)
        kept = thin(times, equity, points)
        return EquityOut(
            session=session_id, times=(times[kept] / 1e9).tolist(), equity=np.round(equity[kept], 8).tolist()
        )

    def answer(self, session_id: str, number: int) -> CommandOut:
        """A command with its outcome, once the runner has taken it; raises `NotFoundError`."""
        self.journal.session(session_id)
        command = self.journal.answer(number) if number < 2**62 else None
        if command is None or command.session_id != session_id:
            raise NotFoundError(f"Session {session_id} was sent no command {number}.")
        return CommandOut.of(command)

    def command(self, session_id: str, command: CommandIn) -> int:
        """Put a command into a session's inbox; its number."""
        body = command.model_dump(include={"proposal", "instrument"}, exclude_none=True)
        return control.command(session_id, command.kind, body, journal=self.journal)

    def start(self, spec: SessionSpec, key: str = "") -> Launched:
        """Create a session and ask for a runner; without Prefect the session waits as it is.

        Args:
            key: of this start, chosen by who asks: asked again, it is the same session.

        Raises:
            UsageError: what is wrong with the spec.
        """
        return self.launch(control.start(spec, journal=self.journal, key=key))

    def clone(self, session_id: str, changes: dict[str, Any], key: str = "") -> Launched:
        """Start a session that was asked the same as another one, but for these changes; raises as `start`.

        What the other one's start decided by itself (the model's version, the end of the bars) is decided anew, unless
        it is among the changes.
        """
        asked = self.journal.session(session_id).spec.model_dump(mode="json")
        if asked["feed"]["kind"] == "replay":
            asked["feed"]["end"] = None
        if isinstance(changes.get("feed"), dict) and changes["feed"].get("kind", "replay") == asked["feed"]["kind"]:
            changes = changes | {"feed": asked["feed"] | changes["feed"]}
        return self.start(control.spec_of(asked | changes), key)

    def resume(self, session_id: str) -> Launched:
        """Go on: with a paused session, or with one whose runner has gone."""
        row = self.journal.session(session_id)
        if row.status in ENDED:
            raise UsageError(f"Session {session_id} has ended ({row.status}).", "Clone it to begin anew.")
        if row.status == "paused":
            control.command(session_id, "resume", journal=self.journal)
        if control.left_alone(session_id, self.journal):
            return self.launch(session_id)
        return Launched(session=session_id, launched=True)

    def launch(self, session_id: str) -> Launched:
        """Ask Prefect to run a session, unless a run of it is already under way."""
        self.journal.session(session_id)
        return self.flows.launch_session(session_id, self.journal)
