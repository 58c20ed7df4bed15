"""How often a visitor may ask, and how long one who guesses passwords has to wait."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

KEPT = 10_000
"""Visitors that are remembered; of more, the one that was not seen for longest is forgotten."""
BURST_S = 4.0
"""Seconds of requests that may be made at once."""
FREE_GUESSES = 4
LONGEST_WAIT_S = 900.0


class Pace:
    """A bucket of requests for each visitor, filled at ``rate`` a second up to ``BURST_S`` seconds' worth."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, visitor: str) -> float:
        """Take one request out of a visitor's bucket; 0.0, or in how many seconds there will be one."""
        if self.rate <= 0:
            return 0.0
        now, most = self._clock(), max(self.rate * BURST_S, 1.0)
        left, seen = self._buckets.pop(visitor, (most, now))
        left = min(most, left + (now - seen) * self.rate)
        wait = 0.0 if left >= 1 else (1 - left) / self.rate
        _remember(self._buckets, visitor, (left if wait else left - 1, now))
        return wait


class Guesses:
    """Wrong passwords by address: after `FREE_GUESSES` each costs twice the wait of the one before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds until an address may guess again."""
        return max(0.0, self._wrong.get(address, (0, 0.0))[1] - self._clock())

    def wrong(self, address: str) -> None:
        """It has guessed wrong."""
        times = self._wrong.pop(address, (0, 0.0))[0] + 1
        wait = min(2.0 ** (times - FREE_GUESSES), LONGEST_WAIT_S) if times >= FREE_GUESSES else 0.0
        _remember(self._wrong, address, (min(times, 64), self._clock() + wait))

    def right(self, address: str) -> None:
        """It has given the password."""
        self._wrong.pop(address, None)


def _remember(kept: OrderedDict[str, T], name: str, value: T) -> None:
    kept[name] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)
