"""Round trips told fill by fill, as `pregao.simulation.trades` tells them of a whole history."""

from __future__ import annotations

from typing import Any

from pregao.sessions.records import Trade
from pregao.simulation.events import Event


class RoundTrips:
    """From no position in an instrument into one and back. Only the open trip is kept.

    Args:
        tick_quanta: quanta in one tick of one lot.

    Attributes:
        count, wins: closed trips, and those of them that won.
        pnl: of all of them, net of fees, in quanta.
    """

    def __init__(self, tick_quanta: int) -> None:
        self._tick_quanta = tick_quanta
        self.count = 0
        self.wins = 0
        self.pnl = 0
        self._open: dict[str, Any] | None = None

    def fill(self, event: Event) -> Trade | None:
        """Take a fill in; returns the trip that it closed, if it did."""
        trip = self._open
        if trip is None:
            trip = self._open = {
                "entry_ns": event.ts_ns, "side": event.side, "lots": 0, "paid": 0, "received": 0, "fees": 0,
                "ambiguous": False,
            }  # fmt: skip
        notional = event.qty_lots * event.price_ticks * self._tick_quanta
        if event.side == trip["side"]:
            trip["lots"] += event.qty_lots
            trip["paid"] += notional
        else:
            trip["received"] += notional
        trip["received"] += event.amount_quanta  # a fee taken in kind counts as sold
        trip["fees"] += event.fee_quanta
        trip["ambiguous"] = trip["ambiguous"] or event.ambiguous
        if event.position_lots != 0:
            return None
        self._open = None
        pnl = trip["side"] * (trip["received"] - trip["paid"]) - trip["fees"]
        self.count += 1
        self.wins += pnl > 0
        self.pnl += pnl
        return Trade(
            self.count, trip["entry_ns"], event.ts_ns, trip["side"], trip["lots"], trip["paid"], trip["received"],
            trip["fees"], pnl, event.role, event.rule, trip["ambiguous"],
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """As JSON, for a snapshot."""
        return {"count": self.count, "wins": self.wins, "pnl": self.pnl, "open": self._open}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.count, self.wins, self.pnl, self._open = (state[name] for name in ("count", "wins", "pnl", "open"))
