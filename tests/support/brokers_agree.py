"""Two memories of the same orders, ours and the exchange's."""

from __future__ import annotations

STATES = {"NEW": "open", "PARTIALLY_FILLED": "open", "FILLED": "filled", "CANCELED": "cancelled", "EXPIRED": "expired"}


def agree(account, router) -> None:
    """Our memory is the exchange's, order by order and fill by fill."""
    ours = {o.client_id: o for o in router.orders.all()}
    for theirs in account.orders:
        assert len(account.by_client_id(theirs.client_id)) == 1, "an order is doubled"
        known = ours[theirs.client_id]
        assert (known.state, known.filled_lots, known.broker_id) == (
            STATES[theirs.status],
            theirs.done,
            str(theirs.id),
        ), known
    for order in ours.values():
        if order.state not in ("rejected", "never"):
            assert account.by_client_id(order.client_id), f"{order} is lost"
    numbers = [fill.number for fill in router.orders.fills()]
    assert numbers == [trade["id"] for trade in account.trades]
    for theirs in account.orders:
        assert sum(f.qty_lots for f in router.orders.fills(theirs.client_id)) == theirs.done
