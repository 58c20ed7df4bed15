"""The features of one instrument bar by bar: the driver of a set's steps, for a live bar and for history alike."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.features.beside import Beside
from pregao.features.family import COLUMNS, INPUTS, Family

if TYPE_CHECKING:
    from pregao.features.sets import FeatureSet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Hours = Callable[[Ints, Ints], Floats]
"""Of bars' open and close times (ns since 1970 UTC, ascending, each of shape ``(n,)``): seconds from the open of the
trading session to the bar's close, and seconds that the session lasts, shape ``(n, 2)``; NaN outside of one.
`pregao.market.hours.TradingHours` is one."""

_CHUNK = 4_096
_CLOSE_AT = struct.Struct("<q")
_ROW = struct.Struct("<5d")


class _Part:
    """One family of a set: its state, where its features go, and a row of memory for a live bar."""

    def __init__(self, family: Family, at: int) -> None:
        self.family, self.at, self.run = family, at, family.run
        self.state = np.zeros(family.state_size)
        self.state[1 : 1 + len(family.parameters)] = family.parameters
        self.width = COLUMNS + sum(INPUTS[name] for name in family.inputs)
        self.memory = bytearray(8 * self.width)
        self.row = np.frombuffer(self.memory, np.float64).reshape(1, self.width)


class FeatureStream:
    """The features of one instrument, one closed bar after the other.

    Args:
        features: the set.
        bar_seconds: the length of the bars.
        hours: when the instrument trades, for sets that ask for ``hours``.

    Raises:
        UsageError: if the set asks for hours and there are none.
    """

    def __init__(self, features: FeatureSet, bar_seconds: int, hours: Hours | None = None) -> None:
        self.features = features
        self._bar_ns = bar_seconds * 1_000_000_000
        self._width = len(features.names)
        self._hours = hours
        self._beside = {name: Beside(self._bar_ns) for name in features.others}
        if "hours" in features.inputs and hours is None:
            raise UsageError(
                f"The feature set {features.name!r} needs the trading hours of the instrument.",
                "Give `hours`, see pregao.market.hours.",
            )
        self._parts: list[_Part] = []
        at = 0
        for family in features.families:
            self._parts.append(_Part(family, at))
            at += len(family.formulas)
        self._close_memory = bytearray(8)
        self._close_ns = np.frombuffer(self._close_memory, np.int64)

    def observe(self, name: str, bar: Bar) -> None:
        """Take in the next closed bar of another instrument, by the name of the input that it is (``market``).

        It counts for own bars that close with it or later. Raises `UsageError` if the set has no such input, or for
        a bar that is not as long as the own ones or not later than the last.
        """
        self._other(name).observe(bar)

    def _other(self, name: str) -> Beside:
        if name not in self._beside:
            raise UsageError(
                f"The feature set {self.features.name!r} looks at no other instrument {name!r}.",
                f"It looks at: {', '.join(self._beside) or 'none'}.",
            )
        return self._beside[name]

    def update(self, bar: Bar) -> Floats:
        """Take the next closed bar; returns its features, a new array of shape ``(k,)``.

        Raises:
            PregaoError: if the bar is not as long as the stream's bars.
        """
        opened, closed, *prices, volume = bar
        if closed - opened != self._bar_ns:
            raise self._odd(closed - opened)
        _CLOSE_AT.pack_into(self._close_memory, 0, closed)
        out = np.empty(self._width)
        side = self._side_of(closed) if self.features.inputs else {}
        for part in self._parts:
            _ROW.pack_into(part.memory, 0, *prices, volume)
            if part.family.inputs:
                part.row[0, COLUMNS:] = np.concatenate([side[name] for name in part.family.inputs])
            part.run(part.state, self._bar_ns, self._close_ns, part.row, out, part.at, self._width)
        return out

    def _odd(self, length_ns: int) -> PregaoError:
        wanted = self._bar_ns // 10**9
        return PregaoError(f"A bar of {length_ns / 1e9:g} s came into a stream of {wanted} s bars.")

    def _side_of(self, close_ns: int) -> dict[str, Floats]:
        side = {name: np.array(other.known(close_ns)) for name, other in self._beside.items()}
        if self._hours is not None:
            side["hours"] = self._hours(self._close_ns - self._bar_ns, self._close_ns)[0]
        return side

    def extend(self, bars: Bars, others: Mapping[str, Bars] | None = None) -> Floats:
        """Take the next closed bars at once; their features, shape ``(n, k)``: what `update` would give of each.

        Args:
            others: the next bars of other instruments, by the name of the input that they are; see `observe`.

        Raises:
            PregaoError: if the bars are not as long as the stream's.
        """
        if bars.timeframe.ns != self._bar_ns:
            raise self._odd(bars.timeframe.ns)
        for name, other in (others or {}).items():
            self._other(name).observe_all(other)
        out = np.empty((len(bars), self._width))
        flat, close_ns = out.reshape(-1), bars.close_ns
        side = {name: other.align(close_ns) for name, other in self._beside.items()}
        if "hours" in self.features.inputs and self._hours is not None:
            side["hours"] = self._hours(bars.open_ns, close_ns)
        for start in range(0, len(bars), _CHUNK):
            rows = slice(start, start + _CHUNK)
            columns = [column[rows] for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
            table = np.column_stack([np.asarray(column, np.float64) for column in columns])
            for part in self._parts:
                wide = np.hstack([table, *(side[name][rows] for name in part.family.inputs)])
                at = start * self._width + part.at
                part.run(part.state, self._bar_ns, close_ns[rows], wide, flat, at, self._width)
        return out

    def to_bytes(self) -> bytes:
        """The whole state: the set's hash, the length of a bar, each family's state, the other instruments' closes."""
        states = [part.state.astype("<f8").tobytes() for part in self._parts]
        return b"".join([self._head(), *states, *(other.to_bytes() for other in self._beside.values())])

    def from_bytes(self, raw: bytes) -> None:
        """Take back what `to_bytes` gave: the stream goes on as the saved one would have.

        Raises:
            PregaoError: if it was saved by another definition of the features, for another length of bar, or is
                cut short; the stream stays as it was.
        """
        head = self._head()
        end = len(head) + sum(part.state.nbytes for part in self._parts)
        # One other instrument at most is known as an input, so what is left is its own.
        if raw[: len(head)] != head or len(raw) < end or (not self._beside and len(raw) != end):
            raise PregaoError(
                "The saved features belong to another version of Pregão or another timeframe, or are damaged.",
                "Start a new session, or go back to the version that saved them.",
            )
        for other in self._beside.values():
            other.from_bytes(raw[end:])
        at = len(head)
        for part in self._parts:
            part.state = np.frombuffer(raw, "<f8", len(part.state), at).astype(np.float64)
            at += part.state.nbytes

    def _head(self) -> bytes:
        return bytes.fromhex(self.features.hash) + self._bar_ns.to_bytes(8, "little")
