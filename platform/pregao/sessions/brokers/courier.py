"""Between a session and its exchange: brings what it wants there, and brings back what became of it.

It works in a thread of its own, so that a session never waits for an exchange. All of it is by level, not by step: a
visit at a market looks at the orders that the session wants there, as its journal has them, at the durable memory of
those that were sent (`orders`), and at the exchange, and does what is missing. A visit that was cut off anywhere, with
the process or the line, is simply done again: the client id of an order follows from the session and the order's
number, so that it is sent once. The markets of a session are visited in turn, so that no one of them holds up another.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine

from pregao.core.errors import PregaoError, UsageError
from pregao.sessions.brokers.contract import Broker, Fill, RefusedError, Request
from pregao.sessions.brokers.limits import Limits
from pregao.sessions.brokers.operation import Want
from pregao.sessions.brokers.orders import FINAL, Order, Orders, State
from pregao.sessions.brokers.router import NOT_SENT, Router
from pregao.sessions.records import Body
from pregao.sessions.writer import LOST

POLL_S = 1.0
"""While orders are there the exchange is asked this often; of more than `_AT_ONCE` markets more seldom, so that all of
them together ask for no more than so many do: an exchange grants only so much a minute."""
_AT_ONCE = 4
_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0)
_WAITING = ("waiting", "sent")


class _LetGoError(PregaoError):
    """The courier is to end while it waits: what it was about to find out is found out by the next one."""


class Stand(NamedTuple):
    """How a session stands in one of its markets, as its journal has it.

    Attributes:
        wants: the orders that it wants to be there.
        lots: that it holds.
        limits: what none of its orders may break now.
        name: of the account and the market that it trades on; empty before that was known.
        away: it has been told that the exchange is not heard.
    """

    wants: tuple[Want, ...]
    lots: int
    limits: Limits
    name: str
    away: bool


class _Line:
    """To one market: the way there, and when it may be tried again after it has failed so many times."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.router: Router | None = None
        self.failures = 0
        self.due_s = 0.0


