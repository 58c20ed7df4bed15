"""The simulation engine as a broker: the same seam, simulated money."""

from __future__ import annotations

from decimal import Decimal

from pregao.core.instrument import Instrument
from pregao.sessions.brokers.contract import Balance, Fill, Filters, RefusedError, Report, Request, Status
from pregao.simulation import layout
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event

_KINDS = {"market": layout.MARKET, "limit": layout.LIMIT}
_TIFS = {text: code for code, text in layout.TIMES_IN_FORCE.items()}
_ENDED: dict[str, Status] = {"expired": "expired", "not filled at once": "expired"}
_MOST_LOTS, _MOST_TICKS = 2**31 - 1, 2**52 - 1


class Paper:
    """An engine's account on its only instrument; implements `contract.Broker`.

    Nothing is lost on the way to it, so its window is 0. Whoever drives the engine tells what happened: `hear`.
    """

    def __init__(self, engine: Engine, name: str = "paper") -> None:
        self._engine = engine
        self._name = name
        self._ids: dict[str, int] = {}
        self._reports: dict[int, Report] = {}
        self._lots: dict[int, int] = {}
        self._fills: list[Fill] = []

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def instrument(self) -> Instrument:
        """The account's."""
        return self._engine.plan.instrument

    @property
    def filters(self) -> Filters:
        """The instrument's rules, and what the engine can count."""
        return Filters(1, _MOST_LOTS, 1, _MOST_TICKS, self.instrument.min_notional)

    @property
    def window_ms(self) -> int:
        """None: an order is there when `place` returns."""
        return 0

    def now_ms(self) -> int:
        """The close of the last bar."""
        return self._engine.account.now_ns // 1_000_000

    def sync(self) -> None:
        """Nothing to do: there is one clock."""

    def last_ticks(self) -> int:
        """The last close."""
        return self._engine.account.last_ticks

    def place(self, client_id: str, request: Request, stamp_ms: int) -> Report:
        """See `contract.Broker.place`; it fills from the next bar on."""
        if client_id in self._ids:
            raise RefusedError("duplicate", f"There was an order {client_id} already.")
        events = self._engine.submit(
            _KINDS[request.kind], request.side, qty_lots=request.qty_lots, price_ticks=request.price_ticks,
            tif=_TIFS[request.tif], post_only=request.post_only, reduce_only=request.role == "exit",
        )  # fmt: skip
        said = events[0]
        if said.kind == "rejected":
            raise RefusedError(said.reason, f"The order was rejected: {said.reason}.")
        self._ids[client_id] = said.order_id
        self._lots[said.order_id] = request.qty_lots
        self._reports[said.order_id] = Report(client_id, "open", 0, str(said.order_id))
        self.hear(events)
        return self._reports[said.order_id]

    def cancel(self, client_id: str) -> Report:
        """See `contract.Broker.cancel`."""
        number = self._ids[client_id]
        self.hear(self._engine.cancel(number))
        return self._reports[number]

    def order(self, client_id: str) -> Report | None:
        """See `contract.Broker.order`."""
        number = self._ids.get(client_id)
        return None if number is None else self._reports[number]

    def open_orders(self) -> list[Report]:
        """Those that were placed here and wait."""
        return [report for report in self._reports.values() if report.status == "open"]

    def fills(self, after: int) -> list[Fill]:
        """All that were heard of, with a number above ``after``."""
        return self._fills[after:]

    def balances(self) -> dict[str, Balance]:
        """The position and the cash, exact."""
        account, instrument = self._engine.account, self.instrument
        held = account.position_lots * instrument.lot_size
        selling = sum(o.qty_lots for o in self._engine.open_orders() if o.side < 0) * instrument.lot_size
        cash, locked = (Decimal(q) * instrument.quantum for q in (account.cash_quanta, account.locked_quanta))
        return {instrument.base: Balance(held, held - selling), instrument.quote: Balance(cash, cash - locked)}

    def hear(self, events: list[Event]) -> None:
        """What happened to the orders, as the engine told it."""
        for event in events:
            report = self._reports.get(event.order_id)
            if report is None:
                continue
            if event.kind == "fill":
                done = report.filled_lots + event.qty_lots
                whole = done >= self._lots[event.order_id]
                report = report._replace(filled_lots=done, status="filled" if whole else "open")
                fee = event.fee_quanta * self.instrument.quantum
                self._fills.append(
                    Fill(
                        len(self._fills) + 1, report.broker_id, event.ts_ns // 1_000_000, event.side, event.qty_lots,
                        event.price_ticks, fee, self.instrument.quote, event.liquidity == "maker",
                    )
                )  # fmt: skip
            elif event.kind == "cancelled":
                report = report._replace(status=_ENDED.get(event.reason, "cancelled"), reason=event.reason)
            self._reports[event.order_id] = report
