"""Events as Python has them, and as rows of `layout.EVENT`, which the compiled step writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.simulation import layout


class Event(NamedTuple):
    """What happened to an order or a position, and why. Prices in ticks, quantities in lots, money in quanta.

    ``kind`` is accepted, fill, cancelled, rejected, amended, triggered (a stop-limit order became a limit order),
    funding, dividend, interest, split or converted; ``role`` entry, take_profit, stop_loss, exit, liquidation or empty.

    Of a fill: ``rule`` is open, gap, path, finer or close; ``reference_ticks`` the price before ``slippage_ticks``, of
    which ``spread_ticks`` and ``impact_ticks`` are parts; ``liquidity`` maker or taker, ``tier`` the fee tier (0 is the
    first); ``ambiguous`` marks an exit in a bar that reached the other exit too. ``position_lots`` and ``cash_quanta``
    (quote currency) are those after the event. ``amount_quanta`` is what funding and the like paid in (negative: out).
    ``book`` is the instrument's place in the account.
    """

    kind: str
    order_id: int
    ts_ns: int
    order_kind: str
    role: str
    side: int
    qty_lots: int
    price_ticks: int
    reference_ticks: int
    slippage_ticks: int
    fee_quanta: int
    realised_quanta: int
    position_lots: int
    cash_quanta: int
    rule: str
    reason: str
    ambiguous: bool
    spread_ticks: int = 0
    impact_ticks: int = 0
    liquidity: str = ""
    tier: int = 0
    amount_quanta: int = 0
    book: int = 0


def event_of(row: Any) -> Event:
    """One row of `layout.EVENT` as an `Event`."""
    (
        order_id, ts, qty, price, reference, slip, spread, impact, fee, realised, position, cash, amount, book, tier,
        kind, order_kind, role, side, rule, why, liquidity, ambiguous,
    ) = row.item()  # fmt: skip
    return Event(
        layout.EVENT_KINDS[kind], order_id, ts, layout.ORDER_KINDS[order_kind], layout.ROLES[role], side, qty, price,
        reference, slip, fee, realised, position, cash, layout.RULE_NAMES[rule], layout.REASONS[why], bool(ambiguous),
        spread, impact, layout.LIQUIDITY[liquidity], tier, amount, book,
    )  # fmt: skip


_CODES = {
    name: {text: code for code, text in names.items()}
    for name, names in {
        "kind": layout.EVENT_KINDS,
        "order_kind": layout.ORDER_KINDS,
        "role": layout.ROLES,
        "rule": layout.RULE_NAMES,
        "reason": layout.REASONS,
        "liquidity": layout.LIQUIDITY,
    }.items()
}

_COLUMNS = tuple(layout.EVENT.names or ())


def rows_of(events: Sequence[Event]) -> NDArray[Any]:
    """Events as rows of `layout.EVENT`, the same bytes that the compiled driver writes."""
    rows = np.zeros(len(events), layout.EVENT)
    for i, event in enumerate(events):
        told = {name.removesuffix("_quanta"): value for name, value in event._asdict().items()}
        rows[i] = tuple(_CODES[name][told[name]] if name in _CODES else told[name] for name in _COLUMNS)
    return rows


def empty_log() -> NDArray[Any]:
    """A `layout.LOG` without rows in use, shape ``(1,)``; its memory, of some MB, is not touched before it is used."""
    log = np.empty(1, layout.LOG)
    log["count"] = 0
    return log


def drain(log: NDArray[Any]) -> NDArray[Any]:
    """The rows of a log, which is then empty; they are valid until the next step."""
    count = int(log[0]["count"])
    log[0]["count"] = 0
    rows: NDArray[Any] = log[0]["events"][:count]
    return rows
