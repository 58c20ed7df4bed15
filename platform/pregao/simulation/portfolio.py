"""Backtests of several instruments in one account, from arrays of signals, and what any of them leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars, Ints, prices
from pregao.core.errors import UsageError
from pregao.core.instrument import names_of
from pregao.simulation.actions import Split
from pregao.simulation.backtest import Interval
from pregao.simulation.course import Course
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event, event_of
from pregao.simulation.moments import Moments
from pregao.simulation.plan import Plan
from pregao.simulation.report import metrics
from pregao.simulation.trades import trades_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PortfolioResult:
    """What a backtest of several instruments in one account left behind. Instruments are in the order of the plans.

    Attributes:
        bars, plans: one an instrument.
        moments: when the account was marked.
        began_with: cash at the start, by currency; the first is the reporting currency, in which the equity is.
        equity: at each moment's close, in quanta of the reporting currency, shape ``(t,)``.
        positions: of each instrument, signed lots held at each of its own closes, shape ``(n_i,)``.
        events: every order event of all instruments, `layout.EVENT`; ``book`` is the instrument's place.
        engine: the engine in its final state.
        digest: SHA-256 over the events and the final state: equal digests, equal histories.
    """

    bars: tuple[Bars, ...]
    plans: tuple[Plan, ...]
    moments: Moments
    began_with: Mapping[str, Decimal]
    equity: Ints
    positions: tuple[Ints, ...]
    events: NDArray[Any]
    engine: Engine = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the events and the final state, hexadecimal."""
        found = hashlib.sha256(np.ascontiguousarray(self.events).view(np.uint8).data)  # no copy: there may be millions
        found.update(self.engine.to_bytes())
        return found.hexdigest()

    @property
    def currency(self) -> str:
        """The reporting currency."""
        return next(iter(self.began_with))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What to call each instrument, see `names_of`."""
        return names_of([plan.instrument for plan in self.plans])

    @cached_property
    def money(self) -> Floats:
        """The equity in the reporting currency, shape ``(t,)``."""
        return np.asarray(self.equity * float(self.quantum(self.currency)), np.float64)

    @cached_property
    def cash(self) -> float:
        """What the account began with, in the reporting currency; other currencies at their first close."""
        start = np.zeros(1, np.int64)
        return sum(float(some) * float(self.rate(name, start)[0]) for name, some in self.began_with.items() if some)

    @property
    def final_equity(self) -> float:
        """Equity at the last close, with what filled at it, in the reporting currency."""
        return self.engine.account.equity_quanta * float(self.quantum(self.currency))

    @property
    def interval(self) -> Interval:
        """Profit or loss, and between which bounds it lies because bars do not tell their path; reporting currency."""
        states = [self.engine.account_of(b) for b in range(len(self.plans))]
        worst = sum(state.worst_quanta * self._unit(b) for b, state in enumerate(states))
        best = sum(state.best_quanta * self._unit(b) for b, state in enumerate(states))
        pnl = self.final_equity - self.cash
        return Interval(pnl - worst, pnl, pnl + best)

    def events_of(self, book: int) -> NDArray[Any]:
        """The events of one instrument."""
        return np.asarray(self.events[self.events["book"] == book])

    def history(self) -> list[Event]:
        """The events as tuples."""
        return [event_of(row) for row in self.events]

    def trades_of(self, book: int) -> pd.DataFrame:
        """The round trips of one instrument, see `trades.trades_of`; money in its quote currency."""
        plan = self.plans[book]
        return trades_of(self.events_of(book), plan, self.quantum(plan.instrument.quote))

    @cached_property
    def trades(self) -> pd.DataFrame:
        """The round trips of all instruments, by the time of their end.

        Columns: ``instrument``, and those of `trades.trades_of` with all money in the reporting currency, at the rate
        of the last close before the trade's end.
        """
        every = []
        for b, name in enumerate(self.names):
            own = self.trades_of(b)
            own.insert(0, "instrument", name)
            quote = self.plans[b].instrument.quote
            if quote != self.currency and len(own):
                rates = self.rate(quote, own["exit_ns"].to_numpy(np.int64))
                for column in ("entry_price", "exit_price", "pnl", "fees"):
                    own[column] *= rates
            every.append(own)
        some = [own for own in every if len(own)] or every[:1]
        return pd.concat(some, ignore_index=True).sort_values("exit_ns", kind="stable", ignore_index=True)

    def held(self, book: int) -> Ints:
        """Signed lots of an instrument at the close of each moment, shape ``(t,)``."""
        at = self._last(book)
        return np.where(at < 0, 0, self.positions[book][at])

    def exposure(self, book: int) -> Floats:
        """Value of an instrument's position over the equity at the close of each moment, signed, shape ``(t,)``."""
        instrument, at = self.plans[book].instrument, self._last(book)
        close = np.where(at < 0, 0.0, prices(self.bars[book].close, instrument.tick_size)[at])
        rate = self.rate(instrument.quote, self.moments.close_ns)
        value = self.held(book) * float(instrument.lot_size) * close * rate
        return np.asarray(value / np.where(self.money > 0, self.money, np.nan), np.float64)

    @cached_property
    def per_instrument(self) -> pd.DataFrame:
        """What each instrument did: a row each.

        Columns: ``instrument``, ``trades``, ``hit_rate``, ``pnl`` (of its open position too, net of all costs, in the
        reporting currency: together they are the account's, as far as exchange rates did not move), ``profit_factor``,
        ``fees``, ``exposure`` (fraction of its bars with a position), ``market_return`` (of its price over its bars).
        """
        rows = []
        for b, name in enumerate(self.names):
            own, state, unit = self.trades[self.trades["instrument"] == name], self.engine.account_of(b), self._unit(b)
            pnl = own["pnl"].to_numpy(np.float64)
            gains, losses = float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum())
            rows.append((
                name, len(own), float(np.mean(pnl > 0)) if len(own) else np.nan, self._pnl_quanta(b) * unit,
                gains / losses if losses > 0 else (np.inf if gains > 0 else np.nan), state.fees_quanta * unit,
                float(np.mean(self.positions[b] != 0)), _market_return(self.bars[b], self.plans[b]),
            ))  # fmt: skip
        columns = ["instrument", "trades", "hit_rate", "pnl", "profit_factor", "fees", "exposure", "market_return"]
        return pd.DataFrame(rows, columns=columns)

    def metrics(self) -> dict[str, float]:
        """The figures of `report.metrics` of the account; exposed is a moment with any position."""
        exposed = np.zeros(len(self.moments), np.bool_)
        for b in range(len(self.plans)):
            exposed |= self.held(b) != 0
        return metrics(self.money, cast(Bars, self.moments), self.trades, exposed)

    def rate(self, currency: str, at_ns: Ints) -> Floats:
        """What one unit of a currency was worth in the reporting currency at the last close until each time.

        Before the first close it is that of the first. Shape as ``at_ns``.
        """
        if currency == self.currency:
            return np.ones(np.shape(at_ns))
        book = self._rate_book(currency)
        at = np.searchsorted(self.bars[book].close_ns, at_ns, side="right") - 1
        return prices(self.bars[book].close, self.plans[book].instrument.tick_size)[np.maximum(at, 0)]

    def _rate_book(self, currency: str) -> int:
        pair = (currency, self.currency)
        return next(b for b, p in enumerate(self.plans) if (p.instrument.base, p.instrument.quote) == pair)

    def quantum(self, currency: str) -> Decimal:
        """The account's unit of a currency: the finest of its instruments'. Money in events is in it."""
        finest = [p.instrument.quantum for p in self.plans if p.instrument.quote == currency]
        return min([Decimal("0.00000001"), *finest])

    def _unit(self, book: int) -> float:
        """Reporting currency in one quantum of an instrument's quote currency, at the last close."""
        quote = self.plans[book].instrument.quote
        return float(self.quantum(quote)) * float(self.rate(quote, self.moments.close_ns[-1:])[0])

    def _pnl_quanta(self, book: int) -> int:
        """All that an instrument made, its open position at the last close included."""
        state, instrument = self.engine.account_of(book), self.plans[book].instrument
        tick_quanta = int(instrument.tick_size * instrument.lot_size / self.quantum(instrument.quote))
        open_now = state.position_lots * state.last_ticks * tick_quanta - state.cost_quanta
        paid = state.fees_quanta + state.funding_quanta + state.interest_quanta - state.dividends_quanta
        return state.realised_quanta + open_now - paid

    def _last(self, book: int) -> Ints:
        """Row of an instrument's last bar at each moment; -1 before its first."""
        return np.searchsorted(self.bars[book].open_ns, self.moments.open_ns, side="right") - 1


