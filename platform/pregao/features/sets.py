"""Named feature sets: a compiled step, its definition, and its two drivers, `FeatureSet.batch` and `FeatureStream`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError, unknown
from pregao.features import core25

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """A set of features, made by one compiled step.

    Attributes:
        name: what a model or a strategy asks for.
        version: raised whenever a formula changes.
        formulas: feature name -> formula, in the order of the vector.
        warmup: bars until no feature is missing for want of history; the features depend on no older bar.
        state_size: length of the step's float64 state; all zeros is the beginning.
        step, loop: the compiled functions, as in `pregao.features.core25`.
    """

    name: str
    version: int
    formulas: dict[str, str]
    warmup: int
    state_size: int
    step: Callable[..., None]
    loop: Callable[..., None]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of the vector, shape ``(k,)``."""
        return tuple(self.formulas)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the definition: name, version, warm-up and formulas in their order. Stored with each model."""
        definition = [self.name, self.version, self.warmup, list(self.formulas.items())]
        return hashlib.sha256(json.dumps(definition).encode()).hexdigest()

    def batch(self, bars: Bars) -> Floats:
        """The features of every bar, shape ``(n, k)``; row ``i`` uses bars up to ``i`` only, NaN where missing."""
        return self.stream(bars.timeframe.seconds).extend(bars)

    def stream(self, bar_seconds: int) -> FeatureStream:
        """A stream at its beginning, for bars of this length."""
        return FeatureStream(self, bar_seconds)


class FeatureStream:
    """The features of one instrument bar by bar: the same step as `FeatureSet.batch`, one call a bar."""

    def __init__(self, features: FeatureSet, bar_seconds: int) -> None:
        self.features = features
        self._bar_ns = bar_seconds * 1_000_000_000
        self._state = np.zeros(features.state_size)
        self._width = len(features.names)

    def update(self, bar: Bar) -> Floats:
        """Take the next closed bar; returns its features, a new array of shape ``(k,)``.

        Raises:
            PregaoError: if the bar is not as long as the stream's bars.
        """
        if bar.close_ns - bar.open_ns != self._bar_ns:
            length, wanted = (bar.close_ns - bar.open_ns) / 1e9, self._bar_ns // 10**9
            raise PregaoError(f"A bar of {length:g} s came into a stream of {wanted} s bars.")
        out = np.empty(self._width)
        self.features.step(self._state, bar.close_ns, bar.open, bar.high, bar.low, bar.close, float(bar.volume), out)
        return out

    def extend(self, bars: Bars) -> Floats:
        """Take the next closed bars at once; their features, shape ``(n, k)``: what `update` would give of each."""
        out = np.empty((len(bars), self._width))
        columns = (bars.close_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
        self.features.loop(self._state, *(np.ascontiguousarray(column) for column in columns), out)
        return out

    def to_bytes(self) -> bytes:
        """The whole state: the set's hash, the length of a bar, the step's state, little-endian."""
        return self._head() + self._state.astype("<f8").tobytes()

    def from_bytes(self, raw: bytes) -> None:
        """Take back what `to_bytes` gave: the stream goes on as the saved one would have.

        Raises:
            PregaoError: if it was saved by another definition of the features, for another length of bar, or is
                cut short; the stream stays as it was.
        """
        head = self._head()
        if raw[: len(head)] != head or len(raw) != len(head) + self._state.nbytes:
            raise PregaoError(
                "The saved features belong to another version of Pregão or another timeframe, or are damaged.",
                "Start a new session, or go back to the version that saved them.",
            )
        self._state = np.frombuffer(raw, "<f8", offset=len(head)).astype(np.float64)

    def _head(self) -> bytes:
        return bytes.fromhex(self.features.hash) + self._bar_ns.to_bytes(8, "little")


FEATURE_SETS = {
    core25.NAME: FeatureSet(
        core25.NAME, core25.VERSION, core25.FORMULAS, core25.WARMUP, core25.STATE_SIZE, core25.step, core25.loop
    )
}
"""The sets by name. `core25` is the default."""


def feature_set(name: str) -> FeatureSet:
    """The set of this name. Raises `NotFoundError` listing the known ones."""
    if name not in FEATURE_SETS:
        raise unknown("feature set", name, list(FEATURE_SETS))
    return FEATURE_SETS[name]
