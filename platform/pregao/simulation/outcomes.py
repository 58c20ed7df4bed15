"""What would have become of a bracket trade opened at each bar: labels, by the engine itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.compiled import compiled
from pregao.core.errors import UsageError
from pregao.core.money import PPM
from pregao.simulation import layout
from pregao.simulation.history import bring, quiet
from pregao.simulation.hours import live_rows
from pregao.simulation.kernel import act, mark, step
from pregao.simulation.layout import ENTRY, FILLED, ORDERS_AT, ZERO
from pregao.simulation.plan import Plan
from pregao.simulation.tape import Tape, tape_of
from pregao.simulation.working import copy_order
from pregao.simulation.world import build

_WHOLE, _REAL = ("end", "role", "rule", "ambiguous"), ("net", "worst", "best")
_OUTCOME = np.dtype([(name, np.int64) for name in _WHOLE] + [(name, np.float64) for name in _REAL])


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One hypothetical trade per bar: decided at its close, entered at the next open, brought to its end.

    Attributes (shape ``(n,)`` each):
        net: net result over the money put in, costs included; NaN where the trade never ended or never opened.
        worst, best: the same, had a bar that reached both exits gone the trader's worse or better way.
        end: index of the bar in which it ended; -1 where `net` is NaN.
        role: how it ended: `layout.TAKE_PROFIT`, `STOP_LOSS`, `EXIT` (horizon), or 0.
        rule: at what price: `layout.AT_OPEN`, `AT_GAP`, `IN_PATH`, `IN_FINER`, or 0.
        ambiguous: 1 where a bar, or a finer one by which the path was told, reached both exits.
    """

    net: NDArray[np.float64]
    worst: NDArray[np.float64]
    best: NDArray[np.float64]
    end: NDArray[np.int64]
    role: NDArray[np.int64]
    rule: NDArray[np.int64]
    ambiguous: NDArray[np.int64]


@compiled
def _outcomes(worlds: Any, setting: Any, logs: Any, tape: Tape, signal: int, outcomes: Any) -> None:
    """Fill ``outcomes`` (`_OUTCOME`); ``worlds`` has a world to work in and a fresh one to begin from."""
    w, fresh, s, log = worlds[0], worlds[1], setting[0], logs[0]
    account, book, money = w["account"], w["books"][0], w["money"][0]
    for i in range(len(tape.close)):
        outcome = outcomes[i]
        outcome["net"] = outcome["worst"] = outcome["best"] = np.nan
        outcome["end"] = -1
        for k in range(account["orders"]):
            copy_order(w, k, ZERO)
        for i_word in range(ORDERS_AT):
            w["words"][i_word] = fresh["words"][i_word]
        w["volumes"][0, :] = 0
        book["last_ticks"] = tape.close[i]
        account["now_ns"] = tape.open_ns[i] + tape.span_ns
        log["count"] = 0
        act(w, s, log, 0, signal, PPM)
        put_in = 0
        for j in range(i + 1, len(tape.close)):
            closes = tape.open_ns[j] + tape.span_ns
            bring(w, tape, j, 0, True)
            if quiet(w, s, 0, tape.open_ns[j]):
                mark(w, 0, closes, 1)
                continue
            log["count"] = 0
            step(w, s, log, tape.open_ns[j], closes, tape.actions, tape.fine, tape.fine_bars)
            for e in range(log["count"]):
                event = log["events"][e]
                if event["kind"] == FILLED:
                    if event["role"] == ENTRY:
                        put_in += event["qty_lots"] * event["price_ticks"] * s["rules"][0]["tick_quanta"]
                    else:
                        outcome["role"] = event["role"]
                        outcome["rule"] = event["rule"]
            if book["position_lots"] == 0 and account["orders"] == 0:
                if put_in > 0:
                    gain = money["cash"] - fresh["money"][0]["cash"]
                    outcome["net"] = gain / put_in
                    outcome["worst"] = (gain - book["worst"]) / put_in
                    outcome["best"] = (gain + book["best"]) / put_in
                    outcome["end"] = j
                    outcome["ambiguous"] = min(account["ambiguous"], 1)
                break


def bracket_outcomes(bars: Bars, plan: Plan, side: int = 1, finer: Bars | None = None) -> Outcomes:
    """The outcome of a bracket trade decided at each bar's close, by the engine's own step, costs included.

    Which exit of a bar that reaches both counts is what the path rule of the plan's terms says.

    Args:
        side: `layout.ENTER_LONG` or `ENTER_SHORT`.
        finer: bars of the same instrument with a shorter timeframe, for the path rule ``finer``.

    Raises:
        UsageError: if the plan has no exit at all, so that a trade need never end.
    """
    if not (plan.take_profit_ppm or plan.stop_loss_ppm or plan.horizon_bars):
        raise UsageError("A bracket needs a take profit, a stop loss or a horizon.")
    outcomes = np.zeros(len(bars), _OUTCOME)
    built = build([plan], None, None)
    tape = tape_of(bars, live_rows(bars), finer, built.actions)
    worlds = np.zeros(2, layout.WORLD)
    worlds["words"] = built.world["words"]
    _outcomes(worlds, built.setting, np.zeros(1, layout.LOG), tape, side, outcomes)
    return Outcomes(**{name: np.ascontiguousarray(outcomes[name]) for name in (*_REAL, *_WHOLE)})
