"""The market's clock: it stands still until the test moves it, or runs at a rate of its own."""

from __future__ import annotations

import time


class MarketClock:
    """Market time in ms since 1970 UTC.

    Args:
        now_ms: the time it begins with.
        rate: market seconds in a real second; 0 stands still.
    """

    def __init__(self, now_ms: int, rate: float = 0.0) -> None:
        self._base = now_ms
        self._mark = time.monotonic()
        self.rate = rate

    def now(self) -> int:
        return self._base + int((time.monotonic() - self._mark) * 1_000 * self.rate)

    def set(self, now_ms: int) -> None:
        self._base = now_ms
        self._mark = time.monotonic()
