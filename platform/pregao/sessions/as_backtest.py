"""A session as the result of a backtest, so that whatever tells of a backtest tells of a session too.

Bars, equity and events come from the journal; the account comes from living through it again, as recovery does.
"""

from __future__ import annotations

import numpy as np

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.sessions.assembly import assemble
from pregao.sessions.journal import Journal
from pregao.sessions.records import Body, JournalRow
from pregao.sessions.recovery import recover
from pregao.simulation import layout
from pregao.simulation.backtest import Result
from pregao.simulation.events import Event, rows_of
from pregao.simulation.marks import Marks


def result_of(journal: Journal, session_id: str) -> Result:
    """What a session did so far.

    Raises:
        NotFoundError: if there is no such session.
        UsageError: if it has lived through no bar yet.
        DamagedError, DivergedError: if its journal is damaged, or does not come out again.
    """
    session = journal.session(session_id)
    parts = assemble(session.spec, session.model_version, session.instrument)
    bars: list[Body] = []
    events: list[Event] = []
    held, cash = 0, parts.plan.cash_quanta
    for row in journal.verified(session_id):
        if row.kind == "bar":
            bars.append(row.body)
        elif row.kind in ("fill", "order"):
            # A row says what the account has where that changed; else it is what it was.
            events.append(_event(row, held, cash))
            held, cash = events[-1].position_lots, events[-1].cash_quanta
    if not bars:
        raise UsageError(f"Session {session_id} has lived through no bar yet.", "Wait for its first.")
    machine = recover(journal, session_id, parts.machine)
    opened, first, high, low, close, equity, lots = (
        np.array([bar[key] for bar in bars], np.int64) for key in ("t", "o", "h", "l", "c", "eq", "pos")
    )
    volume = np.array([float(bar["v"]) for bar in bars])
    series = Bars(session.instrument, parts.timeframe, opened, first, high, low, close, volume)
    rows = np.stack([np.arange(len(bars)), equity, np.zeros(len(bars), np.int64), lots], axis=1)
    return Result(series, parts.plan, Marks(rows, series.close), rows_of(events), machine.desk.engine)


def _event(row: JournalRow, position_lots: int, cash_quanta: int) -> Event:
    body = row.body
    common = {
        "kind": "fill" if row.kind == "fill" else body["state"], "order_id": body["id"], "ts_ns": row.ts_ns,
        "order_kind": body["order"], "role": body["role"], "side": body["side"], "qty_lots": body["qty"],
        "price_ticks": body["price"],
    }  # fmt: skip
    filled = row.kind == "fill"
    return Event(
        **common,
        reference_ticks=body["ref"] if filled else 0,
        slippage_ticks=body["slip"] if filled else 0,
        fee_quanta=body["fee"] if filled else 0,
        realised_quanta=body.get("pnl", 0),
        position_lots=body.get("pos", position_lots),
        cash_quanta=body.get("cash", cash_quanta),
        rule=body["rule"] if filled else "",
        reason="" if filled else _reason(body["reason"]),
        ambiguous=body["amb"] if filled else False,
        spread_ticks=body["spread"] if filled else 0,
        impact_ticks=body["impact"] if filled else 0,
        liquidity=body["liq"] if filled else "",
        tier=body["tier"] if filled else 0,
        amount_quanta=body.get("amount", 0),
    )


def _reason(said: str) -> str:
    """A reason that events can have; an exchange words its own."""
    return said if said in layout.REASONS.values() else layout.REASONS[layout.VENUE_SAID]
