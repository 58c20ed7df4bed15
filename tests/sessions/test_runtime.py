"""A session lived through: it agrees with the backtest, obeys commands, survives its strategy."""

from __future__ import annotations

from typing import Any

from pregao.core.bars import Bars
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run


def test_a_session_runs_to_the_end_of_its_replay(begin: Any, journal: Journal, market: Bars) -> None:
    session_id = begin()
    assert journal.session(session_id).status == "created"
    assert run(session_id, journal) == "finished"
    row = journal.session(session_id)
    assert (row.status, row.bars, row.bars_total) == ("finished", 600, 600)
    assert row.trades_count == len(journal.trades(session_id)) > 10
