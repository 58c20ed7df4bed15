"""Another instrument beside one's own: its last closed bar, as known at each close of one's own bars."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError, UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STALE = 60
"""A close older than so many bar lengths is missing: what the market was then says nothing of now."""
_DAMAGED = "The saved state of the other instrument is damaged."


class Beside:
    """The closes of another instrument, aligned to one's own bars by the time at which they are known.

    A bar of the other instrument counts from the moment on at which it closes, never before; it may be given early
    or late. Only closes that are still to be used are kept.

    Args:
        bar_ns: length of both instruments' bars.
    """

    def __init__(self, bar_ns: int) -> None:
        self._bar_ns = bar_ns
        self._at: list[int] = []
        self._close: list[float] = []

    def observe(self, bar: Bar) -> None:
        """Take in its next closed bar. Raises `UsageError` if it is of another length, or not later than the last."""
        self._check(bar.close_ns - bar.open_ns, bar.close_ns)
        self._at.append(bar.close_ns)
        self._close.append(float(bar.close))

    def observe_all(self, bars: Bars) -> None:
        """Take in its next closed bars; errors as of `observe`."""
        if len(bars):
            self._check(bars.timeframe.ns, int(bars.close_ns[0]))
            self._at += bars.close_ns.tolist()
            self._close += bars.close.astype(np.float64).tolist()

    def _check(self, length: int, close_ns: int) -> None:
        if length != self._bar_ns:
            raise UsageError(
                f"The other instrument's bars last {length / 1e9:g} s, one's own {self._bar_ns / 1e9:g} s.",
                "Give both in the same timeframe.",
            )
        if self._at and close_ns <= self._at[-1]:
            raise UsageError("A bar of the other instrument came again, or after a later one.", "Give them in order.")

    def known(self, close_ns: int) -> tuple[float, float]:
        """Its last close at or before ``close_ns`` in its ticks, and its age in bar lengths; NaN if none or stale."""
        last = bisect_right(self._at, close_ns) - 1
        if last > 0:  # what came before is never asked for again
            del self._at[:last], self._close[:last]
            last = 0
        if last < 0:
            return np.nan, np.nan
        age = (close_ns - self._at[0]) / self._bar_ns
        return (self._close[0], age) if age <= STALE else (np.nan, np.nan)

    def align(self, close_ns: Ints) -> Floats:
        """`known` of each of one's own next bars, ascending; shape ``(n, 2)``."""
        found = np.full((len(close_ns), 2), np.nan)
        at, close = np.array(self._at, np.int64), np.array(self._close)
        last = np.searchsorted(at, close_ns, side="right") - 1
        some = last >= 0
        age = (close_ns[some] - at[last[some]]) / self._bar_ns
        found[some] = np.where((age <= STALE)[:, None], np.column_stack([close[last[some]], age]), np.nan)
        if some.any():
            del self._at[: last[-1]], self._close[: last[-1]]
        return found

    def to_bytes(self) -> bytes:
        """The closes kept: their number, their times, their ticks; little-endian."""
        times, closes = np.array(self._at, "<i8"), np.array(self._close, "<f8")
        return len(self._at).to_bytes(8, "little") + times.tobytes() + closes.tobytes()

    def from_bytes(self, raw: bytes) -> None:
        """Take back what `to_bytes` gave; raises `PregaoError` if it is damaged."""
        count = int.from_bytes(raw[:8], "little")
        if len(raw) != 8 + 16 * count:
            raise PregaoError(_DAMAGED)
        self._at = np.frombuffer(raw, "<i8", count, 8).tolist()
        self._close = np.frombuffer(raw, "<f8", count, 8 + 8 * count).tolist()
