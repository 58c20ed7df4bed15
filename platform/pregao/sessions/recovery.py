"""Recovery: the state of a session from its journal, every recorded output recomputed and compared.

The newest good snapshot is taken, or the beginning; the rows after it are checked against the chain and lived
through again: bars and commands are inputs, the strategy's intents, its state and its faults are inputs too (it is
never asked twice), and every other row must come out as it was recorded, to the byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.sessions.batch import Batch
from pregao.sessions.beside import of_row
from pregao.sessions.intents import Decision
from pregao.sessions.journal import DamagedError, Journal
from pregao.sessions.machine import Machine
from pregao.sessions.records import Body, Entry, JournalRow, canonical
from pregao.sessions.writer import Writer

_MANY = 10**9
_INPUTS = ("started", "bar", "command", "finished", "cut", "feed", "model", "broker", "actions")
"""The kinds that begin an event; all rows up to the next of them were caused by it. Of bars that closed together only
the first does: it has the account."""


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
        make: a machine at its beginning.

    Raises:
        DamagedError: if a row does not follow from the one before it.
        DivergedError: if a recorded row does not come out again.
    """
    machine, seq = _restored(journal, session_id, make)
    replay(machine, journal.verified(session_id, after=seq))
    return machine


def recover_and_cut(journal: Journal, writer: Writer, make: Callable[[], Machine]) -> Machine:
    """The same of a session that is to go on, also if its journal is damaged: it is cut at the last good event.

    The rows after it go to the quarantine, and a row of the kind ``cut`` says why. An event that the damage may have
    shortened is cut off with it: whether more rows belonged to it cannot be told.

    Raises:
        DamagedError: if there is no whole event before the damage.
        DivergedError: if a recorded row does not come out again.
    """
    session_id = writer.session_id
    machine, seq = _restored(journal, session_id, make)
    good: JournalRow | None = journal.rows(session_id, seq - 1, 1)[0] if seq else None
    try:
        for event in _events(journal.verified(session_id, after=seq)):
            relive(machine, event)
            good = event[-1]
    except DamagedError as damage:
        if good is None:
            raise
        batch = machine.cut(_told(journal, damage, good))
        writer.append(batch.entries, machine.projection(), cut_after=good)
    return machine


def _restored(journal: Journal, session_id: str, make: Callable[[], Machine]) -> tuple[Machine, int]:
    """A machine in the state of the newest snapshot that can be read, and its row; at the beginning if none can."""
    for seq, state in journal.snapshots(session_id):
        machine = make()
        try:
            machine.restore(state)
        except PregaoError:
            continue  # of another version: an older snapshot or the beginning will do
        return machine, seq
    return make(), 0


def _told(journal: Journal, damage: DamagedError, good: JournalRow) -> Body:
    """What the row ``cut`` says: why, and which rows are in the quarantine now."""
    cut = journal.rows(good.session_id, good.seq, _MANY)
    text = "".join(f"{row.seq}\n{row.ts_ns}\n{row.kind}\n{row.text}\n{row.chain}\n" for row in cut)
    return {
        "row": damage.seq, "why": damage.why, "from": good.seq + 1, "to": cut[-1].seq if cut else good.seq,
        "rows": len(cut), "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip


def replay(machine: Machine, rows: Iterable[JournalRow]) -> None:
    """Live through recorded rows again; raises `DivergedError` at the first that does not come out."""
    for event in _events(rows):
        relive(machine, event)


def relive(machine: Machine, event: Sequence[JournalRow]) -> None:
    """Live through one recorded event again; raises `DivergedError` if it does not come out."""
    batch = _again(machine, event)
    for row, entry in zip(event, batch.entries, strict=False):
        if not _same(row, entry):
            raise DivergedError(row, f"{entry.kind} {canonical(entry.body)} at {entry.ts_ns} ns")
    if len(event) != len(batch.entries):
        longer = event[min(len(batch.entries), len(event) - 1)]
        raise DivergedError(longer, f"an event of {len(batch.entries)} rows instead of {len(event)}")


def _same(row: JournalRow, entry: Entry) -> bool:
    if (row.ts_ns, row.kind) != (entry.ts_ns, entry.kind):
        return False
    if row.kind == "snapshot" and row.body.get("state", 1) != entry.body["state"]:
        return bool(row.body["bars"] == entry.body["bars"])  # of another release: its bytes cannot come out again
    return row.text == canonical(entry.body)


def _events(rows: Iterable[JournalRow]) -> Iterator[list[JournalRow]]:
    """The rows of each event together."""
    event: list[JournalRow] = []
    for row in rows:
        if event and row.kind in _INPUTS and (row.kind != "bar" or "eq" in row.body):
            yield event
            event = []
        event.append(row)
    if event:
        yield event


def _again(machine: Machine, event: Sequence[JournalRow]) -> Batch:
    first = event[0]
    body = first.body
    if first.kind == "started":
        return machine.start(first.ts_ns, body, warmed(event))
    if first.kind == "finished":
        return machine.finish()
    if first.kind == "command":
        return machine.command(body["command"], body["body"])
    if first.kind == "cut":
        return machine.cut(body)
    if first.kind == "model":
        return machine.offered(body, None)
    if first.kind == "feed":
        return machine.feed(body)
    if first.kind == "actions":
        return machine.actions(body)
    if first.kind == "broker":
        return machine.broker(body)
    if first.kind == "bar":
        came = [row for row in event if row.kind == "bar"]
        bars = {row.body.get("b", 0): bar_of(row) for row in came}
        beside = {row.body.get("b", 0): of_row(row.body["x"]) for row in came if "x" in row.body}
        return machine.moment(
            bars, lambda book, bar: _recorded(machine, book, bar, event), body.get("late", False), beside
        )
    raise DivergedError(first, "nothing: no event begins with such a row")


def bar_of(row: JournalRow) -> Bar:
    """The bar of a journal's row."""
    body = row.body
    return Bar(body["t"], row.ts_ns, body["o"], body["h"], body["l"], body["c"], float(body["v"]))


def warmed(rows: Iterable[JournalRow]) -> dict[int, tuple[list[Bar], list[dict[str, Bar]]]]:
    """What a session was warmed up on, as `Machine.start` takes it."""
    found = {}
    for row in rows:
        if row.kind == "warmed":
            bars = [Bar._make([*values[:-1], float(values[-1])]) for values in row.body["bars"]]
            found[row.body.get("b", 0)] = bars, [of_row(others) for others in row.body.get("beside", [])]
    return found


def _recorded(machine: Machine, number: int, bar: Bar, event: Sequence[JournalRow]) -> Decision:
    """What the strategy at an instrument decided when it was asked."""
    book = machine.books[number]
    book.desk.due(bar)
    own = [row for row in event if row.kind in ("intent", "memory", "error") and row.body.get("b", 0) == number]
    intents = tuple(
        {name: value for name, value in row.body.items() if name not in ("acted", "why", "t", "limit", "left", "b")}
        for row in own
        if row.kind == "intent"
    )
    memory = next((str(row.body["state"]) for row in own if row.kind == "memory"), book.memory)
    if memory != book.memory:
        book.desk.strategy.load(json.loads(memory))
    fault = next((row.body for row in own if row.kind == "error"), {"message": "", "traceback": ""})
    return Decision(intents, memory, fault["message"], fault["traceback"])
