"""What a session's market did before the session: the bars that its chart begins with."""

from __future__ import annotations

from pregao.core.errors import NotFoundError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions.control import place_of
from pregao.sessions.journal import Journal
from pregao.sessions.records import SessionRow
from pregao.sessions.recovery import warmed
from pregao_ui.schemas.market import BarOut
from pregao_ui.services.market import Market


class Before:
    """The bars from before a session: as they are stored, and those that a live one was warmed up on."""

    def __init__(self, journal: Journal, market: Market) -> None:
        self.journal = journal
        self.market = market

    def bars(self, session_id: str, end: float | None, limit: int, instrument: str | None = None) -> list[BarOut]:
        """The last ``limit`` bars that open before ``end`` (seconds since 1970), oldest first; may be none.

        A market that is followed live need not be in the store: the bars that the session was warmed up on are in its
        journal. Stored bars come before them if they lead up to them. ``end=None`` is before the first of the session's
        own, where it was warmed up; there is none before what begins with the first stored bar.

        Args:
            instrument: which of several, by its key or symbol; the first unless given.

        Raises:
            NotFoundError: if there is no such session, or it has no such instrument.
            UsageError: if the symbol is that of more than one.
        """
        row = self.journal.session(session_id)
        number = 0 if instrument is None else place_of(row, instrument)
        traded, timeframe = row.instruments[number], Timeframe.parse(row.spec.timeframe)
        own = [bar for bar in self._warmed(row, number) if end is None or bar.t < end][-limit:]
        until = float(own[0].t) if own else end
        if until is None or len(own) == limit or (own and not self._leads_to(traded, timeframe, until)):
            return own
        try:
            return self.market.bars(traded.key, timeframe.name, until, limit - len(own)) + own
        except NotFoundError:  # not in the store
            return own

    def _warmed(self, row: SessionRow, number: int) -> list[BarOut]:
        """What the session was warmed up on at an instrument: its first event has a row of each."""
        first = self.journal.rows(row.id, limit=1 + len(row.instruments))
        bars, _ = warmed(first).get(number, ([], []))
        return [BarOut.of(bar, row.instruments[number]) for bar in bars]

    def _leads_to(self, instrument: Instrument, timeframe: Timeframe, time: float) -> bool:
        """Whether the store has bars until a time, so that no hole is hidden before it."""
        try:
            return self.market.store.coverage(instrument, timeframe).last_ns / 1e9 >= time - timeframe.seconds
        except NotFoundError:
            return False
