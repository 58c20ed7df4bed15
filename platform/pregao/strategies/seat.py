"""A strategy over history: what it sees at each bar, and when it is to be asked.

It answers what it would answer at a `Desk`: the same closes, features, signals and account, looked up when it asks for
them. The account is a `Course`, which is run along only when something can happen to it.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.core.money import PPM
from pregao.features.sets import FeatureStream
from pregao.simulation import layout
from pregao.simulation.course import Course
from pregao.simulation.glance import Glance
from pregao.simulation.plan import Plan
from pregao.strategies.answers import StrategyError, intents_of
from pregao.strategies.contract import Account, Context, Enter, Exit, Intent, Model, Wait
from pregao.strategies.desk import account_of, fraction_ppm

_CHUNK = 4_096
"""Features are made of so many bars at a time, so that a long history does not need them all in memory."""
AHEAD = 4_096
"""Quiet bars are looked for so far ahead where every bar is asked about."""
_bar = partial(tuple.__new__, Bar)
_account = partial(tuple.__new__, Account)
_NO_FEATURES: NDArray[np.float64] = np.empty(0)


class Seat:
    """One strategy at one instrument of a course.

    Args:
        strategy: configured.
        plan: the instrument's.
        bars: what is traded.
        before: bars that end where those begin, to warm up on; at most as many as it needs are used.
        features: a stream at its beginning, or None.
        course, book: the account's way, and the instrument's place in the account.

    Attributes:
        first: the first bar at which the strategy is asked.
        row: the bar of which it is asked.
        moments: of each bar the moment in which it comes, shape ``(n,)``; None where each bar is a moment.
        wait: what it waits for.
        ahead: how many bars ahead quiet ones are looked for: not many for a strategy that waits.
        context: what it is given.
    """

    def __init__(
        self,
        strategy: Any,
        plan: Plan,
        bars: Bars,
        before: Bars | None,
        features: FeatureStream | None,
        model: Model | None,
        seed: int,
        course: Course,
        book: int,
    ) -> None:
        self.strategy = strategy
        self.bars = bars
        self.book = book
        self.row = 0
        self.wait: Wait | None = None
        self.ahead = AHEAD
        self.has_signals = callable(getattr(strategy, "signals", None))
        warmup = max(int(strategy.warmup()), 1)
        self._keep = max(warmup, 2)
        needed = max(warmup, features.features.warmup if features is not None else 0)
        self._before = before[max(len(before) - needed, 0) :] if before is not None else bars[:0]
        self.first = max(warmup - 1 - len(self._before), 0)
        self.moments = course.moments_of(book) if len(course.engine.plans) > 1 else None
        self.context = Context(plan.instrument, plan.timeframe, self, model, seed)
        self._plan, self._course, self._span = plan, course, bars.timeframe.ns
        self._alone = len(course.engine.plans) == 1 and course.engine.currencies == 1
        self._known = self._done = -1
        self._valid: tuple[Intent, ...] = ()
        columns = (bars.open_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
        self._columns = tuple(column.data for column in columns)
        self._glance = Glance(course.engine.world, course.engine.setting, book)
        self._quantum, self._lot = course.engine.quantum(book), float(plan.instrument.lot_size)
        self._tick_quanta, self._margined = plan.instrument.tick_quanta, plan.terms.contract == "margin"
        self._stream = features
        self._frame = np.empty((0, 0))
        self._frame_from = 0
        if features is not None and len(self._before):
            features.extend(self._before)

    def asked(self, answer: Any) -> None:
        """Follow what the strategy answered of bar `row`: orders are given, and `wait` is what it waits for.

        Raises:
            StrategyError: if the answer is nonsense.
        """
        refused = False
        course = self._course
        if answer is not self._valid:  # else it is the very tuple that was looked at before
            answer = intents_of(answer, self.has_signals)
            self._valid = answer
        for intent in answer:
            if isinstance(intent, Wait):
                self.wait = intent
                if intent.event:
                    self._catch_up()  # what has happened until now is not waited for
            elif isinstance(intent, Enter):
                self._catch_up()
                side = layout.ENTER_LONG if intent.side == "long" else layout.ENTER_SHORT
                events = course.signal(side, fraction_ppm(intent), self.book)
                refused = refused or layout.REJECTED in events["kind"].tolist()
            elif isinstance(intent, Exit):
                self._catch_up()
                course.signal(layout.LEAVE, PPM, self.book)
        if refused:
            self.wait = None

    def due(self, wait: Wait) -> int:
        """The bar at which a wait that began at bar `row` is over at the latest; the number of bars if never."""
        row = len(self.bars)
        if wait.bars:
            row = min(row, self.row + wait.bars)
        if wait.until_ns:
            span = self.bars.timeframe.ns
            at = int(np.searchsorted(self.bars.open_ns, wait.until_ns - span))
            row = min(row, max(at, self.row + 1))
        if wait.signal:
            k = bisect_right(self._said, self.row)
            row = min(row, self._said[k]) if k < len(self._said) else row
        return row

    def bar(self, row: int) -> Bar:
        """One bar as plain Python numbers; `Bars.bar` is slower, but needs no view of every column."""
        opened, *prices = self._columns
        at: int = opened[row]
        return _bar((at, at + self._span, *(column[row] for column in prices)))

    # What the strategy sees

    def account(self) -> Account:
        """The account after bar `row`."""
        course = self._course
        if not self._alone:
            self._catch_up()
            return account_of(course.engine, self.book)
        if self.row >= course.awake:
            course.run(self.row + 1, min(self.row + self.ahead, course.count))
        if self._known != course.turn:
            self._known, self._done = course.turn, course.done
            self._seen, self._pending = self._glance.see(), self._glance.waiting()
        position, cost, cash, held, _ = self._seen
        quantum = self._quantum
        if position == 0:
            return _account((cash * quantum, cash * quantum, 0.0, 0.0, 0, self._pending))
        value = position * int(self.bars.close[self.row]) * self._tick_quanta - (cost if self._margined else 0)
        size = position * self._lot
        return _account((
            (cash + value) * quantum, cash * quantum, size, cost * quantum / size, held + self.row + 1 - self._done,
            self._pending,
        ))  # fmt: skip

    def _catch_up(self) -> None:
        """Let the account live through the moment of bar `row`."""
        moment = self.row if self.moments is None else int(self.moments[self.row])
        if self._course.done <= moment:
            self._course.run(moment + 1)

    def closes(self) -> NDArray[np.float64]:
        """The last closes as prices, oldest first; a new array."""
        end = len(self._before) + self.row + 1
        window: NDArray[np.float64] = self._closes[max(end - self._keep, 0) : end].copy()
        return window

    @cached_property
    def _closes(self) -> NDArray[np.float64]:
        ticks = np.concatenate([self._before.close, self.bars.close])
        return ticks.astype(np.float64) * float(self._plan.instrument.tick_size)

    def features(self) -> NDArray[np.float64]:
        """The features at bar `row`; a new array."""
        if self._stream is None:
            return _NO_FEATURES
        while self.row >= self._frame_from + len(self._frame):
            self._frame_from += len(self._frame)
            self._frame = self._stream.extend(self.bars[self._frame_from : self._frame_from + _CHUNK])
        vector: NDArray[np.float64] = self._frame[self.row - self._frame_from].copy()
        return vector

    def signal(self) -> int:
        """What the strategy's signals say of bar `row`; 0 if it has none."""
        return self._signals[self.row] if self.has_signals else 0

    @cached_property
    def _signals(self) -> memoryview[int]:
        return signals_over(self.strategy, self.bars, self._before).data

    @cached_property
    def _said(self) -> list[int]:
        """The bars of which the signals say something."""
        found: list[int] = np.flatnonzero(np.asarray(self._signals)).tolist()
        return found


