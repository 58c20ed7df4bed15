"""The tape: bars as the compiled drivers read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.simulation.actions import ACTION

NO_FINE = np.zeros((0, 2), np.int64)
NO_FINE_BARS = np.zeros((0, 6), np.int64)
_NO_INTS = np.zeros(0, np.int64)


class Tape(NamedTuple):
    """Bars in the order in which they come, one row each; prices in ticks, volume in base units.

    Attributes:
        book: instrument of each row; empty if there is only one.
        live: 1 where its exchange is open; empty if it always is.
        fine: first row and end of each bar's finer bars, shape ``(n, 2)``; empty without finer bars.
        fine_bars: open, high, low, close, open time and close time of the finer bars, int64, shape ``(m, 6)``.
        actions: `actions.ACTION` of all instruments of the account, those of each ascending in time.
        span_ns: length of the bars.
        even: 1 if each bar opens as the one before it closes, so that times need not be looked up.
    """

    book: Any
    live: Any
    open_ns: Any
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    fine: Any
    fine_bars: Any
    actions: Any
    span_ns: Any
    even: Any


def tape_of(
    bars: Bars,
    live_rows: NDArray[np.bool_] | NDArray[np.int8] | None = None,
    finer: Bars | None = None,
    actions: NDArray[Any] | None = None,
) -> Tape:
    """The bars of one instrument as the compiled drivers read them.

    Args:
        live_rows: true where the exchange is open, shape ``(n,)``; None is always.
        finer: bars of the same instrument with a shorter timeframe, which tell the path within each bar.
        actions: the account's table, see `world.build`.
    """
    fine, fine_bars = NO_FINE, NO_FINE_BARS
    if finer is not None:
        fine = np.stack([np.searchsorted(finer.open_ns, edge) for edge in (bars.open_ns, bars.close_ns)], axis=1)
        fine = np.ascontiguousarray(fine, np.int64)
        fine_bars = np.ascontiguousarray(
            np.stack([finer.open, finer.high, finer.low, finer.close, finer.open_ns, finer.close_ns], axis=1), np.int64
        )
    table = np.zeros(0, ACTION) if actions is None else actions
    return Tape(
        book=_NO_INTS,
        live=np.zeros(0, np.int8) if live_rows is None else np.ascontiguousarray(live_rows, np.int8),
        open_ns=np.ascontiguousarray(bars.open_ns),
        open=np.ascontiguousarray(bars.open),
        high=np.ascontiguousarray(bars.high),
        low=np.ascontiguousarray(bars.low),
        close=np.ascontiguousarray(bars.close),
        volume=np.ascontiguousarray(bars.volume),
        fine=fine,
        fine_bars=fine_bars,
        actions=table,
        span_ns=bars.timeframe.ns,
        even=int(len(bars) > 0 and bars.open_ns[-1] - bars.open_ns[0] == (len(bars) - 1) * bars.timeframe.ns),
    )
