"""Sending orders so that each arrives once: written down before it is sent, asked after when the answer is lost.

An order gets an id of ours and a time, its stamp, and is on the disk before it goes out. If the answer is lost, or this
process is killed, the broker is asked for the id. Where it has none, the order may still be on its way; but a broker
takes no request whose stamp is older than its window. So it is asked once more when the window is over, and then the
answer is final: nothing is ever sent twice, and nothing is given up that may yet come to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.sessions.brokers.contract import (
    Balance,
    Broker,
    Fill,
    RefusedError,
    Report,
    Request,
    StampError,
    UnknownOutcomeError,
)
from pregao.sessions.brokers.limits import Exposure, Limits, check
from pregao.sessions.brokers.orders import FINAL, Order, Orders

_STAMPS = 3
"""Times on a request that are tried before the clocks are called irreconcilable."""
_MINUTE_MS = 60_000
NOT_SENT = "it was not sent"


class Reconciliation(NamedTuple):
    """What was found when the broker was asked about everything.

    Attributes:
        settled: orders of which more is known now than before.
        fills: executions that were not known.
        strays: client ids of ours that wait at the broker and are in no memory (it was restored from an older copy,
            say): they were cancelled.
        balances: by currency.
    """

    settled: list[Order]
    fills: list[Fill]
    strays: list[str]
    balances: dict[str, Balance]


class Router:
    """Orders of one account on one instrument.

    Args:
        broker: who executes them.
        orders: their memory, of the same account.
        limits: what none of them may break.
        sleep: waits so many seconds.
        own: lots that the limits are to count as held, where the account holds others too; by default all.
    """

    def __init__(
        self,
        broker: Broker,
        orders: Orders,
        limits: Limits,
        sleep: Callable[[float], None] = time.sleep,
        own: Callable[[], int] | None = None,
    ) -> None:
        if orders.broker != broker.name:
            raise UsageError(f"The orders of {orders.broker} are not those of {broker.name}.")
        self.broker, self.orders, self.limits = broker, orders, limits
        self._sleep = sleep
        self._own = own

    def place(self, request: Request, key: str | None = None, value: Decimal | None = None) -> Order:
        """Send an order within the limits.

        Args:
            key: its owner's name for it, see `Orders.write_down`.
            value: what it may spend at the last price, in place of its quantity.

        Returns:
            It, as far as it is known: ``open``, ``filled``, …, or ``rejected`` by the broker with its reason.

        Raises:
            RefusedError: it breaks a limit or a filter; it was not sent and is not remembered.
            PregaoError: the broker cannot be asked whether it arrived; `reconcile` will find out.
        """
        instrument, last = self.broker.instrument, self._last()
        if value is not None:
            request = request._replace(qty_lots=int(value / (last * instrument.tick_size * instrument.lot_size)))
        check(request, self.limits, self.broker.filters, self.exposure(), instrument, last)
        return self._send(self.orders.write_down(request, self.broker.now_ms(), key=key))

    def refresh(self, client_id: str) -> Order:
        """Ask what has become of an order.

        Raises:
            NotFoundError: if it is not ours.
            PregaoError: if the broker does not answer, or does not know it any more.
        """
        order = self._known(client_id)
        return order if order.state in FINAL else self._find_out(order)

    def cancel(self, client_id: str) -> Order:
        """Cancel an order; one that has ended already stays as it ended.

        Raises:
            NotFoundError: if it is not ours.
            PregaoError: if the broker does not say whether it worked; nothing is wrong with asking again.
        """
        order = self._known(client_id)
        if order.state in FINAL:
            return order
        if order.state == "waiting":
            return self.orders.end(order, "never", NOT_SENT)
        if order.state == "sent":
            order = self._find_out(order)
        if order.state in FINAL:
            return order
        try:
            return self.orders.settle(order, self.broker.cancel(client_id))
        except UnknownOutcomeError as error:
            order = self._find_out(order)
            if order.state in FINAL:
                return order
            raise PregaoError(f"{error.message} It still waits.", "Cancel it once more.") from error

    def amend(
        self, client_id: str, price_ticks: int, qty_lots: int | None = None, stop_ticks: int | None = None
    ) -> Order:
        """Another price, another quantity in all, or another stop for an order that rests.

        It is cancelled, and what it has not filled is ordered anew. The new order is written down first, so that a
        crash in between loses nothing: `reconcile` goes on with it.

        Returns:
            The new order; or the old one, if it filled before it could be changed.

        Raises:
            RefusedError: the new order breaks a limit or a filter; the old one stays as it is.
            PregaoError: the old order could not be cancelled for now; `reconcile` goes on with it.
        """
        old = self._known(client_id)
        was = old.request
        if old.state in FINAL or was.kind == "market":
            raise RefusedError("no such order", f"{client_id} is no order that rests: it is {old.state}.")
        stop = was.stop_ticks if stop_ticks is None else stop_ticks
        wanted = was._replace(price_ticks=price_ticks, qty_lots=qty_lots or was.qty_lots, stop_ticks=stop)
        left = old.request.qty_lots - old.filled_lots
        seen = self.exposure()
        seen = seen._replace(waiting=seen.waiting - 1)
        if old.request.side > 0:
            seen = seen._replace(buying_lots=seen.buying_lots - left)
        else:
            seen = seen._replace(selling_lots=seen.selling_lots - left)
        rest = wanted._replace(qty_lots=wanted.qty_lots - old.filled_lots)
        if rest.qty_lots > 0:
            check(rest, self.limits, self.broker.filters, seen, self.broker.instrument, self._last())
        new = self.orders.write_down(wanted, None, replaces=client_id)
        return self._replace(new)

    def reconcile(self) -> Reconciliation:
        """Ask the broker about everything that is not settled, and go on with what a crash interrupted.

        Raises:
            PregaoError: if the broker does not answer; what was found out until then is kept.
        """
        settled = []
        for order in self.orders.unsettled():
            before = order
            if order.state == "waiting":
                order = self._replace(order) if order.replaces else self.orders.end(order, "never", NOT_SENT)
            else:
                order = self._find_out(order)
                if order.state == "never" and (order.request.role == "exit" or order.replaces):
                    # Somebody relies on it. The one that never was has ended, so this one is no second.
                    settled.append(order)
                    order = self._send(self.orders.write_down(order.request, self.broker.now_ms(), order.client_id))
            if order != before:
                settled.append(order)
        fills = self.collect()
        strays = []
        for report in self.broker.open_orders():
            if self.orders.ours(report.client_id) and self.orders.order(report.client_id) is None:
                self.broker.cancel(report.client_id)
                strays.append(report.client_id)
        return Reconciliation(settled, fills, strays, self.broker.balances())

    def collect(self) -> list[Fill]:
        """Executions that were not known, of all orders; each is kept once."""
        new: list[Fill] = []
        while page := self.broker.fills(self.orders.last_fill()):
            new += self.orders.add_fills(page)
        return new

    def exposure(self) -> Exposure:
        """What the account holds and what may still come, the worst assumed of what is not known."""
        instrument = self.broker.instrument
        balance = self.broker.balances().get(instrument.base, Balance(Decimal(0), Decimal(0)))
        waiting = self.orders.unsettled()
        coming = {1: 0, -1: 0}
        for order in waiting:
            coming[order.request.side] += order.request.qty_lots - order.filled_lots
        recent = self.orders.sent_since(self.broker.now_ms() - _MINUTE_MS)
        held = int(balance.total // instrument.lot_size)
        if self._own is not None:
            held = min(held, self._own())
        return Exposure(held, coming[1], coming[-1], len(waiting), recent)

    def _last(self) -> int:
        return self.broker.last_ticks()

    def _known(self, client_id: str) -> Order:
        order = self.orders.order(client_id)
        if order is None:
            raise NotFoundError(f"There is no order {client_id} at {self.broker.name}.")
        return order

    def _send(self, order: Order) -> Order:
        """An order that is written down, with a stamp of now, goes out."""
        for _ in range(_STAMPS):
            assert order.stamp_ms is not None
            try:
                return self.orders.settle(order, self.broker.place(order.client_id, order.request, order.stamp_ms))
            except RefusedError as error:
                return self.orders.settle(order, Report(order.client_id, "rejected", 0, reason=error.message))
            except UnknownOutcomeError:
                return self._find_out(order)
            except StampError:
                self.broker.sync()
                order = self.orders.stamp(order, self.broker.now_ms(), order.request)
        return self.orders.end(order, "never", "the broker's clock and ours cannot be brought together")

    def _find_out(self, order: Order) -> Order:
        """What became of an order that may have arrived."""
        report = self.broker.order(order.client_id)
        if report is None and order.state == "sent":
            assert order.stamp_ms is not None
            left = order.stamp_ms + self.broker.window_ms - self.broker.now_ms()
            if left >= 0:
                self._sleep((left + 1) / 1_000)
            report = self.broker.order(order.client_id)
        if report is not None:
            return self.orders.settle(order, report)
        if order.state == "open":
            raise PregaoError(
                f"{self.broker.name} does not know {order.client_id} any more, which was waiting there.",
                "Look at the account in the broker's own pages before you go on.",
            )
        return self.orders.end(order, "never", "it never arrived")

    def _replace(self, new: Order) -> Order:
        """End the order that another one replaces, then send the new one for what is left."""
        assert new.replaces is not None
        old = self.cancel(new.replaces)
        left = new.request.qty_lots - old.filled_lots
        if left <= 0 or old.state == "filled":
            self.orders.end(new, "never", f"{old.client_id} filled before it could be changed")
            return old
        return self._send(self.orders.stamp(new, self.broker.now_ms(), new.request._replace(qty_lots=left)))
