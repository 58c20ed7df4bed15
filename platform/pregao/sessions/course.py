"""A session's equity and figures read from its journal alone: no strategy, no model and no data is needed.

`pregao.sessions.as_backtest` gives the same as the result of a backtest, for whatever wants to know each order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.sessions.journal import Journal
from pregao.sessions.records import Body, SessionRow, Trade
from pregao.simulation.moments import Moments
from pregao.simulation.report import metrics


@dataclass(frozen=True, eq=False)
class Course:
    """What became of a session's money.

    Attributes:
        close_ns: of the bars lived through, ns since 1970 UTC, shape ``(n,)``.
        equity: at each close, in the quote currency, shape ``(n,)``.
        figures: of `pregao.simulation.report.metrics`.
    """

    close_ns: NDArray[np.int64]
    equity: NDArray[np.float64]
    figures: dict[str, float]


def course_of(journal: Journal, session_id: str) -> Course:
    """What a session came to so far.

    Raises:
        NotFoundError: if there is no such session.
        UsageError: if it has lived through no bar yet.
        DamagedError: if a row of the journal does not follow from the one before.
    """
    session = journal.session(session_id)
    every = [row.body for row in journal.verified(session_id) if row.kind == "bar"]
    bodies = [body for body in every if "eq" in body]
    if not bodies:
        raise UsageError(f"Session {session_id} has lived through no bar yet.", "Wait for its first.")
    timeframe = Timeframe.parse(session.spec.timeframe)
    opened = np.array([body["t"] for body in bodies], np.int64)
    moments = Moments(timeframe, opened, opened + timeframe.ns)
    quanta = np.array([body["eq"] for body in bodies], np.int64)
    equity = np.asarray(quanta * float(session.instrument.quantum), np.float64)
    exposed = _exposed(every)
    trades = pd.DataFrame([_trade(trade, session) for trade in journal.trades(session_id)], columns=_TRADE)
    return Course(moments.close_ns, equity, metrics(equity, cast(Bars, moments), trades, exposed))


def _exposed(bodies: list[Body]) -> NDArray[np.bool_]:
    """Whether anything was held after each moment, shape ``(n,)``; an instrument without a bar keeps what it has."""
    held: dict[int, bool] = {}
    exposed: list[bool] = []
    for body in bodies:
        held[body.get("b", 0)] = body["pos"] != 0
        if "eq" in body:
            exposed.append(False)
        exposed[-1] = any(held.values())
    return np.array(exposed, bool)


_TRADE = ["pnl", "net_return", "quantity", "entry_price", "exit_price", "fees"]


def _trade(trade: Trade, session: SessionRow) -> tuple[float, ...]:
    instrument = session.instruments[trade.book]
    quantity = float(instrument.quantity(trade.lots))
    money = [float(instrument.money(quanta)) for quanta in (trade.paid_quanta, trade.received_quanta)]
    return (
        float(instrument.money(trade.pnl_quanta)), trade.pnl_quanta / trade.paid_quanta, quantity,
        money[0] / quantity, money[1] / quantity, float(instrument.money(trade.fees_quanta)),
    )  # fmt: skip
