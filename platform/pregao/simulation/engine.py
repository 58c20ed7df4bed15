"""The engine: the compiled step driven bar by bar, as a live session needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.money import MAX_QUANTA, PPM
from pregao.simulation import layout, live
from pregao.simulation.accounts import AccountState, WorkingOrder, order_of, state_words
from pregao.simulation.actions import Action, encode
from pregao.simulation.events import Event, drain, empty_log, event_of
from pregao.simulation.plan import Plan
from pregao.simulation.tape import NO_FINE, NO_FINE_BARS
from pregao.simulation.world import build

_MAGIC = b"PRGE3"


class Engine:
    """One simulated account on one instrument or several. The same bars and orders give the same bytes, always.

    Args:
        plans: one an instrument; money, exits and terms.
        cash: at the start, by currency; by default the first plan's.
        reporting: currency of the equity; by default the first plan's quote currency.
    """

    def __init__(
        self,
        plans: Plan | Sequence[Plan],
        cash: Mapping[str, Decimal] | None = None,
        reporting: str | None = None,
    ) -> None:
        self.plans = (plans,) if isinstance(plans, Plan) else tuple(plans)
        self.plan = self.plans[0]
        built = build(self.plans, cash, reporting)
        self._world, self._setting, self._currencies = built.world, built.setting, built.currencies
        self._w = self._world[0]
        self._rules = self._setting[0]["rules"]
        self._words = memoryview(self._world["words"][0])
        self._state_at = [state_words(b, int(self._rules[b]["money"])) for b in range(len(self.plans))]
        self._actions, self._span_ns = built.actions, self.plan.timeframe.ns

    @cached_property
    def _log(self) -> NDArray[Any]:
        """Of the steps made here; whoever drives the world by itself needs none."""
        return empty_log()

    @property
    def world(self) -> NDArray[Any]:
        """The state that the compiled functions change in place, `layout.WORLD`, shape ``(1,)``."""
        return self._world

    @property
    def actions(self) -> NDArray[Any]:
        """Splits, dividends and funding of all instruments, `actions.ACTION`."""
        return self._actions

    @property
    def setting(self) -> NDArray[Any]:
        """What does not change while it runs, `layout.SETTING`, shape ``(1,)``."""
        return self._setting

    def step(self, bar: Bar, finer: Bars | None = None, live_bar: bool = True) -> list[Event]:
        """A closed bar of the only instrument arrives: orders meet its open and its path; the account is marked.

        Args:
            finer: the finer bars within it, for the path rule ``finer``.
            live_bar: False outside the exchange's sessions: the account is only marked.
        """
        return self.step_all({0: bar}, None if finer is None else {0: finer}, live_bar)

    def step_all(
        self,
        bars: Mapping[int, Bar],
        finer: Mapping[int, Bars] | None = None,
        live_bars: bool | Mapping[int, bool] = True,
    ) -> list[Event]:
        """The closed bars of one moment arrive, by the instruments' places in the account.

        Args:
            finer: the finer bars within each, for the path rule ``finer``.
            live_bars: False outside the exchanges' sessions: the account is only marked; for all, or each.

        Raises:
            PregaoError: if they do not open at the same time, are not of the account's timeframe, or come too late.
        """
        span = self._span_ns
        opened = next(iter(bars.values())).open_ns
        if opened < self._w["account"]["now_ns"]:
            raise PregaoError(f"A bar that opened at {opened} ns came after one that closed later.")
        for bar in bars.values():
            if bar.open_ns != opened or bar.close_ns - opened != span:
                raise PregaoError("Bars of one moment must open together and have the account's timeframe.")
        fine, fine_bars = self._finer(bars, finer) if finer else (NO_FINE, NO_FINE_BARS)
        for b, bar in bars.items():
            alive = live_bars if isinstance(live_bars, bool) else live_bars.get(b, True)
            live.arrive(self._world, b, bar.open, bar.high, bar.low, bar.close, float(bar.volume), int(alive), b)
        live.step(self._world, self._setting, self._log, opened, opened + span, self._actions, fine, fine_bars)
        return self._drain()

    def _finer(self, bars: Mapping[int, Bar], finer: Mapping[int, Bars]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The finer bars of each instrument, and which rows they are."""
        fine = np.zeros((len(self.plans), 2), np.int64)
        tables, end = [], 0
        for b in bars:
            if b in finer:
                f = finer[b]
                tables.append(np.stack([f.open, f.high, f.low, f.close, f.open_ns, f.close_ns], axis=1))
                fine[b] = end, end + len(f)
                end += len(f)
        return fine, np.ascontiguousarray(np.concatenate(tables), np.int64) if tables else NO_FINE_BARS

    def signal(self, signal: int, fraction_ppm: int = PPM, book: int = 0) -> list[Event]:
        """Act on a decision taken at the last close: `layout.ENTER_LONG`, `ENTER_SHORT` or `LEAVE`."""
        if not 0 <= book < len(self.plans):
            return self.refuse(layout.NO_BOOK)
        live.act(self._world, self._setting, self._log, book, signal, fraction_ppm)
        return self._drain()

    def leave_now(self, price_ticks: int, ts_ns: int, book: int = 0) -> list[Event]:
        """Fill the exit that `signal` has just placed, or one that waits, at a price heard between two bars."""
        live.leave_now(self._world, self._setting, self._log, book, price_ticks, ts_ns)
        return self._drain()

    def submit(
        self,
        kind: int,
        side: int,
        *,
        qty_lots: int = 0,
        value_quanta: int = 0,
        price_ticks: int = 0,
        limit_ticks: int = 0,
        trail_ticks: int = 0,
        trail_ppm: int = 0,
        role: int = layout.PLAIN,
        reduce_only: bool = False,
        post_only: bool = False,
        tif: int = layout.GTC,
        expires_ns: int = 0,
        take_profit_ppm: int | None = None,
        stop_loss_ppm: int | None = None,
        take_profit_ticks: int = 0,
        stop_loss_ticks: int = 0,
        book: int = 0,
    ) -> list[Event]:
        """Place an order after the last close; rejected ones say why in their event.

        Args:
            kind: `layout.MARKET`, `LIMIT`, `STOP`, `STOP_LIMIT` or `TRAILING`.
            side: +1 buys, -1 sells.
            qty_lots, value_quanta: one of the two: how much.
            price_ticks: the limit of a limit order, the trigger of a stop or stop-limit order.
            limit_ticks: the limit of a stop-limit order.
            trail_ticks, trail_ppm: one of the two: how far a trailing stop follows the price.
            role: with `layout.ENTRY` a bracket is attached when it fills: the plan's distances, or those given here,
                of the fill price or as prices.
            tif: `layout.GTC`, `IOC`, `FOK`, or `DAY` and `GTD` with ``expires_ns``.
            book: the instrument's place in the account.
        """
        if not 0 <= book < len(self.plans):
            return self.refuse(layout.NO_BOOK)
        entry = role == layout.ENTRY
        plan = self.plans[book]
        profit = (plan.take_profit_ppm if entry else 0) if take_profit_ppm is None else take_profit_ppm
        stop = (plan.stop_loss_ppm if entry else 0) if stop_loss_ppm is None else stop_loss_ppm
        request = {
            "book": book, "kind": kind, "role": role, "side": side, "qty_lots": qty_lots, "value": value_quanta,
            "price_ticks": price_ticks, "limit_ticks": limit_ticks, "trail_ticks": trail_ticks, "trail_ppm": trail_ppm,
            "reduce_only": int(reduce_only), "post_only": int(post_only), "tif": tif, "expires_ns": expires_ns,
            "take_profit_ppm": profit, "stop_loss_ppm": stop,
            "take_profit_ticks": take_profit_ticks, "stop_loss_ticks": stop_loss_ticks,
        }  # fmt: skip
        slot = self._w["orders"][layout.REQUEST : layout.REQUEST + 1]
        slot[0] = tuple(_bounded(request.get(name, 0)) for name in layout.ORDER.names or ())
        live.submit(self._world, self._setting, self._log)
        return self._drain()

    def refuse(self, reason: int, kind: int = 0, side: int = 0, role: int = layout.PLAIN, book: int = 0) -> list[Event]:
        """Reject an order that cannot even be put into integers, with a reason of `layout.REASONS`."""
        slot = self._w["orders"][layout.REQUEST : layout.REQUEST + 1]
        request = {"book": book, "kind": kind, "side": side, "role": role}
        slot[0] = tuple(_bounded(request.get(name, 0)) for name in layout.ORDER.names or ())
        live.refuse(self._world, self._setting, self._log, reason)
        return self._drain()

    def amend(self, order_id: int, *, qty_lots: int = 0, price_ticks: int = 0, limit_ticks: int = 0) -> list[Event]:
        """Change a working order (0: unchanged); it keeps its id and loses its priority. Rejected ones say why."""
        live.amend(
            self._world, self._setting, self._log, _bounded(order_id), _bounded(qty_lots), _bounded(price_ticks),
            _bounded(limit_ticks),
        )  # fmt: skip
        return self._drain()

    def cancel(self, order_id: int) -> list[Event]:
        """Cancel a working order; empty if there is none with this id."""
        live.cancel(self._world, self._setting, self._log, _bounded(order_id))
        return self._drain()

    def convert(self, currency: str, amount: Decimal, fee_ppm: int = 0) -> list[Event]:
        """Change ``amount`` of a currency into the reporting one (negative: buy that much of it) at the last rate.

        Empty, and nothing done, if there is no rate yet or not enough free cash.
        """
        if currency not in self._currencies.names[1:]:
            raise UsageError(f"The account has no {currency} besides its reporting currency.")
        m = self._currencies.index(currency)
        whole = int(amount / self._currencies.quantum[currency])
        live.convert(self._world, self._setting, self._log, m, whole, fee_ppm)
        return self._drain()

    def learn(self, actions: Sequence[Action], book: int = 0) -> None:
        """Splits and dividends of an instrument that are to come, ascending and none before one that is known.

        They are no part of the state: an engine of saved bytes has to learn them again, from the first on.
        """
        learnt, end = encode(actions, self.plans[book].instrument), int(self._rules[book]["actions_end"])
        self._actions = np.concatenate([self._actions[:end], learnt, self._actions[end:]])
        self._rules[book]["actions_end"] += len(learnt)
        for later in range(book + 1, len(self.plans)):
            self._rules[later]["actions"] += len(learnt)
            self._rules[later]["actions_end"] += len(learnt)

    def set_stale(self, stale: bool) -> None:
        """While the feed is stale new orders are rejected."""
        self._w["account"]["stale"] = int(stale)

    def set_closed(self, closed: bool, book: int = 0) -> None:
        """While an exchange is closed, orders that must fill at once are rejected."""
        self._w["books"][book]["closed"] = int(closed)

    @property
    def account(self) -> AccountState:
        """The account now, with its first instrument."""
        return self.account_of(0)

    def account_of(self, book: int) -> AccountState:
        """The account now, with one of its instruments."""
        return AccountState(live.equity(self._world, self._setting), *self._state_at[book](self._words))

    def cash(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Total and locked cash by currency."""
        names, quantum = self._currencies.names, self._currencies.quantum
        rows = (self._w["money"][m] for m in range(len(names)))
        return {
            n: (int(r["cash"]) * quantum[n], int(r["locked"]) * quantum[n]) for n, r in zip(names, rows, strict=True)
        }

    @property
    def currencies(self) -> int:
        """How many currencies the account holds."""
        return len(self._currencies.names)

    def quantum(self, book: int | None = None) -> float:
        """Money in one quantum: of an instrument's quote currency, or else of the reporting currency."""
        name = self._currencies.names[0] if book is None else self.plans[book].instrument.quote
        return float(self._currencies.quantum[name])

    @property
    def waiting(self) -> bool:
        """Whether an entry or an exit of a signal waits to fill."""
        return any(self.waiting_of(b) for b in range(len(self.plans)))

    def waiting_of(self, book: int) -> bool:
        """Whether an entry or an exit of a signal waits to fill, of one instrument."""
        orders = self._w["orders"][: int(self._w["account"]["orders"])]
        roles = orders["role"][orders["book"] == book].tolist()
        return layout.ENTRY in roles or layout.EXIT in roles

    def open_orders(self) -> list[WorkingOrder]:
        """The working orders, in time priority."""
        found = []
        for k, row in enumerate(self._w["orders"][: int(self._w["account"]["orders"])]):
            follows = row["kind"] == layout.TRAILING
            found.append(order_of(row, int(live.trigger_of(self._world, k) if follows else row["price_ticks"])))
        return found

    def to_bytes(self) -> bytes:
        """The whole state; `from_bytes` goes on from it as if nothing had happened."""
        w = self._w
        account = w["account"]
        books, orders, moneys = int(account["books"]), int(account["orders"]), int(account["moneys"])
        return b"".join((
            _MAGIC, account.tobytes(), w["money"][:moneys].tobytes(), w["books"][:books].tobytes(),
            w["orders"][:orders].tobytes(), w["volumes"][:moneys].tobytes(), w["estimates"][:books].tobytes(),
        ))  # fmt: skip

    @classmethod
    def from_bytes(
        cls,
        plans: Plan | Sequence[Plan],
        raw: bytes,
        cash: Mapping[str, Decimal] | None = None,
        reporting: str | None = None,
    ) -> Engine:
        """An engine in a saved state; raises `PregaoError` if the bytes are not one of this version and these plans."""
        engine = cls(plans, cash, reporting)
        w = engine._w
        wrong = PregaoError("This is not a saved state of this version of the simulation engine.")
        at = len(_MAGIC) + layout.ACCOUNT.itemsize
        if raw[: len(_MAGIC)] != _MAGIC or len(raw) < at:
            raise wrong
        account = np.frombuffer(raw[len(_MAGIC) : at], layout.ACCOUNT)[0]
        books, moneys, orders = (int(account[name]) for name in ("books", "moneys", "orders"))
        if (books, moneys) != (int(w["account"]["books"]), int(w["account"]["moneys"])):
            raise wrong
        if not 0 <= orders <= layout.CAPACITY:
            raise wrong
        w["account"] = account
        for name, count in (
            ("money", moneys), ("books", books), ("orders", orders), ("volumes", moneys), ("estimates", books),
        ):  # fmt: skip
            part = w[name][:count]
            chunk = raw[at : at + part.nbytes]
            if len(chunk) != part.nbytes:
                raise wrong
            part[...] = np.frombuffer(chunk, part.dtype).reshape(part.shape)
            at += part.nbytes
        if at != len(raw):
            raise wrong
        return engine

    def digest(self) -> str:
        """SHA-256 of the state, hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _drain(self) -> list[Event]:
        return [event_of(row) for row in drain(self._log)]


def _bounded(value: int) -> int:
    """An integer that fits into 64 bits; one that does not becomes as large as is refused in any case."""
    return min(max(int(value), -MAX_QUANTA), MAX_QUANTA)
