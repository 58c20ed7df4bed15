"""History run on demand: a strategy in Python lets the compiled step go on when something can happen, not at every bar.

Bars in which nothing can happen to the account are *quiet* (see `kernel`). A course knows how far they reach, so that
whoever asks a strategy at each of them need not cross into compiled code; when it orders something, the course catches
up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars, Ints
from pregao.simulation import layout, live
from pregao.simulation.engine import Engine
from pregao.simulation.events import empty_log
from pregao.simulation.history import run_many, run_one
from pregao.simulation.hours import live_rows
from pregao.simulation.marks import Marks
from pregao.simulation.moments import Joined, join
from pregao.simulation.reel import Parts, wind
from pregao.simulation.tape import tape_of

_SILENT = np.zeros(0, np.int8)
Events = NDArray[Any]
_BLOCK = 12 * layout.LOG_ROWS
"""Events are kept in blocks of so many: large enough, 47 MB, that the system has one back as soon as it is let go."""


class Course:
    """The way of an account through its bars, moment by moment (see `moments`).

    Args:
        engine: at its beginning; it is run along.
        bars: a series an instrument, in the order of the engine's.
        finer: of each instrument bars with a shorter timeframe, or None.

    Attributes:
        count: moments in all.
        done: moments that the account has lived through.
        awake: the first moment from `done` on that may change more than the marks; looked for no further than `far`.
        open_ns: of each moment, shape ``(t,)``.
        turn: counts what was done to it, so that others see when their picture of the account is old.
    """

    def __init__(self, engine: Engine, bars: Sequence[Bars], finer: Sequence[Bars | None] | None = None) -> None:
        self.engine = engine
        self.done = self.awake = self.turn = 0
        self._log = empty_log()
        self._count, self._told = self._log["count"], 0
        self._rows: Events = self._log["events"][0]
        self._events: deque[Events] = deque()
        self._block, self._filled = np.empty(0, layout.EVENT), 0
        self._joined: Joined | None = None
        if len(bars) > 1:
            self._joined = join(bars, finer, engine.actions)
            self._tape, self.open_ns = self._joined.tape, self._joined.open_ns
        else:
            fine = finer[0] if finer is not None else None
            self._tape = tape_of(bars[0], live_rows(bars[0]), fine, engine.actions)
            self.open_ns = bars[0].open_ns
        self.count = len(self.open_ns)
        many = self._joined is not None
        self._marks, self._noted = np.empty((0 if many else self.count, 4), np.int64), 0
        self._equity: Ints = np.empty(self.count if many else 0, np.int64)
        self._positions: Ints = np.empty(len(self._tape.close) if many else 0, np.int64)
        moments = self._joined.first if self._joined is not None else np.zeros(0, np.int64)
        self._parts = Parts(
            engine.world, engine.setting, self._log, self._tape, self._marks, moments, self._equity, self._positions,
            np.zeros(len(bars), np.int64),
        )  # fmt: skip
        self._reel = wind(self._parts)  # the parts stay where they are as long as they are kept

    @cached_property
    def first(self) -> Ints:
        """First row of each moment, and at the end the number of rows, shape ``(t + 1,)``."""
        return self._joined.first if self._joined is not None else np.arange(self.count + 1)

    @cached_property
    def books(self) -> Ints:
        """Instrument of each row, shape ``(n,)``."""
        return self._tape.book if self._joined is not None else np.zeros(self.count, np.int64)

    @property
    def marks(self) -> Marks:
        """Equity and position at each close; of one instrument, as far as it is done."""
        return Marks(self._marks[: self._noted], self._tape.close)

    @property
    def equity(self) -> Ints:
        """At each moment's close, quanta, shape ``(t,)``, as far as it is done."""
        return self.marks.equity if self._joined is None else self._equity

    def positions_of(self, book: int) -> Ints:
        """Lots of an instrument at each of its closes, shape ``(n,)``."""
        return self.marks.positions if self._joined is None else self._positions[self.books == book]

    def moments_of(self, book: int) -> Ints:
        """The moment of each of an instrument's bars, shape ``(n,)``."""
        return np.searchsorted(self.first, np.flatnonzero(self.books == book), side="right") - 1

    def trade(self, signals: Sequence[NDArray[np.int8]]) -> None:
        """Live through all moments, acting on what was decided at each close: an array an instrument."""
        if self._joined is None:
            said = np.ascontiguousarray(signals[0], np.int8)
        else:
            said = np.concatenate([np.asarray(own, np.int8) for own in signals])[self._joined.order]
        while self.done < self.count:
            self._go(said, self.count, 0, False)

    def run(self, end: int, far: int = 0, watch: bool = False) -> Events:
        """Live through the moments before ``end``, and look ahead until ``far``.

        Args:
            watch: stop after a moment that caused an event.

        Returns:
            The events of the last moment, `layout.EVENT`, shape ``(m,)``, and perhaps of those before; a view that is
            good until the next call.
        """
        self.turn += 1
        while True:
            self._go(_SILENT, end, far, watch)
            if self.done >= end or (watch and self._count[0] > self._told):
                return self._fresh()

    def signal(self, signal: int, fraction_ppm: int, book: int) -> Events:
        """Act on a decision taken at the close of the last moment that is done, as `Engine.signal`; the same view."""
        self.turn += 1
        self.awake = self.done
        self._make_room()
        live.act(self.engine.world, self.engine.setting, self._log, book, signal, fraction_ppm)
        return self._fresh()

    @property
    def events(self) -> Events:
        """All events so far."""
        self._close_block()
        rows = self._rows[: self._count[0]]
        if not self._events:
            return rows
        whole = np.empty(sum(map(len, self._events)) + len(rows), layout.EVENT)
        at = 0
        while self._events:  # each part goes as soon as it is copied: there may be millions of events
            part = self._events.popleft()
            whole[at : at + len(part)] = part
            at += len(part)
        whole[at:] = rows
        self._events.append(whole)
        self._count[0] = self._told = 0
        return whole

    def _go(self, signals: NDArray[np.int8], end: int, far: int, watch: bool) -> None:
        """As far as the log has room."""
        self._make_room()
        if self._joined is None:
            self.done, self.awake, self._noted = run_one(self._reel, signals, self.done, end, watch, self._noted, far)
        else:
            self.done, self.awake = run_many(self._reel, signals, self.done, end, watch, far)

    def _fresh(self) -> Events:
        """The rows of the log that have not been told yet."""
        start, self._told = self._told, int(self._count[0])
        return self._rows[start : self._told]

    def _make_room(self) -> None:
        """For one more moment. Rows are left in the log as long as it has room, so that a short run copies none."""
        if self._count[0] > layout.LOG_ROWS - layout.ROOM:
            if self._filled + self._count[0] > len(self._block):
                self._close_block()
                self._block = np.empty(_BLOCK, layout.EVENT)
            self._block[self._filled : self._filled + self._count[0]] = self._rows[: self._count[0]]
            self._filled += int(self._count[0])
            self._count[0] = self._told = 0

    def _close_block(self) -> None:
        if self._filled:
            self._events.append(self._block[: self._filled])
            self._block, self._filled = np.empty(0, layout.EVENT), 0