class Courier:
    """One session's way to its exchange.

    Args:
        connect: opens the line to a market, by its place in the session. `UsageError` ends the session, other
            `PregaoError`s are waited out.
        engine: the sessions' database.
        session_id: whose.
        stands: how the session stands in each of its markets at first.
        mine: whether this process still owns the session.
    """

    def __init__(
        self,
        connect: Callable[[int], Broker],
        engine: Engine,
        session_id: str,
        stands: Sequence[Stand],
        mine: Callable[[], bool],
    ) -> None:
        self._connect, self._engine, self._mine = connect, engine, mine
        self._owner = hashlib.sha256(session_id.encode()).hexdigest()[:8]
        self._lines = [_Line(number) for number in range(len(stands))]
        self._first = 0
        self._stands = stands
        self._news: Body | None = None
        self._taken = False
        self._failed: Exception | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier of {session_id}", daemon=True)
        self._thread.start()

    def update(self, stands: Sequence[Stand]) -> None:
        """How the session stands now, all of it journaled."""
        with self._changed:
            self._stands = stands
            self._news, self._taken = None, False  # what was not taken is found again
            self._changed.notify_all()

    def take(self) -> Body | None:
        """What has happened, to be journaled before `update` is called; None if nothing has.

        Its ``state`` is ``joined``, ``away`` or ``back``, with the place ``b`` of the market if it is not the first; or
        ``told``, with ``orders`` of any.

        Raises:
            PregaoError: if the session cannot go on at this exchange.
        """
        with self._changed:
            if self._failed is not None:
                raise self._failed
            news, self._news = self._news, None
            self._taken = self._taken or news is not None
            return news

    def close(self) -> None:
        """Let go; may be called twice."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(10.0)

    # In the thread

    def _run(self) -> None:
        seen: Sequence[Stand] | None = None
        try:
            while not self._closing.is_set():
                with self._changed:
                    if self._taken or self._news is not None:
                        self._changed.wait(POLL_S)
                        continue
                    if seen is self._stands:  # nothing else is wanted, but it is time to ask
                        self._changed.wait(POLL_S * max(1.0, sum(bool(s.wants) for s in seen) / _AT_ONCE))
                    seen = stands = self._stands
                self._give(stands, self._round(stands))
        except _LetGoError:
            return
        except Exception as error:  # whatever it is, the session's runner gets it
            with self._changed:
                self._failed = error

    def _give(self, stands: Sequence[Stand], news: Body | None) -> None:
        """News for the session, unless it stands otherwise by now: then they are looked for again."""
        with self._changed:
            if stands is self._stands:
                self._news = news

    def _round(self, stands: Sequence[Stand]) -> Body | None:
        """Visit the markets, each time another one first, until there are news."""
        for line in self._lines[self._first :] + self._lines[: self._first]:
            if self._closing.is_set() or time.monotonic() < line.due_s:
                continue
            news = self._tried(line, stands[line.number])
            if news is not None:
                self._first = (line.number + 1) % len(self._lines)
                return news | ({"b": line.number} if line.number and "orders" not in news else {})
        return None

    def _tried(self, line: _Line, stand: Stand) -> Body | None:
        """Visit a market; that it cannot be reached is news, too."""
        try:
            if not self._mine():
                raise _LetGoError("let go")
            news = self._visit(line, stand)
        except _LetGoError:
            raise
        except (PregaoError, *LOST) as error:
            if isinstance(error, UsageError) and not isinstance(error, RefusedError):
                raise
            line.due_s = time.monotonic() + _PAUSES_S[min(line.failures, len(_PAUSES_S) - 1)]
            line.failures += 1
            said = error.message if isinstance(error, PregaoError) else str(error.orig)
            return None if stand.away else {"state": "away", "reason": said}
        line.failures = 0
        return news

    def _joined(self, line: _Line, stand: Stand) -> Router:
        """The line, and that it is the same account as ever."""
        if line.router is None:
            broker = self._connect(line.number)
            if stand.name and broker.name != stand.name:
                raise UsageError(
                    f"The session trades on {stand.name}, and the credentials now are those of {broker.name}.",
                    "Bring the credentials of its account back.",
                )
            orders, number = Orders(self._engine, broker.name), line.number
            line.router = Router(broker, orders, stand.limits, self._sleep, lambda: self._stands[number].lots)
        return line.router

    def _sleep(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise _LetGoError("let go")

    def _visit(self, line: _Line, stand: Stand) -> Body | None:
        """Do what is missing; what the session does not know yet."""
        router = self._joined(line, stand)
        if not stand.name:
            return {"state": "joined", "name": router.broker.name}
        router.limits = stand.limits
        if any(order.state in _WAITING for order in router.orders.unsettled()):
            router.reconcile()
        wants = [want for want in stand.wants if not want.waits]
        for want in wants:
            self._carry(router, want)
        if any(self._unheard_of(router.orders, want) for want in wants):
            router.collect()
        if stand.away:  # first, since what is told may end the session
            return {"state": "back"}
        told = [news for want in wants if (news := self._of(router.orders, want))]
        return {"state": "told", "orders": told} if told else None

    def _key(self, want: Want) -> str:
        return f"{self._owner}-{want.number}"

    def _carry(self, router: Router, want: Want) -> None:
        """Bring one order to where the session wants it."""
        orders = router.orders
        chain = orders.chain(orders.name(self._key(want)))
        if not chain:
            self._send(router, want)
            return
        order = _last(chain)
        if order.state in FINAL:
            return
        request = order.request
        if want.ending:
            router.cancel(order.client_id)
        elif want.role == "bracket" and (request.price_ticks, request.stop_ticks) != (
            want.profit_ticks,
            want.stop_ticks,
        ):
            try:
                router.amend(order.client_id, want.profit_ticks, stop_ticks=want.stop_ticks)
            except RefusedError:
                router.refresh(order.client_id)  # the one that is there stays
        else:
            router.refresh(order.client_id)

    def _send(self, router: Router, want: Want) -> None:
        key, request, value = self._key(want), _request(want), None
        if want.ending:
            self._never(router.orders, want, "never", NOT_SENT)
            return
        if want.role == "entry":
            value = want.value_quanta * router.broker.instrument.quantum
        try:
            router.place(request, key, value)
        except RefusedError as error:
            self._never(router.orders, want, "rejected", error.message)

    def _never(self, orders: Orders, want: Want, state: State, reason: str) -> None:
        """Nobody is to send it any more, also not a process that slept and has not heard of it."""
        orders.end(orders.write_down(_request(want), None, key=self._key(want)), state, reason)

    def _unheard_of(self, orders: Orders, want: Want) -> bool:
        """Whether executions of an order are missing here: they are asked for only then, since that costs most."""
        chain = orders.chain(orders.name(self._key(want)))
        known = sum(fill.qty_lots for each in chain for fill in orders.fills(each.client_id))
        return sum(each.filled_lots for each in chain) > known

    def _of(self, orders: Orders, want: Want) -> Body | None:
        """What the session does not know of an order; its end is told with the last of its fills."""
        chain = orders.chain(orders.name(self._key(want)))
        if not chain:
            return None
        order = _last(chain)
        stops = {each.broker_id.partition("/")[2] for each in chain} - {""}
        fills = [fill for each in chain for fill in orders.fills(each.client_id) if fill.number > want.last_fill]
        fills.sort(key=lambda fill: fill.number)
        known = want.filled_lots + sum(fill.qty_lots for fill in fills)
        ended = order.state in FINAL and known >= sum(each.filled_lots for each in chain)
        if not fills and not ended:
            return None
        return {
            "id": want.number, "state": order.state if ended else "open", "reason": order.reason if ended else "",
            "fills": [_fill(fill, want, stops) for fill in fills],
        }  # fmt: skip


def _last(chain: Sequence[Order]) -> Order:
    """The order of a chain that counts: the last that may have been sent."""
    return next((order for order in reversed(chain) if order.state != "never"), chain[-1])


def _request(want: Want) -> Request:
    if want.role == "entry":
        return Request("entry", 1, "market", 0)
    if want.role == "exit":
        return Request("exit", -1, "market", want.lots)
    return Request("exit", -1, "bracket", want.lots, want.profit_ticks, stop_ticks=want.stop_ticks)


def _fill(fill: Fill, want: Want, stops: set[str]) -> Body:
    role = want.role if want.role != "bracket" else "stop_loss" if fill.broker_id in stops else "take_profit"
    told: dict[str, Any] = {
        "n": fill.number, "ms": fill.ts_ms, "role": role, "side": fill.side, "qty": fill.qty_lots,
        "price": fill.price_ticks, "fee": str(fill.fee), "fee_in": fill.fee_currency, "maker": fill.maker,
    }  # fmt: skip
    return told
