"""Round trips: from a flat account into a position and back, told by the fills."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.simulation import layout
from pregao.simulation.plan import Plan

COLUMNS = (
    "entry_ns", "exit_ns", "side", "quantity", "entry_price", "exit_price", "pnl", "net_return", "fees", "exit_role",
    "exit_rule", "ambiguous",
)  # fmt: skip


def trades_of(events: NDArray[Any], plan: Plan) -> pd.DataFrame:
    """Closed round trips, oldest first.

    Args:
        events: `layout.EVENT` rows of one account in order.
        plan: gives the units.

    Returns:
        Columns: ``entry_ns exit_ns`` (ns UTC), ``side`` (+1 long), ``quantity`` (largest, base units), ``entry_price
        exit_price`` (means, quote units), ``pnl`` (net of fees, quote currency), ``net_return`` (of the money put in),
        ``fees``, ``exit_role`` and ``exit_rule`` of the last fill, ``ambiguous``.
    """
    instrument = plan.instrument
    quantum, lot = float(instrument.quantum), float(instrument.lot_size)
    fills = events[events["kind"] == layout.FILLED]
    rows: list[tuple[object, ...]] = []
    start = 0
    flat = np.flatnonzero(fills["position_lots"] == 0)
    for end in flat:
        part = fills[start : end + 1]
        start = int(end) + 1
        side = int(part["side"][0])
        notional = part["qty_lots"] * part["price_ticks"] * instrument.tick_quanta
        into = part["side"] == side
        paid, received = int(notional[into].sum()), int(notional[~into].sum())
        lots = int(part["qty_lots"][into].sum())
        fees = int(part["fee"].sum())
        pnl = side * (received - paid) - fees
        rows.append((
            int(part["ts_ns"][0]), int(part["ts_ns"][-1]), side, lots * lot,
            paid * quantum / (lots * lot), received * quantum / (lots * lot),
            pnl * quantum, pnl / paid, fees * quantum,
            layout.ROLES[int(part["role"][-1])], layout.RULE_NAMES[int(part["rule"][-1])], bool(part["ambiguous"].any()),
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))
