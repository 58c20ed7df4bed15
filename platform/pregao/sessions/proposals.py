"""Entries that wait for a person: one at a time of each instrument, each with its number and its expiry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pregao.sessions.batch import Batch
from pregao.sessions.records import Body, Entry

_TOLD = ("side", "fraction", "p", "ev", "reason", "top")


class Proposal(NamedTuple):
    """An entry that waits for a person. It expires when ``bars_left`` more bars of its instrument have closed."""

    number: int
    bars_left: int
    intent: Body
    book: int = 0


class Proposals:
    """The open proposals of a session, by the instrument's place; what becomes of one is told in rows.

    Args:
        bars: that one waits.
        bar_ns: length of a bar.
        now_ns: the market's time.

    Attributes:
        open: those that wait.
        count: how many there were.
    """

    def __init__(self, bars: int, bar_ns: int, now_ns: Callable[[], int]) -> None:
        self._bars, self._bar_ns, self._now_ns = bars, bar_ns, now_ns
        self.open: dict[int, Proposal] = {}
        self.count = 0

    def make(self, batch: Batch, intent: Body, book: int) -> None:
        """Propose an entry; an older proposal of the same instrument is withdrawn."""
        self.end(batch, "withdrawn", book)
        self.count += 1
        self.open[book] = Proposal(self.count, self._bars, intent, book)
        self._tell(batch, self.open[book], "open")

    def age(self, batch: Batch, book: int) -> None:
        """A bar of an instrument has closed."""
        if book not in self.open:
            return
        proposal = self.open[book]
        self.open[book] = proposal._replace(bars_left=proposal.bars_left - 1)
        if proposal.bars_left <= 1:
            self.end(batch, "expired", book)

    def end(self, batch: Batch, state: str, book: int) -> None:
        """One was approved, rejected, withdrawn, or has expired; where none waits nothing happens."""
        if book in self.open:
            self._tell(batch, self.open[book], state)
            del self.open[book]

    def withdraw(self, batch: Batch) -> None:
        """None can be answered any more."""
        for book in list(self.open):
            self.end(batch, "withdrawn", book)

    def waits(self, side: str, book: int) -> bool:
        """Whether one of an instrument to this side is open already."""
        return book in self.open and self.open[book].intent["side"] == side

    def named(self, body: Body) -> Proposal | None:
        """The proposal that a command means; without a number the oldest."""
        wanted = body.get("proposal")
        if wanted is None:
            return min(self.open.values(), key=lambda each: each.number, default=None)
        return next((proposal for proposal in self.open.values() if proposal.number == wanted), None)

    def refuses(self, body: Body) -> str:
        """Why the proposal that a command names cannot be answered; empty if it can."""
        if not self.open:
            return "there is no open proposal"
        return "" if self.named(body) is not None else f"proposal {body['proposal']} is not open any more"

    def bodies(self) -> list[Body]:
        """The open ones as their rows tell them, oldest first."""
        return [self._body(proposal, "open") for proposal in self._ordered()]

    def state(self) -> tuple[Any, int]:
        """As JSON, for a snapshot."""
        return self._ordered(), self.count

    def restore(self, found: Any, count: int) -> None:
        """Take back what `state` gave."""
        self.open = {proposal.book: proposal for proposal in (Proposal(*each) for each in found)}
        self.count = count

    def _ordered(self) -> list[Proposal]:
        return sorted(self.open.values(), key=lambda each: each.number)

    def _body(self, proposal: Proposal, state: str) -> Body:
        number, left, intent, book = proposal
        expires = self._now_ns() + left * self._bar_ns
        return {name: intent[name] for name in _TOLD} | ({"b": book} if book else {}) | {
            "id": number, "state": state, "bars": left, "expires": expires,
        }  # fmt: skip

    def _tell(self, batch: Batch, proposal: Proposal, state: str) -> None:
        batch.entries.append(Entry(self._now_ns(), "proposal", self._body(proposal, state)))
