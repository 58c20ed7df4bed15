"""How long a fetch will take, from how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable

Span = tuple[int, int]


class Pace:
    """The time left of a fetch that fills a span of time.

    Args:
        end_ns: the end of the span, ns since 1970 UTC; None is now.
        clock: seconds, ever growing.
    """

    def __init__(self, end_ns: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._end_ns = min(end_ns, time.time_ns()) if end_ns is not None else time.time_ns()
        self._clock = clock
        self._began = clock()
        self._first: int | None = None

    def told(self, before: Span | None, after: Span) -> str:
        """What to add to a line about a part, such as ``", about 3 min left"``; empty where it cannot be known.

        Args:
            before: the first and last open time that there were before this part, ns; None if there were none.
            after: the same with it.
        """
        if self._first is None:
            self._first = after[0] if before is None else before[1]
        done, left = after[1] - self._first, self._end_ns - after[1]
        if done <= 0 or left <= done / 1_000 or (before is not None and after[1] == before[1]):
            return ""
        seconds = (self._clock() - self._began) * left / done
        return f", about {seconds / 60:,.0f} min left" if seconds >= 90 else f", about {seconds:,.0f} s left"