def run_portfolio(
    bars: Sequence[Bars],
    plans: Sequence[Plan],
    signals: Sequence[NDArray[np.int8]],
    cash: Mapping[str, Decimal] | None = None,
    reporting: str | None = None,
    finer: Sequence[Bars | None] | None = None,
) -> PortfolioResult:
    """Trade arrays of signals on several instruments in one account, wholly compiled.

    Args:
        bars: a series an instrument, all of one timeframe; calendars and gaps may differ.
        plans: one an instrument, in the same order; entry value, exits and terms are each instrument's own.
        signals: one array an instrument, shape ``(n_i,)``: what was decided at each of its closes, as in
            `backtest.run_signals`. After each moment they act in the order of the instruments.
        cash: at the start, by currency; by default the first plan's.
        reporting: currency of the equity; by default the first plan's quote currency.
        finer: of each instrument bars with a shorter timeframe, or None, for the path rule ``finer``.

    Raises:
        UsageError: if the numbers of series, plans and signals or their shapes differ, or as `join` and `Engine`.
    """
    check(bars, plans, {"signals": signals, "finer bars": finer})
    for series, own in zip(bars, signals, strict=True):
        if np.shape(own) != (len(series),):
            raise UsageError(
                f"There are {len(series)} bars of {series.instrument.symbol} but signals of shape {np.shape(own)}."
            )
    engine = Engine(plans, cash, reporting)
    began_with = {name: total for name, (total, _) in engine.cash().items()}
    course = Course(engine, bars, finer)
    course.trade(signals)
    return result_of(bars, plans, course, began_with, engine)


