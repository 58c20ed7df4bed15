"""The last bars that a strategy may see live: what `Context.closes` and the signals are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe

_COLUMNS = 5  # open time, open, high, low, close


class Window:
    """The last ``size`` bars, oldest first: they slide over a buffer for twice as many."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._whole = np.zeros((_COLUMNS, 2 * size), np.int64)
        self._volume = np.zeros(2 * size)
        self._end = 0

    def append(self, bar: Bar) -> None:
        """Take in one bar; the oldest leaves when the window is full."""
        if self._end == 2 * self.size:
            self._whole[:, : self.size] = self._whole[:, self.size :]
            self._volume[: self.size] = self._volume[self.size :]
            self._end = self.size
        self._whole[:, self._end] = (bar.open_ns, bar.open, bar.high, bar.low, bar.close)
        self._volume[self._end] = bar.volume
        self._end += 1

    @property
    def _rows(self) -> slice:
        return slice(max(self._end - self.size, 0), self._end)

    def closes(self, tick: float) -> NDArray[np.float64]:
        """The closes as prices, shape ``(m,)`` with ``m <= size``, a new array."""
        return self._whole[4, self._rows].astype(np.float64) * tick

    def bars(self, instrument: Instrument, timeframe: Timeframe) -> Bars:
        """The bars, at most ``size``."""
        open_ns, opened, high, low, close = (row.copy() for row in self._whole[:, self._rows])
        volume = self._volume[self._rows].copy()
        return Bars.trusted(instrument, timeframe, open_ns, opened, high, low, close, volume)

    def state(self) -> list[list[int] | list[str]]:
        """The bars as JSON; volumes are texts that keep every bit."""
        return [*self._whole[:, self._rows].tolist(), [repr(v) for v in self._volume[self._rows].tolist()]]

    def restore(self, state: list[list[int] | list[str]]) -> None:
        """Take back what `state` gave."""
        *whole, volume = state
        self._end = min(len(volume), self.size)
        self._whole[:, : self._end] = np.array(whole, np.int64).reshape(_COLUMNS, -1)[:, -self.size :]
        self._volume[: self._end] = np.array([float(v) for v in volume])[-self.size :]
