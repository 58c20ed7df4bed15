"""Round trips: from a flat account into a position and back, told by the fills."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.simulation import layout
from pregao.simulation.plan import Plan


def trades_of(events: NDArray[Any], plan: Plan, quantum: Decimal | None = None) -> pd.DataFrame:
    """Closed round trips, oldest first.

    Args:
        events: `layout.EVENT` rows of one instrument in order.
        plan: gives the units.
        quantum: of the fees in the events: the account's unit of the quote currency, where that is finer than the
            instrument's own because another instrument in the account needs it.

    Returns:
        Columns: ``entry_ns exit_ns`` (ns UTC), ``side`` (+1 long), ``quantity`` (largest, base units), ``entry_price
        exit_price`` (means, quote units), ``pnl`` (net of fees, quote currency), ``net_return`` (of the money put in),
        ``fees``, ``exit_role`` and ``exit_rule`` of the last fill, ``ambiguous``.
    """
    instrument = plan.instrument
    unit, lot = float(quantum or instrument.quantum), float(instrument.lot_size)
    scale = int(instrument.quantum / quantum) if quantum else 1
    at = np.flatnonzero(events["kind"] == layout.FILLED)
    last = np.flatnonzero(events["position_lots"][at] == 0)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)].astype(np.int64)
    at = at[: last[-1] + 1] if len(last) else at[:0]
    trade = np.repeat(np.arange(len(last)), last - first + 1)
    columns = ("side", "qty_lots", "price_ticks", "fee", "ts_ns", "role", "rule", "ambiguous")
    fills = {name: events[name][at].astype(np.int64, copy=False) for name in columns}
    side = fills["side"][first]
    into = fills["side"] == side[trade]
    notional = fills["qty_lots"] * fills["price_ticks"] * (instrument.tick_quanta * scale)

    def total(values: NDArray[Any]) -> NDArray[np.int64]:
        """The sum over the fills of each trade, exact."""
        return np.asarray(np.add.reduceat(values, first) if len(first) else np.zeros(0), np.int64)

    paid, received = total(np.where(into, notional, 0)), total(np.where(into, 0, notional))
    lots, fees = total(np.where(into, fills["qty_lots"], 0)), total(fills["fee"])
    pnl = side * (received - paid) - fees
    quantity = lots * lot
    return pd.DataFrame({
        "entry_ns": fills["ts_ns"][first],
        "exit_ns": fills["ts_ns"][last],
        "side": side,
        "quantity": quantity,
        "entry_price": paid * unit / quantity,
        "exit_price": received * unit / quantity,
        "pnl": pnl * unit,
        "net_return": pnl / paid,
        "fees": fees * unit,
        "exit_role": names(layout.ROLES, fills["role"][last]),
        "exit_rule": names(layout.RULE_NAMES, fills["rule"][last]),
        "ambiguous": total(fills["ambiguous"]) > 0,
    }, copy=False)  # fmt: skip


def names(table: Mapping[int, str], codes: NDArray[Any]) -> pd.api.extensions.ExtensionArray:
    """What `layout` calls each of these codes, as a column of texts."""
    return _texts(tuple(table.get(code, "") for code in range(max(table) + 1))).take(codes)


@cache
def _texts(texts: tuple[str, ...]) -> pd.api.extensions.ExtensionArray:
    return pd.array(texts, dtype="str")