def check(bars: Sequence[Bars], plans: Sequence[Plan], others: Mapping[str, Sequence[object] | None]) -> None:
    """Whether there is one of everything for each instrument, bars and plans in one order.

    Args:
        others: what else there is of each instrument, by what it is called; None where nothing is given.

    Raises:
        UsageError: naming what does not fit.
    """
    if not bars:
        raise UsageError("There are no bars to run over.")
    for what, given in {"plans": plans, **others}.items():
        if given is not None and len(given) != len(bars):
            raise UsageError(f"There are bars of {len(bars)} instruments but {what} of {len(given)}.")
    for series, plan in zip(bars, plans, strict=True):
        if series.instrument.key != plan.instrument.key or series.timeframe != plan.timeframe:
            raise UsageError(
                f"Bars of {series.instrument.key} {series.timeframe} were given with the plan of {plan.instrument.key} "
                f"{plan.timeframe}.",
                "Give bars and plans in the same order.",
            )


def result_of(
    bars: Sequence[Bars], plans: Sequence[Plan], course: Course, began_with: Mapping[str, Decimal], engine: Engine
) -> PortfolioResult:
    """What a course that has come to its end left behind."""
    timeframe = bars[0].timeframe
    own = tuple(course.positions_of(b) for b in range(len(bars)))
    moments = Moments(timeframe, course.open_ns, course.open_ns + timeframe.ns)
    return PortfolioResult(tuple(bars), tuple(plans), moments, began_with, course.equity, own, course.events, engine)


def _market_return(bars: Bars, plan: Plan) -> float:
    """Last close over first, as shares would have split meanwhile."""
    ratio = 1.0
    for action in plan.terms.actions:
        if isinstance(action, Split) and bars.open_ns[0] < action.ts_ns <= bars.open_ns[-1]:
            ratio *= float(action.ratio)
    return float(bars.close[-1]) / float(bars.close[0]) * ratio - 1
