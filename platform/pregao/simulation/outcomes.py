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
from pregao.simulation.kernel import act, step
from pregao.simulation.plan import Plan


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One hypothetical trade per bar: decided at its close, entered at the next open, brought to its end.

    Attributes (shape ``(n,)`` each):
        net: net result over the money put in, costs included; NaN where the trade never ended or never opened.
        end: index of the bar in which it ended; -1 where `net` is NaN.
        role: how it ended: `layout.TAKE_PROFIT`, `STOP_LOSS`, `EXIT` (horizon), or 0.
    """

    net: NDArray[np.float64]
    end: NDArray[np.int64]
    role: NDArray[np.int64]


@compiled
def _outcomes(
    plans: Any,
    account: Any,
    orders: Any,
    events: Any,
    scratch: Any,
    open_ns: Any,
    span_ns: int,
    opens: Any,
    highs: Any,
    lows: Any,
    closes: Any,
    signal: int,
    net: Any,
    end: Any,
    role: Any,
) -> None:
    cursor = np.zeros(1, np.int64)
    empty = account[1]
    for i in range(len(closes)):
        net[i] = np.nan
        end[i] = -1
        role[i] = 0
        account[0] = empty
        for k in range(len(orders)):
            if orders[k]["id"] == 0:
                break
            orders[k] = orders[len(orders) - 1]
        account[0]["cash"] = plans[0]["cash"]
        account[0]["last_ticks"] = closes[i]
        account[0]["now_ns"] = open_ns[i] + span_ns
        cursor[0] = 0
        act(account, orders, plans, events, cursor, signal, PPM)
        put_in = 0
        for j in range(i + 1, len(closes)):
            seen = cursor[0]
            step(
                account, orders, plans, events, cursor, scratch,
                open_ns[j], open_ns[j] + span_ns, opens[j], highs[j], lows[j], closes[j],
            )  # fmt: skip
            for e in range(seen, cursor[0]):
                if events[e]["kind"] == layout.FILLED:
                    if put_in == 0:
                        put_in = events[e]["qty_lots"] * events[e]["price_ticks"] * plans[0]["tick_quanta"]
                    else:
                        role[i] = events[e]["role"]
            if account[0]["position_lots"] == 0:
                if put_in > 0:
                    net[i] = (account[0]["cash"] - plans[0]["cash"]) / put_in
                    end[i] = j
                break


def bracket_outcomes(bars: Bars, plan: Plan, side: int = 1) -> Outcomes:
    """The outcome of a bracket trade decided at each bar's close, by the engine's own step, costs included.

    A bar that reaches both exits counts as the loss (the path rule is pessimistic).

    Raises:
        UsageError: if the plan has no exit at all, so that a trade need never end.
    """
    if not (plan.take_profit_ppm or plan.stop_loss_ppm or plan.horizon_bars):
        raise UsageError("A bracket needs a take profit, a stop loss or a horizon.")
    n = len(bars)
    net, end, role = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
    _outcomes(
        plan.record(), np.zeros(2, layout.ACCOUNT), np.zeros(layout.CAPACITY + 1, layout.ORDER),
        np.zeros(3 * layout.ROOM, layout.EVENT), np.zeros(2, layout.ORDER), bars.open_ns, bars.timeframe.ns,
        bars.open, bars.high, bars.low, bars.close, side, net, end, role,
    )  # fmt: skip
    return Outcomes(net, end, role)
