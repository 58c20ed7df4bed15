"""The durable memory of orders: each is written down, and on the disk, before it is sent."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pregao.core.errors import PregaoError
from pregao.sessions.brokers.contract import Fill, Report, Request
from pregao.sessions.schema import broker_fills, broker_orders

State = Literal["waiting", "sent", "open", "filled", "cancelled", "rejected", "expired", "never"]
"""``waiting``: written down, not sent yet. ``sent``: perhaps it arrived. ``never``: it cannot arrive any more. What the
broker says of it otherwise."""
FINAL = ("filled", "cancelled", "rejected", "expired", "never")


class Order(NamedTuple):
    """An order as we know it.

    Attributes:
        number: 1, 2, … within the broker's account.
        stamp_ms: the time on the request, by the broker's clock; None while it waits.
        replaces: client id of the order that must have ended before this one may be sent.
    """

    client_id: str
    number: int
    request: Request
    state: State
    stamp_ms: int | None = None
    broker_id: str = ""
    filled_lots: int = 0
    reason: str = ""
    replaces: str | None = None


class Orders:
    """All orders ever asked of one broker's account, and its executions.

    Args:
        engine: the sessions' database, see `pregao.sessions.database.open_database`.
        broker: the name of the account, `contract.Broker.name`.
    """

    def __init__(self, engine: Engine, broker: str) -> None:
        self.broker = broker
        self._engine = engine
        self._prefix = "pg" + hashlib.sha256(broker.encode()).hexdigest()[:10]

    def ours(self, client_id: str) -> bool:
        """Whether a client id is of the form that is given here."""
        return client_id.startswith(self._prefix + "-")

    def name(self, key: str) -> str:
        """The client id of an order that its owner calls ``key``: letters, digits and ``-``, at most 20 of them."""
        return f"{self._prefix}-{key}"

    def write_down(
        self, request: Request, stamp_ms: int | None, replaces: str | None = None, key: str | None = None
    ) -> Order:
        """A new order with an id of its own; on the disk when this returns.

        Args:
            stamp_ms: the time on the request, which will be sent at once; None if it waits for another to end.
            key: its owner's name for it: there is one order of that name, ever; by default it is numbered.

        Raises:
            PregaoError: if another process writes orders of the same account.
        """
        state: State = "waiting" if stamp_ms is None else "sent"
        try:
            with self._write() as connection:
                of_broker = broker_orders.c.broker == self.broker
                last = connection.scalar(select(func.max(broker_orders.c.number)).where(of_broker)) or 0
                client_id = self.name(key or str(last + 1))
                order = Order(client_id, last + 1, request, state, stamp_ms, replaces=replaces)
                connection.execute(insert(broker_orders).values(broker=self.broker, **_row(order)))
        except IntegrityError as error:
            raise PregaoError(
                f"Another process sends orders to {self.broker}.", "Stop one of the two: an account has one owner."
            ) from error
        return order

    def stamp(self, order: Order, stamp_ms: int, request: Request) -> Order:
        """An order is about to be sent, with this time on it, for what is left to do."""
        return self._change(order, order._replace(state="sent", stamp_ms=stamp_ms, request=request))

    def settle(self, order: Order, report: Report) -> Order:
        """What the broker said of an order."""
        return self._change(
            order,
            order._replace(
                state=report.status,
                broker_id=report.broker_id or order.broker_id,
                filled_lots=max(report.filled_lots, order.filled_lots),
                reason=report.reason,
            ),
        )

    def end(self, order: Order, state: State, reason: str) -> Order:
        """An order ended without the broker: it never arrived, or was not sent."""
        return self._change(order, order._replace(state=state, reason=reason))

    def order(self, client_id: str) -> Order | None:
        """One of them."""
        found = self._select(broker_orders.c.client_id == client_id)
        return found[0] if found else None

    def chain(self, client_id: str) -> list[Order]:
        """An order and those that came in its place, one after another; empty if it is not known."""
        found = self._select(broker_orders.c.client_id == client_id)
        while found:
            after = self._select(broker_orders.c.replaces == found[-1].client_id)
            if not after:
                break
            found.append(after[-1])
        return found

    def all(self) -> list[Order]:
        """In their order."""
        return self._select()

    def unsettled(self) -> list[Order]:
        """Those that have not ended, in their order."""
        return self._select(broker_orders.c.state.not_in(FINAL))

    def sent_since(self, ms: int) -> int:
        """How many have a stamp later than this."""
        return len(self._select(broker_orders.c.stamp_ms > ms))

    def add_fills(self, fills: list[Fill]) -> list[Fill]:
        """Keep executions; those that were not known before."""
        new = []
        with self._write() as connection:
            for fill in fills:
                known = (broker_fills.c.broker == self.broker) & (broker_fills.c.number == fill.number)
                if connection.scalar(select(broker_fills.c.number).where(known)) is not None:
                    continue
                values = fill._asdict() | {"fee": str(fill.fee), "broker": self.broker}
                connection.execute(insert(broker_fills).values(values))
                new.append(fill)
        return new

    def last_fill(self) -> int:
        """The highest number of an execution; 0 if there is none."""
        with self._engine.connect() as connection:
            of_broker = broker_fills.c.broker == self.broker
            return connection.scalar(select(func.max(broker_fills.c.number)).where(of_broker)) or 0

    def fills(self, client_id: str | None = None) -> list[Fill]:
        """All executions, or those of one order, ascending."""
        query = select(broker_fills).where(broker_fills.c.broker == self.broker).order_by(broker_fills.c.number)
        if client_id is not None:
            order = self.order(client_id)
            query = query.where(broker_fills.c.broker_id.in_(order.broker_id.split("/") if order else []))
        with self._engine.connect() as connection:
            rows = _rows(connection, query)
        return [Fill(**{name: r[name] for name in Fill._fields} | {"fee": Decimal(r["fee"])}) for r in rows]

    def _write(self) -> Any:
        return self._engine.execution_options(writes=True).begin()

    def _change(self, before: Order, order: Order) -> Order:
        """Keep what is known now, if nobody else has learnt or done something meanwhile: a process that slept, and
        whose place another one has taken, must not send what that one has given up."""
        o = broker_orders.c
        as_it_was = (o.client_id == before.client_id) & (o.state == before.state)
        as_it_was &= o.stamp_ms.is_(None) if before.stamp_ms is None else o.stamp_ms == before.stamp_ms
        with self._write() as connection:
            if connection.execute(update(broker_orders).where(as_it_was).values(_row(order))).rowcount == 0:
                raise PregaoError(
                    f"Another process has dealt with {order.client_id} of {self.broker}.",
                    "Stop one of the two: an account has one owner.",
                )
        return order

    def _select(self, *conditions: Any) -> list[Order]:
        query = select(broker_orders).where(broker_orders.c.broker == self.broker, *conditions)
        with self._engine.connect() as connection:
            return [_order(row) for row in _rows(connection, query.order_by(broker_orders.c.number))]


def _rows(connection: Connection, query: Any) -> list[Any]:
    return list(connection.execute(query).mappings())


def _row(order: Order) -> dict[str, Any]:
    return order._asdict() | {"request": json.dumps(order.request._asdict(), sort_keys=True)}


def _order(row: Any) -> Order:
    values = {name: row[name] for name in Order._fields}
    return Order(**values | {"request": Request(**json.loads(row["request"]))})
