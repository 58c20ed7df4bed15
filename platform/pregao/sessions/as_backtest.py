"""A session as the result of a backtest, so that whatever tells of a backtest tells of a session too.

Bars, equity and events come from the journal; the account comes from living through it again, as recovery does.
"""

from __future__ import annotations

import numpy as np

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions.assembly import assembled
from pregao.sessions.journal import Journal
from pregao.sessions.records import Body, JournalRow
from pregao.sessions.recovery import recover
from pregao.simulation import layout
from pregao.simulation.backtest import Result
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event, rows_of
from pregao.simulation.marks import Marks
from pregao.simulation.moments import Moments
from pregao.simulation.portfolio import PortfolioResult


def result_of(journal: Journal, session_id: str) -> Result | PortfolioResult:
    """What a session did so far.

    Raises:
        NotFoundError: if there is no such session.
        UsageError: if it has lived through no bar yet.
        DamagedError, DivergedError: if its journal is damaged, or does not come out again.
    """
    session = journal.session(session_id)
    parts = assembled(session)
    books: list[list[Body]] = [[] for _ in parts.parts]
    equity: list[tuple[int, int]] = []
    events: list[Event] = []
    cash, held = parts.first.plan.cash_quanta, [0] * len(books)
    for row in journal.verified(session_id):
        if row.kind == "bar":
            books[row.body.get("b", 0)].append(row.body)
            if "eq" in row.body:
                equity.append((row.body["t"], row.body["eq"]))
        elif row.kind in ("fill", "order"):
            # A row says what the account has where that changed; else it is what it was.
            number = row.body.get("b", 0)
            events.append(_event(row, held[number], cash))
            held[number], cash = events[-1].position_lots, events[-1].cash_quanta
    if not equity:
        raise UsageError(f"Session {session_id} has lived through no bar yet.", "Wait for its first.")
    for part, lived in zip(parts.parts, books, strict=True):
        if not lived:
            raise UsageError(f"Session {session_id} has heard no bar of {part.instrument.symbol} yet.", "Wait for it.")
    engine = recover(journal, session_id, parts.machine).engine
    series = [_series(part.instrument, parts.timeframe, own) for part, own in zip(parts.parts, books, strict=True)]
    lots = [np.array([bar["pos"] for bar in own], np.int64) for own in books]
    opened, worth = np.array(equity, np.int64).T
    if len(books) == 1:
        rows = np.stack([np.arange(len(worth)), worth, np.zeros(len(worth), np.int64), lots[0]], axis=1)
        return Result(series[0], parts.first.plan, Marks(rows, series[0].close), rows_of(events), engine)
    assert isinstance(engine, Engine)
    plans = tuple(part.plan for part in parts.parts)
    moments = Moments(parts.timeframe, opened, opened + parts.timeframe.ns)
    began_with = {session.instrument.quote: session.instrument.money(plans[0].cash_quanta)}
    return PortfolioResult(tuple(series), plans, moments, began_with, worth, tuple(lots), rows_of(events), engine)


def _series(instrument: Instrument, timeframe: Timeframe, bars: list[Body]) -> Bars:
    at, opened, high, low, close = (np.array([bar[key] for bar in bars], np.int64) for key in "tohlc")
    volume = np.array([float(bar["v"]) for bar in bars])
    return Bars(instrument, timeframe, at, opened, high, low, close, volume)


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
        book=body.get("b", 0),
    )


def _reason(said: str) -> str:
    """A reason that events can have; an exchange words its own."""
    return said if said in layout.REASONS.values() else layout.REASONS[layout.VENUE_SAID]
