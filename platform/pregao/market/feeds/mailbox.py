"""Handing events from the thread that hears a market to the one that reads it, without ever growing without bound."""

from __future__ import annotations

import threading
import time
from collections import deque

from pregao.market.feeds.events import Closed, Event, Forming, Traded

TRADES = 1_000


class Mailbox:
    """A bounded queue that knows what may be dropped.

    Bars and warnings are kept in order and never dropped: a writer asks `full` first, and waits. Of the forming bar
    only the latest is kept, of trades the last `TRADES`; both come after everything else.

    Args:
        size: bars and warnings that may wait.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: deque[Event] = deque()
        self._trades: deque[Traded] = deque(maxlen=TRADES)
        self._forming: Forming | None = None
        self._filled = threading.Condition()

    @property
    def full(self) -> bool:
        """Whether the reader is so far behind that bars must wait."""
        return len(self._kept) >= self.size

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._kept or self._trades or self._forming)

    def put(self, event: Event) -> None:
        """Leave an event for the reader."""
        with self._filled:
            if isinstance(event, Forming):
                self._forming = event
            elif isinstance(event, Traded):
                self._trades.append(event)
            else:
                if isinstance(event, Closed) and self._forming and self._forming.bar.open_ns <= event.bar.open_ns:
                    self._forming = None
                self._kept.append(event)
            self._filled.notify()

    def get(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within ``timeout_s`` seconds."""
        until = time.monotonic() + max(0.0, timeout_s)
        with self._filled:
            while self.empty:
                left = until - time.monotonic()
                if left <= 0:
                    return None
                self._filled.wait(left)
            if self._kept:
                return self._kept.popleft()
            if self._trades:
                return self._trades.popleft()
            forming, self._forming = self._forming, None
            return forming
