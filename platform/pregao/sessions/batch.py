"""What one input of a session caused: rows, trades, a snapshot, written together or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field

from pregao.sessions.records import Entry, Trade


@dataclass
class Batch:
    """What one input caused, to be written in one transaction.

    Attributes:
        entries: the rows, the input's first.
        trades: round trips that it closed.
        snapshot: the state after it, if a snapshot is due; its row is the last.
        outcome: of a command: ``done``, or why it was refused.
    """

    entries: list[Entry] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    snapshot: bytes | None = None
    outcome: str = "done"
