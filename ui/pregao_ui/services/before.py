"""What a session's market did before the session: the bars that its chart begins with."""

from __future__ import annotations

from pregao.core.bars import Bar
from pregao.core.errors import NotFoundError
from pregao.core.timeframe import Timeframe
from pregao.sessions.journal import Journal
from pregao.sessions.records import SessionRow
from pregao_ui.schemas.market import BarOut
from pregao_ui.services.market import Market

FIRST = 8
"""Among the first so many rows of a journal are those of the start."""


class Before:
    """The bars from before a session: as they are stored, and those that a live one was warmed up on."""

    def __init__(self, journal: Journal, market: Market) -> None:
        self.journal = journal
        self.market = market

    def bars(self, session_id: str, end: float | None, limit: int) -> list[BarOut]:
        """The last ``limit`` bars that open before ``end`` (seconds since 1970), oldest first; may be none.

        A market that is followed live need not be in the store: the bars that the session was warmed up on are in its
        journal. Stored bars come before them if they lead up to them. ``end=None`` is before the first of the session's
        own, where it was warmed up; there is none before what begins with the first stored bar.

        Raises:
            NotFoundError: if there is no such session.
        """
        row = self.journal.session(session_id)
        warmed = [bar for bar in self._warmed(row) if end is None or bar.t < end][-limit:]
        until = float(warmed[0].t) if warmed else end
        if until is None or len(warmed) == limit:
            return warmed
        step = Timeframe.parse(row.spec.timeframe).seconds
        try:
            if warmed and self._last(row) < until - step:
                return warmed
            return self.market.bars(row.instrument.key, row.spec.timeframe, until, limit - len(warmed)) + warmed
        except NotFoundError:  # not in the store
            return warmed

    def _warmed(self, row: SessionRow) -> list[BarOut]:
        bodies = (one.body for one in self.journal.rows(row.id, limit=FIRST) if one.kind == "warmed")
        told = next(bodies, {"bars": []})["bars"]
        return [BarOut.of(Bar._make([*values[:-1], float(values[-1])]), row.instrument) for values in told]

    def _last(self, row: SessionRow) -> float:
        """When the last stored bar opens."""
        instrument = self.market.store.instrument(row.instrument.key)
        return self.market.store.coverage(instrument, Timeframe.parse(row.spec.timeframe)).last_ns / 1e9
