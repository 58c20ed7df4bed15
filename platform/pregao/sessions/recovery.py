"""Recovery: the state of a session from its journal, every recorded output recomputed and compared.

The newest good snapshot is taken, or the beginning; the rows after it are checked against the chain and lived
through again: bars and commands are inputs, the strategy's intents, its state and its faults are inputs too (it is
never asked twice), and every other row must come out as it was recorded, to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.sessions.intents import Decision
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Batch, Machine
from pregao.sessions.records import JournalRow, canonical

_INPUTS = ("started", "bar", "command", "finished")
"""The kinds that begin an event; all rows up to the next of them were caused by it."""


class DivergedError(PregaoError):
    """What the journal recorded is not what this code makes of the same inputs. ``seq`` is the first such row."""

    def __init__(self, row: JournalRow, recomputed: str) -> None:
        super().__init__(
            f"Row {row.seq} ({row.kind}) of session {row.session_id} does not come out again: the journal says "
            f"{row.text[:300]}, recomputed is {recomputed[:300]}.",
            "The strategy, the platform or the database changed under the session; start a new one.",
        )
        self.seq = row.seq


def recover(journal: Journal, session_id: str, make: Callable[[], Machine]) -> Machine:
    """The session's machine as it was after the last journaled row.

    Args:
        make: a machine at its beginning, warmed up.

    Raises:
        DamagedError: if a row does not follow from the one before it.
        DivergedError: if a recorded row does not come out again.
    """
    for seq, state in journal.snapshots(session_id):
        machine = make()
        try:
            machine.restore(state)
        except PregaoError:
            continue  # of another version: an older snapshot or the beginning will do
        replay(machine, journal.verified(session_id, after=seq))
        return machine
    machine = make()
    replay(machine, journal.verified(session_id))
    return machine


def replay(machine: Machine, rows: Iterable[JournalRow]) -> None:
    """Live through recorded rows again; raises `DivergedError` at the first that does not come out."""
    for event in _events(rows):
        batch = _again(machine, event)
        for row, (ts_ns, kind, body) in zip(event, batch.entries, strict=False):
            text = canonical(body)
            if (row.ts_ns, row.kind, row.text) != (ts_ns, kind, text):
                raise DivergedError(row, f"{kind} {text} at {ts_ns} ns")
        if len(event) != len(batch.entries):
            longer = event[min(len(batch.entries), len(event) - 1)]
            raise DivergedError(longer, f"an event of {len(batch.entries)} rows instead of {len(event)}")


def _events(rows: Iterable[JournalRow]) -> Iterator[list[JournalRow]]:
    """The rows of each event together."""
    event: list[JournalRow] = []
    for row in rows:
        if row.kind in _INPUTS and event:
            yield event
            event = []
        event.append(row)
    if event:
        yield event


def _again(machine: Machine, event: list[JournalRow]) -> Batch:
    first = event[0]
    body = first.body
    if first.kind == "started":
        return machine.start(first.ts_ns, body)
    if first.kind == "finished":
        return machine.finish()
    if first.kind == "command":
        return machine.command(body["command"], body["body"])
    if first.kind == "bar":
        bar = Bar(body["t"], first.ts_ns, body["o"], body["h"], body["l"], body["c"], float(body["v"]))
        return machine.bar(bar, lambda _: _recorded(machine, event))
    raise DivergedError(first, "nothing: no event begins with such a row")


def _recorded(machine: Machine, event: list[JournalRow]) -> Decision:
    """What the strategy decided when it was asked."""
    intents = tuple(
        {name: value for name, value in row.body.items() if name not in ("acted", "why", "t")}
        for row in event
        if row.kind == "intent"
    )
    memory = next((str(row.body["state"]) for row in event if row.kind == "memory"), machine.memory)
    if memory != machine.memory:
        machine.desk.strategy.load(json.loads(memory))
    fault = next((row.body for row in event if row.kind == "error"), {"message": "", "traceback": ""})
    return Decision(intents, memory, fault["message"], fault["traceback"])
