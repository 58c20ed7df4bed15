"""Two lists of trades, one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CENT = 0.005
"""Half a cent: what is less is the same to the cent."""
TIGHT = 2e-8
"""Prices nearer than this are the same: the grid that our engine is run on is 1e-8."""


@dataclass(frozen=True)
class Comparison:
    """What differs between the trades of two engines.

    Attributes:
        trades: how many each has, open ones included.
        same: how many are the same in bars, prices, size and profit to the cent.
        first: the first that differs, in words; empty if none.
        pnl: the largest difference of the profit of a trade that both have.
        price: the largest difference of an entry's or exit's price of a trade that both have.
    """

    trades: tuple[int, int]
    same: int
    first: str
    pnl: float
    price: float

    @property
    def equal(self) -> bool:
        """Whether every trade is the same."""
        return not self.first


def told(trade: np.void) -> str:
    """A trade in words."""
    return (
        f"{'long' if trade['size'] > 0 else 'short'} {abs(trade['size']):g} of instrument {trade['symbol']}, in at bar "
        f"{trade['entry']} at {trade['entry_price']:.8g}, out at {trade['exit']} at {trade['exit_price']:.8g}, "
        f"profit {trade['pnl']:.4f}"
    )


def keys(trades: np.ndarray) -> np.ndarray:
    """Instrument, bar of entry, and a number that tells apart what was entered in the same bar; of sorted trades."""
    found = np.zeros(len(trades), [("symbol", np.int64), ("entry", np.int64), ("again", np.int64)])
    found["symbol"], found["entry"] = trades["symbol"], trades["entry"]
    for i in range(1, len(found)):
        if found[["symbol", "entry"]][i] == found[["symbol", "entry"]][i - 1]:
            found["again"][i] = found["again"][i - 1] + 1
    return found


def compare(theirs: np.ndarray, ours: np.ndarray) -> Comparison:
    """Match trades by instrument and bar of entry (``TRADE`` arrays) and tell what differs."""
    theirs, ours = (np.sort(t, order=["symbol", "entry", "exit"]) for t in (theirs, ours))
    _, left, right = np.intersect1d(keys(theirs), keys(ours), return_indices=True)
    a, b = theirs[left], ours[right]
    wrong = (
        (a["symbol"] != b["symbol"]) | (a["entry"] != b["entry"]) | (a["exit"] != b["exit"]) | (a["size"] != b["size"])
        | (np.abs(a["entry_price"] - b["entry_price"]) > TIGHT) | (np.abs(a["exit_price"] - b["exit_price"]) > TIGHT)
        | (np.abs(a["pnl"] - b["pnl"]) > CENT)
    )  # fmt: skip
    first = ""
    if wrong.any():
        i = int(np.argmax(wrong))
        first = f"theirs: {told(a[i])}; ours: {told(b[i])}"
    elif len(theirs) > len(left):
        first = f"only theirs: {told(np.delete(theirs, left)[0])}"
    elif len(ours) > len(right):
        first = f"only ours: {told(np.delete(ours, right)[0])}"
    return Comparison(
        (len(theirs), len(ours)),
        int((~wrong).sum()),
        first,
        float(np.abs(a["pnl"] - b["pnl"]).max(initial=0.0)),
        float(max(np.abs(a[k] - b[k]).max(initial=0.0) for k in ("entry_price", "exit_price"))),
    )