def signals_over(strategy: Any, bars: Bars, before: Bars | None) -> NDArray[np.int8]:
    """A strategy's signals at each of ``bars``, 0 where it would still be warming up.

    Args:
        before: bars that end where those begin, to warm up on.
    """
    keep = max(int(strategy.warmup()), 2) - 1
    tail = before[max(len(before) - keep, 0) :] if before is not None else bars[:0]
    history = joined(tail, bars)
    said = np.array(strategy.signals(history))
    if said.shape != (len(history),) or said.dtype.kind not in "iu" or not np.isin(said, (-1, 0, 1, 2)).all():
        raise StrategyError(
            f"The strategy's signals of {len(history)} bars are {said.dtype} of shape {said.shape}.",
            "They are one of -1, 0, 1 and 2 for each bar.",
        )
    said[: max(int(strategy.warmup()), 1) - 1] = 0
    return np.ascontiguousarray(said[len(tail) :], np.int8)


def joined(before: Bars, bars: Bars) -> Bars:
    """Two series of one instrument, one after the other."""
    if len(before) == 0:
        return bars

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(before, name), getattr(bars, name)])

    return Bars(
        bars.instrument, bars.timeframe, column("open_ns"), column("open"), column("high"), column("low"),
        column("close"), column("volume"),
    )  # fmt: skip
