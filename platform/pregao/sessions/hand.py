"""What a session may do to an instrument of its account: entries within the limits of its risk, exits as its spec has
them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pregao.core.bars import Bar
from pregao.core.money import CEIL, FLOOR, PPM, mul_ppm
from pregao.sessions.intents import intent_of
from pregao.sessions.records import Body
from pregao.sessions.risk import Guard, Wish
from pregao.sessions.spec import SessionSpec
from pregao.simulation import layout
from pregao.simulation.accounts import WorkingOrder
from pregao.simulation.events import Event
from pregao.simulation.execution import Execution
from pregao.strategies.contract import Enter, Intent
from pregao.strategies.desk import Desk, fraction_ppm


class Hand:
    """Carries intents out.

    Args:
        guard: which limits an entry has to keep.
        book: the instrument's place in the account.
    """

    def __init__(self, spec: SessionSpec, desk: Desk, guard: Guard, book: int = 0) -> None:
        self._spec, self._desk, self._guard, self._book = spec, desk, guard, book

    @property
    def busy(self) -> bool:
        """Whether a position or an entry is there, so that another entry would be ignored."""
        return self._desk.engine.account_of(self._book).position_lots != 0 or bool(self.entries())

    def orders(self, role: str) -> list[WorkingOrder]:
        """The instrument's orders that wait, in a role."""
        return [o for o in self._desk.engine.open_orders() if o.book == self._book and o.role == role]

    def entries(self) -> list[int]:
        """The orders that wait to open a position."""
        return [order.order_id for order in self.orders("entry")]

    def allowed(self, body: Body, bars: int, limits: Body) -> Enter | None:
        """An entry, cut down to what the limits leave of it; None for nothing.

        Args:
            bars: lived through so far.
            limits: which limit bound it, and what it left of it, is put there.
        """
        intent = intent_of(body)
        assert isinstance(intent, Enter)
        p = intent.probability
        chance = None if p is None else round(min(max(p, 0.0), 1.0) * PPM) if p == p else 0  # NaN is no chance
        verdict = self._guard.judge(Wish(fraction_ppm(intent), chance, sum(exposures(self._desk.engine))), bars)
        if verdict.limit:
            limits |= {"limit": verdict.limit, "left": verdict.fraction_ppm}
        wrong = self._wrong_side(intent)
        if wrong:
            limits |= {"limit": wrong, "left": 0}
        return replace(intent, fraction=verdict.fraction_ppm / PPM) if verdict.fraction_ppm and not wrong else None

    def apply(self, intent: Intent) -> list[Event]:
        """Do it; no event if there was nothing to do."""
        profit, stop = self._levels()
        if not isinstance(intent, Enter) or not (profit or stop):
            return self._desk.apply([intent])
        if self.busy:
            return []
        value = mul_ppm(self._desk.plan.entry_quanta, fraction_ppm(intent), FLOOR)
        return self._desk.engine.submit(
            layout.MARKET, 1 if intent.side == "long" else -1, value_quanta=value, role=layout.ENTRY,
            take_profit_ticks=profit, stop_loss_ticks=stop, take_profit_ppm=0 if profit else None,
            stop_loss_ppm=0 if stop else None, book=self._book,
        )  # fmt: skip

    def reached(self, bar: Bar) -> int | None:
        """The price at which an exit that rests would have filled in a bar, in ticks; the stop loss where both would.
        None if neither was reached."""
        for role in ("stop_loss", "take_profit"):
            for order in self.orders(role):
                falls = (order.side < 0) == (role == "stop_loss")
                level = order.price_ticks
                if (bar.low <= level) if falls else (bar.high >= level):
                    return min(level, bar.open) if falls else max(level, bar.open)
        return None

    def trail(self, close: int) -> Iterator[list[Event]]:
        """Move a trailing stop loss to its distance from a close, if that is nearer to the market."""
        if not self._spec.trailing:
            return
        for order in self.orders("stop_loss"):
            level = close + order.side * mul_ppm(close, self._desk.plan.stop_loss_ppm, CEIL)
            if (level - order.price_ticks) * order.side < 0:
                yield self._desk.engine.amend(order.order_id, price_ticks=level)

    def _levels(self) -> tuple[int, int]:
        """Take profit and stop loss as prices in ticks; 0 where they are distances."""
        spec, tick = self._spec, self._desk.plan.instrument.tick_size
        return int((spec.take_profit_price or 0) / tick), int((spec.stop_loss_price or 0) / tick)

    def _wrong_side(self, intent: Enter) -> str:
        """Which exit has its price on the wrong side of the market; empty if none has."""
        profit, stop = self._levels()
        last, side = self._desk.engine.account_of(self._book).last_ticks, 1 if intent.side == "long" else -1
        if profit and (profit - last) * side <= 0:
            return "take profit price"
        return "stop loss price" if stop and (last - stop) * side <= 0 else ""


def exposures(engine: Execution) -> list[int]:
    """What the positions of an account are worth at their last closes, and what waiting entries are going to be, in
    quanta, of each instrument."""
    ticks = [plan.instrument.tick_quanta for plan in engine.plans]
    accounts = [engine.account_of(book) for book in range(len(ticks))]
    found = [abs(a.position_lots) * a.last_ticks * t for a, t in zip(accounts, ticks, strict=True)]
    for order in engine.open_orders():
        if order.role == "entry":
            found[order.book] += order.value_quanta or order.qty_lots * order.price_ticks * ticks[order.book]
    return found
