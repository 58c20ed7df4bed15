"""The one way to write a session: one event, one transaction, fenced by the epoch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import BigInteger, Connection, Update, bindparam, delete, insert, literal, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from pregao.core.errors import PregaoError
from pregao.sessions import schema
from pregao.sessions.records import Entry, JournalRow, Projection, Trade, canonical, link

if TYPE_CHECKING:
    from pregao.sessions.journal import Journal

KEPT_SNAPSHOTS = 3
_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 5.0, 5.0, 5.0)
"""Waits between attempts while the database cannot be reached."""


_s = schema.sessions.c
_MOVED = ("last_seq", "chain", "updated_ns", "heartbeat_ns", *Projection._fields)
# Built once: building it costs as much as the whole transaction.
_ADVANCE = (
    update(schema.sessions)
    .where(
        _s.id == bindparam("my_id"),
        _s.epoch == bindparam("my_epoch"),
        _s.last_seq == bindparam("my_seq"),
        _s.chain == bindparam("my_chain"),
    )
    .values({name: bindparam(name) for name in _MOVED})
)
_JOURNAL = insert(schema.journal)


LOST = (OperationalError, InterfaceError)
"""What a database says when it cannot be reached, or has dropped the connection; also when its disk is full."""
T = TypeVar("T")


def patiently(ask: Callable[[], T]) -> T:
    """The answer of something that may be done twice, asked again while the database cannot be reached."""
    for wait in _RETRY_S:
        try:
            return ask()
        except LOST as error:
            if is_full(error):
                raise
            time.sleep(wait)
    return ask()


def is_full(error: DBAPIError) -> bool:
    """Whether there is no room left."""
    return "full" in str(error.orig) or "No space left" in str(error.orig)


def _do(connection: Connection, *statements: Update) -> None:
    for statement in statements:
        connection.execute(statement)


class FencedError(PregaoError):
    """Another runner owns the session now; this one must stop and has written nothing since."""


class UnwritableError(PregaoError):
    """The database cannot be written. What was journaled is safe; the session can be taken up again."""


class Writer:
    """The right to write one session, for as long as its epoch is the session's.

    Attributes:
        epoch: the fencing token.
        seq, chain: number and hash of the last row.
    """

    def __init__(self, journal: Journal, session_id: str, epoch: int, seq: int, chain: str) -> None:
        self.journal = journal
        self.session_id = session_id
        self.epoch = epoch
        self.seq = seq
        self.chain = chain

    def append(
        self,
        entries: Sequence[Entry],
        projection: Projection,
        *,
        snapshot: bytes | None = None,
        trades: Sequence[Trade] = (),
        command: tuple[int, str] | None = None,
        cut_after: JournalRow | None = None,
    ) -> None:
        """Journal one event and all that it caused, in one transaction.

        Args:
            entries: the rows, at least one; the last is the ``snapshot`` row if there is a snapshot.
            projection: the session as it stands after them.
            snapshot: the state after them.
            trades: round trips that they closed.
            command: number and outcome of the command that they answer.
            cut_after: the last good row of a damaged journal: all rows after it go to the quarantine, and these
                entries come in their place.

        Raises:
            FencedError: another runner owns the session; nothing was written.
            UnwritableError: the database cannot be written (disk full, or gone for 20 seconds).
        """
        seq, chain = (self.seq, self.chain) if cut_after is None else (cut_after.seq, cut_after.chain)
        rows = []
        for ts_ns, kind, body in entries:
            seq += 1
            text = canonical(body)
            chain = link(chain, seq, ts_ns, kind, text)
            rows.append({"session_id": self.session_id, "seq": seq, "ts_ns": ts_ns, "kind": kind, "body": text,
                         "chain": chain})  # fmt: skip

        def write(connection: Connection) -> None:
            now = self.journal.clock()
            self._advance(connection, seq, chain, now, projection)  # first: a fenced writer must not change anything
            if cut_after is not None:
                self._cut(connection, cut_after, now)
            connection.execute(_JOURNAL, rows)
            if trades:
                each = [{"session_id": self.session_id, "seq": seq, **t._asdict()} for t in trades]
                connection.execute(insert(schema.trades), each)
            if command is not None:
                done = update(schema.commands).where(schema.commands.c.id == command[0])
                connection.execute(done.values(done_ns=now, outcome=command[1]))
            if snapshot is not None:
                self._keep(connection, seq, snapshot)

        self._commit(write, seq, chain)
        self.seq, self.chain = seq, chain

    def heartbeat(self) -> None:
        """Show that the runner lives. Raises `FencedError` if it is not the owner any more."""
        with self.journal.writing() as connection:
            if connection.execute(self._mine().values(heartbeat_ns=self.journal.clock())).rowcount == 0:
                raise self.fenced()

    def refresh(self, projection: Projection) -> None:
        """Show the session as recovery found it; the journal says the same, so nothing is journaled."""

        def write(connection: Connection) -> None:
            if connection.execute(self._mine().values(**projection._asdict())).rowcount == 0:
                raise self.fenced()

        self.journal.transact(write)

    def fail(self, error: str) -> None:
        """Mark the session as failed outside its journal: what went wrong is this machine's, not the market's."""
        failed = self._mine().values(status="failed", error=error, updated_ns=self.journal.clock())
        self.journal.transact(lambda connection: _do(connection, failed))

    def release(self, outcome: str) -> None:
        """Say that this runner has let go, and why. Harmless when another owns the session already."""
        r = schema.runs.c
        tenure = update(schema.runs).where(r.session_id == self.session_id, r.epoch == self.epoch)
        ended = tenure.values(ended_ns=self.journal.clock(), outcome=outcome)
        self.journal.transact(lambda connection: _do(connection, self._mine().values(heartbeat_ns=0, runner=""), ended))

    def _mine(self) -> Update:
        s = schema.sessions.c
        return update(schema.sessions).where(s.id == self.session_id, s.epoch == self.epoch)

    def _advance(self, connection: Connection, seq: int, chain: str, now: int, projection: Projection) -> None:
        """Move the session's row on, if it still is where this writer left it."""
        mine = {"my_id": self.session_id, "my_epoch": self.epoch, "my_seq": self.seq, "my_chain": self.chain}
        moved = {"last_seq": seq, "chain": chain, "updated_ns": now, "heartbeat_ns": now}
        if connection.execute(_ADVANCE, {**mine, **moved, **projection._asdict()}).rowcount == 0:
            raise self.fenced()

    def _cut(self, connection: Connection, good: JournalRow, now: int) -> None:
        """Move all rows after a good one into the quarantine; what was made of them is made again by the replay."""
        j = schema.journal.c
        gone = (j.session_id == self.session_id) & (j.seq > good.seq)
        kept = select(
            j.session_id,
            literal(self.epoch, BigInteger),
            j.seq,
            j.ts_ns,
            j.kind,
            j.body,
            j.chain,
            literal(now, BigInteger),
        )
        names = ("session_id", "epoch", "seq", "ts_ns", "kind", "body", "chain", "cut_ns")
        connection.execute(insert(schema.quarantine).from_select(names, kept.where(gone)))
        for table in (schema.journal, schema.snapshots, schema.trades):
            connection.execute(delete(table).where(table.c.session_id == self.session_id, table.c.seq > good.seq))

    def _keep(self, connection: Connection, seq: int, state: bytes) -> None:
        n = schema.snapshots.c
        digest = hashlib.sha256(state).hexdigest()
        values = {"session_id": self.session_id, "seq": seq, "state": state, "sha256": digest}
        connection.execute(insert(schema.snapshots).values(**values))
        older = select(n.seq).where(n.session_id == self.session_id).order_by(n.seq.desc()).offset(KEPT_SNAPSHOTS)
        oldest = connection.scalar(older.limit(1))
        if oldest is not None:
            connection.execute(delete(schema.snapshots).where(n.session_id == self.session_id, n.seq <= oldest))

    def _commit(self, write: Callable[[Connection], None], seq: int, chain: str) -> None:
        """Run one transaction to a known end: after a lost connection, look whether it was committed."""
        error: DBAPIError | None = None
        for wait in (*_RETRY_S, None):
            try:
                if error is not None and self._is_at(seq, chain):
                    return
                self.journal.transact(write)
                return
            except LOST as caught:
                error = caught
                if is_full(caught):
                    break
            if wait is not None:
                time.sleep(wait)
        assert error is not None
        reason = str(error.orig).strip().split("\n")[0]
        raise UnwritableError(
            f"Session {self.session_id} cannot be journaled: {reason}.",
            "Free disk space or bring the database back; then `pregao trade resume` goes on where it was.",
        ) from error

    def _is_at(self, seq: int, chain: str) -> bool:
        """Whether the session stands at this row; raises `FencedError` if another runner has taken it."""
        row = self.journal.session(self.session_id)
        if row.epoch != self.epoch:
            raise self.fenced()
        return (row.last_seq, row.chain) == (seq, chain)

    def fenced(self) -> FencedError:
        """What to raise once another runner owns the session."""
        return FencedError(
            f"Another runner has taken session {self.session_id} over from this one (epoch {self.epoch}).",
            "Nothing to do: the other one goes on with it.",
        )
