"""The tape: bars as the compiled drivers read them."""

from __future__ import annotations

from typing import Any, NamedTuple


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
