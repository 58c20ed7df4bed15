"""What a session decided and what came of it, read back from its journal: what learning learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.sets import feature_set
from pregao.sessions.journal import Journal
from pregao.sessions.records import Body
from pregao.sessions.spec import SessionSpec
from pregao.simulation.plan import Plan
from pregao.strategies.registry import configured

_PLAN = {"cash", "entry_value", "take_profit", "stop_loss", "horizon", "fee", "slippage"}


@dataclass(frozen=True, eq=False)
class Decided:
    """The decisions of one session on one of its instruments.

    Attributes:
        model: the name of the model that was asked; None without one.
        last_seq: the last row of the journal that was read.
        bars: what it lived through, as it saw them, from the journal; None before the first bar.
        warmed: bars from before, if the journal keeps them (a live session); None for a replay.
        frame: a row for each entry wanted and each thought noted with a probability: ``seq``, ``at_ns`` (the bar's
            close), ``action`` (enter, note), ``side``, ``acted``, ``why`` not, ``probability``, ``expected_value``,
            ``model_version``; and of the trade that an entry became ``realised``, its net result over the money put in
            with all costs of the fills (NaN without or while open), and ``exit_ns`` (-1).
    """

    session_id: str
    spec: SessionSpec
    model: str | None
    instrument: Instrument
    timeframe: Timeframe
    last_seq: int
    bars: Bars | None
    warmed: Bars | None
    frame: pd.DataFrame

    @property
    def plan(self) -> Plan:
        """The operation that each entry was."""
        return Plan.of(self.instrument, self.timeframe, **self.spec.model_dump(include=_PLAN))

    @property
    def bracketed(self) -> bool:
        """Whether its exits are those of the plan alone, so that a trade that was not made can be simulated."""
        spec = self.spec
        moved = spec.trailing or spec.take_profit_price is not None or spec.stop_loss_price is not None
        return not moved

    def history(self, features: str) -> int:
        """Bars before the first on which the session warmed up: what its strategy and features need."""
        strategy = configured(self.spec.strategy, self.spec.config)
        return max(int(strategy.warmup()), feature_set(features).warmup)


def decisions(journal: Journal, session_id: str, book: int = 0) -> Decided:
    """Read a session's decisions; every row is held against the hash chain on the way.

    Args:
        book: the instrument's place in the session.

    Raises:
        NotFoundError: if there is no such session.
        DamagedError: if a row of the journal does not follow from the one before.
    """
    session = journal.session(session_id)
    timeframe = Timeframe.parse(session.spec.timeframe)
    rows: list[dict[str, Any]] = []
    bars: list[list[Any]] = []
    warm: list[list[Any]] = []
    model, version, seq = session.model_name, session.model_version, 0
    if book:
        _, model, version = session.also[book - 1]
    wanted: dict[str, Any] | None = None
    orders: dict[int, dict[str, Any]] = {}
    entered: dict[int, dict[str, Any]] = {}
    for row in journal.verified(session_id):
        body, seq = row.body, row.seq
        if body.get("b", 0) != book:
            continue
        match row.kind:
            case "bar":
                bars.append([body["t"], body["o"], body["h"], body["l"], body["c"], float(body["v"])])
                wanted = None
            case "warmed":
                warm = [[r[0], *r[2:6], float(r[6])] for r in body["bars"]]
            case "model" if not body["reason"]:
                version = body["version"]
            case "intent" if body["action"] == "enter" or (body["action"] == "note" and body["p"] is not None):
                made = _decision(row.seq, row.ts_ns, body, version)
                rows.append(made)
                wanted = made if made["acted"] else None
            case "order" if wanted is not None and (body["role"], body["state"]) == ("entry", "accepted"):
                orders[body["id"]] = wanted
                wanted = None
            case "fill" if body["role"] == "entry" and body["id"] in orders:
                entered.setdefault(row.ts_ns, orders.pop(body["id"]))
    for trade in journal.trades(session_id):
        if trade.book == book and trade.entry_ns in entered:
            made = entered[trade.entry_ns]
            made["realised"], made["exit_ns"] = trade.pnl_quanta / trade.paid_quanta, trade.exit_ns
    frame = pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
    return Decided(
        session_id, session.spec, model, session.instruments[book], timeframe, seq,
        _bars(session.instruments[book], timeframe, bars), _bars(session.instruments[book], timeframe, warm), frame,
    )  # fmt: skip


_TYPES = {
    "seq": "int64", "at_ns": "int64", "action": "str", "side": "str", "acted": "bool", "why": "str",
    "probability": "float64", "expected_value": "float64", "model_version": "str", "realised": "float64",
    "exit_ns": "int64",
}  # fmt: skip


def _decision(seq: int, at_ns: int, body: Body, version: str | None) -> dict[str, Any]:
    def number(text: str | None) -> float:
        return np.nan if text is None else float(text)

    return {
        "seq": seq, "at_ns": at_ns, "action": body["action"], "side": body.get("side", "long"),
        "acted": bool(body["acted"]), "why": body["why"], "probability": number(body["p"]),
        "expected_value": number(body["ev"]), "model_version": version or "", "realised": np.nan, "exit_ns": -1,
    }  # fmt: skip


def _bars(instrument: Instrument, timeframe: Timeframe, rows: list[list[Any]]) -> Bars | None:
    if not rows:
        return None
    *whole, volume = zip(*rows, strict=True)
    at, opened, high, low, close = (np.array(column, np.int64) for column in whole)
    return Bars(instrument, timeframe, at, opened, high, low, close, np.array(volume, np.float64))
