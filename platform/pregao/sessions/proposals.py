"""Entries that wait for a person: one at a time, each with its number and its expiry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pregao.sessions.batch import Batch
from pregao.sessions.records import Body, Entry

_TOLD = ("side", "fraction", "p", "ev", "reason", "top")


class Proposal(NamedTuple):
    """An entry that waits for a person. It expires when ``bars_left`` more bars have closed."""

    number: int
    bars_left: int
    intent: Body


class Proposals:
    """The open proposal of a session, if there is one; what becomes of it is told in rows.

    Args:
        bars: that one waits.
        bar_ns: length of a bar.
        now_ns: the market's time.

    Attributes:
        open: the one that waits.
        count: how many there were.
    """

    def __init__(self, bars: int, bar_ns: int, now_ns: Callable[[], int]) -> None:
        self._bars, self._bar_ns, self._now_ns = bars, bar_ns, now_ns
        self.open: Proposal | None = None
        self.count = 0

    def make(self, batch: Batch, intent: Body) -> None:
        """Propose an entry; an older proposal is withdrawn."""
        self.end(batch, "withdrawn")
        self.count += 1
        self.open = Proposal(self.count, self._bars, intent)
        self._tell(batch, "open")

    def age(self, batch: Batch) -> None:
        """A bar has closed."""
        if self.open is None:
            return
        self.open = self.open._replace(bars_left=self.open.bars_left - 1)
        if self.open.bars_left <= 0:
            self.end(batch, "expired")

    def end(self, batch: Batch, state: str) -> None:
        """It was approved, rejected, withdrawn, or has expired; without one nothing happens."""
        if self.open is not None:
            self._tell(batch, state)
            self.open = None

    def waits(self, side: str) -> bool:
        """Whether one to this side is open already."""
        return self.open is not None and self.open.intent["side"] == side

    def refuses(self, body: Body) -> str:
        """Why the proposal that a command names cannot be answered; empty if it can."""
        wanted = body.get("proposal")
        if self.open is None:
            return "there is no open proposal"
        if wanted is not None and wanted != self.open.number:
            return f"proposal {wanted} is not open any more"
        return ""

    def body(self, state: str = "open") -> Body | None:
        """The open one as its row tells it; None without one."""
        if self.open is None:
            return None
        number, left, intent = self.open
        expires = self._now_ns() + left * self._bar_ns
        return {name: intent[name] for name in _TOLD} | {
            "id": number, "state": state, "bars": left, "expires": expires,
        }  # fmt: skip

    def state(self) -> tuple[Any, int]:
        """As JSON, for a snapshot."""
        return self.open, self.count

    def restore(self, found: Any, count: int) -> None:
        """Take back what `state` gave."""
        self.open = None if found is None else Proposal(*found)
        self.count = count

    def _tell(self, batch: Batch, state: str) -> None:
        body = self.body(state)
        assert body is not None
        batch.entries.append(Entry(self._now_ns(), "proposal", body))
