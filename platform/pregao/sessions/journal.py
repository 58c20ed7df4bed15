"""The journal: every session's append-only, hash-chained rows, and the one way to write them.

One market event is one transaction: the row of the event, the rows of all that it caused, the projection, the
snapshot if one is due, the command it answers. A `Writer` holds the session's epoch; once another runner has taken
the next epoch, its appends fail with `FencedError` and change nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil
from sqlalchemy import Connection, Engine, Select, bindparam, insert, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from pregao.core.errors import PregaoError, UsageError, unknown
from pregao.core.instrument import Instrument, folder_name, quantum_of
from pregao.sessions import schema
from pregao.sessions.database import open_database
from pregao.sessions.records import (
    ACTIVE,
    ENDED,
    OFFERED,
    Command,
    CommandKind,
    Further,
    JournalRow,
    Projection,
    Run,
    SessionRow,
    Status,
    Trade,
    canonical,
    genesis,
    link,
)
from pregao.sessions.spec import SessionSpec
from pregao.sessions.together import Together
from pregao.sessions.writer import FencedError, Writer
from pregao.settings import settings


class DamagedError(PregaoError):
    """A journal's row does not follow from the one before: it was damaged or edited. ``seq`` is its number, ``why``
    what is wrong with it."""

    def __init__(self, session_id: str, seq: int, why: str) -> None:
        super().__init__(
            f"The journal of session {session_id} is damaged at row {seq}: {why}.",
            "The rows before it are good; restore the database from a backup, or start a new session.",
        )
        self.seq = seq
        self.why = why


class TakenError(UsageError):
    """There is a session of this id already."""


class Journal:
    """The sessions' database. Safe to use from several threads and processes; open one per process.

    Args:
        url: SQLAlchemy URL; by default the installation's own, see `Settings.sessions_url`.
        clock: wall clock in ns, for heartbeats and times of creation only.
        together: sessions of several threads share their commits, see `together.Together`.
    """

    def __init__(
        self, url: str | None = None, clock: Callable[[], int] = time.time_ns, *, together: bool = False
    ) -> None:
        self.url = url or settings().sessions_url
        self.clock = clock
        self.engine: Engine = open_database(self.url)
        self.together = Together(self.writing) if together else None

    def close(self) -> None:
        """Let go of the database's connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries. Raises `PregaoError` if the database's file is damaged."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            self._name_damage(error)
            raise

    def _name_damage(self, error: DatabaseError) -> None:
        """Say in a sentence that the file is damaged; of anything else (a lock, a lost connection) nothing is said."""
        if type(error) is DatabaseError:
            raise PregaoError(
                f"The sessions' database {self.engine.url.render_as_string()} is damaged: {error.orig}.",
                "Bring a copy of it back, or move it away to begin anew.",
            ) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at the end of the block."""
        try:
            with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
                yield connection
        except DatabaseError as error:
            self._name_damage(error)
            raise

    def transact(self, write: Callable[[Connection], None]) -> None:
        """Run one write in a transaction, which may be shared with other sessions of this process."""
        if self.together is not None:
            self.together.run(write)
            return
        with self.writing() as connection:
            write(connection)

    def create(
        self,
        spec: SessionSpec,
        instrument: Instrument,
        model_version: str | None = None,
        also: Sequence[Further] = (),
        *,
        bars_total: int = 0,
        suffix: str = "",
    ) -> str:
        """A new session, not yet run; returns its id, such as ``edge-usdt-7f3a``.

        Args:
            also: what it trades besides.
            suffix: the end of the id, in place of four random digits.

        Raises:
            TakenError: if there is a session of this id already; only with a ``suffix``.
        """
        cash = int(spec.cash / instrument.quantum)
        asked: dict[str, Any] = {
            "spec": canonical(spec.model_dump(mode="json")),
            "instrument": canonical(instrument.to_json()),
            "model_version": model_version,
            "also": canonical([(f.instrument.to_json(), f.model, f.version) for f in also]) if also else None,
        }
        row = {
            "created_ns": self.clock(),
            **asked,
            "epoch": 0,
            "runner": "",
            "heartbeat_ns": 0,
            "last_seq": 0,
            "chain": genesis(**asked),
            "updated_ns": self.clock(),
        }
        row |= Projection("created", None, 0, bars_total, 0, cash, 0, 0, 0, 0, 0)._asdict()
        while True:
            session_id = f"{folder_name(instrument.symbol).lower()[:60]}-{suffix or secrets.token_hex(2)}"
            try:
                with self.writing() as connection:
                    connection.execute(insert(schema.sessions).values(id=session_id, **row))
            except IntegrityError:
                if suffix:
                    raise TakenError(f"There is a session {session_id} already.") from None
                continue  # the id is taken
            return session_id

    def sessions(self, statuses: Iterable[Status] | None = None) -> list[SessionRow]:
        """All sessions, or those of some statuses, newest first."""
        query = select(schema.sessions).order_by(schema.sessions.c.created_ns.desc(), schema.sessions.c.id)
        if statuses is not None:
            query = query.where(schema.sessions.c.status.in_(list(statuses)))
        with self.reading() as connection:
            return [_session(row) for row in connection.execute(query).mappings()]

    def named(self, pattern: str) -> str | None:
        """The id of a session by SQL's ``LIKE``; None if there is none."""
        with self.reading() as connection:
            found: str | None = connection.scalar(
                select(schema.sessions.c.id).where(schema.sessions.c.id.like(pattern))
            )
        return found

    def shadow_of(self, session_id: str) -> SessionRow | None:
        """The shadow of a session, see `pregao.sessions.shadow`; None if it has none."""
        s = schema.sessions.c
        query = select(schema.sessions).where(s.spec.contains(f'"of":{canonical(session_id)}', autoescape=True))
        with self.reading() as connection:
            found = [_session(row) for row in connection.execute(query.order_by(s.created_ns)).mappings()]
        return next((row for row in found if row.shadow_of == session_id), None)

    def session(self, session_id: str) -> SessionRow:
        """One session; raises `NotFoundError` naming the latest ones."""
        with self.reading() as connection:
            found = connection.execute(_one(session_id)).mappings().first()
            if found is not None:
                return _session(found)
            latest = select(schema.sessions.c.id).order_by(schema.sessions.c.created_ns.desc()).limit(8)
            known = list(connection.scalars(latest))
        raise unknown("session", session_id, known, "" if known else "Start one with `pregao trade start`.")

    def rows(self, session_id: str, after: int = 0, limit: int = 1_000) -> list[JournalRow]:
        """The journal's rows with ``seq > after``, ascending, at most ``limit``."""
        j = schema.journal.c
        query = select(j.seq, j.ts_ns, j.kind, j.body, j.chain)
        query = query.where(j.session_id == session_id, j.seq > after).order_by(j.seq).limit(limit)
        with self.reading() as connection:
            found = connection.execute(query).all()  # at once: one by one takes twice as long
        return [JournalRow(session_id, *row) for row in found]

    def tail_start(self, session_id: str, n: int) -> int:
        """The seq after which the last ``n`` rows come, for `rows`."""
        last = select(schema.sessions.c.last_seq).where(schema.sessions.c.id == session_id)
        with self.reading() as connection:
            return max(int(connection.scalar(last) or 0) - n, 0)

    def trades(self, session_id: str, last: int | None = None) -> list[Trade]:
        """The closed round trips, or the last so many, oldest first."""
        t = schema.trades.c
        query = select(*(t[name] for name in Trade._fields)).where(t.session_id == session_id)
        with self.reading() as connection:
            found = connection.execute(query.order_by(t.number.desc()).limit(last))
            return [Trade(*row) for row in found][::-1]

    def runs(self, session_id: str) -> list[Run]:
        """Which processes ran the session, oldest first."""
        r = schema.runs.c
        query = select(*(r[name] for name in Run._fields)).where(r.session_id == session_id).order_by(r.epoch)
        with self.reading() as connection:
            return [Run(*row) for row in connection.execute(query)]

    def command(self, session_id: str, kind: CommandKind, body: dict[str, Any] | None = None) -> int:
        """Put a command into the session's inbox; returns its number.

        The same command that still waits is not put there twice: its number is returned.

        Raises:
            NotFoundError: if there is no such session.
            UsageError: if the session has ended.
        """
        row = self.session(session_id)
        if row.status in ENDED:
            raise UsageError(f"Session {session_id} has ended ({row.status}), so it takes no {kind}.")
        c, text = schema.commands, canonical(body or {})
        with self.writing() as connection:
            waiting = select(c.c.id).where(c.c.session_id == session_id, c.c.kind == kind, c.c.body == text)
            number = connection.scalar(waiting.where(c.c.done_ns.is_(None)))
            if number is None:
                values = {"session_id": session_id, "kind": kind, "body": text, "asked_ns": self.clock()}
                number = connection.execute(insert(c).values(**values)).inserted_primary_key[0]  # type: ignore[index]
        return int(number)

    def inbox(self, session_id: str) -> list[Command]:
        """The commands that wait for the session's runner, oldest first."""
        with self.reading() as connection:
            return [_command(row) for row in connection.execute(_INBOX, {"my_id": session_id})]

    def answer(self, number: int) -> Command:
        """A command by its number, with its outcome once the runner has taken it."""
        with self.reading() as connection:
            row = connection.execute(_commands().where(schema.commands.c.id == number)).first()
        if row is None:
            raise unknown("command", str(number), [])
        return _command(row)

    def attended(self, row: SessionRow, within_s: float = 30.0) -> bool:
        """Whether a process runs the session, as far as can be told from here.

        True if it is new, or its runner has shown itself, less than ``within_s`` seconds ago; false at once if the
        runner was a process of this machine that is gone.
        """
        if not row.active or row.runner == OFFERED:
            return False
        host, _, process = row.runner.rpartition(":")
        if host == socket.gethostname() and process.isdigit() and not psutil.pid_exists(int(process)):
            return False
        return self.clock() - max(row.heartbeat_ns, row.created_ns) <= within_s * 1e9

    def unattended(self, after_s: float = 30.0) -> list[SessionRow]:
        """The sessions that should be running and that no process attends to, see `attended`.

        A shadow runs with the session that it follows, and is on its own only once that one has ended.
        """
        rows = self.sessions(ACTIVE)
        active = {row.id for row in rows}
        on_their_own = [row for row in rows if row.shadow_of not in active]
        return [row for row in on_their_own if not self.attended(row, after_s)]

    def take_ownership(self, session_id: str, runner: str = "", at_epoch: int | None = None) -> Writer:
        """Become the only process that can write this session, whoever did before.

        Args:
            at_epoch: take it only if its epoch is still this one: of several that saw it unattended, one gets it.

        Raises:
            NotFoundError: if there is no such session.
            FencedError: if its epoch is not ``at_epoch``.
        """
        s = schema.sessions.c
        runner = runner or f"{socket.gethostname()}:{os.getpid()}"
        self.session(session_id)
        took = update(schema.sessions).where(s.id == session_id)
        if at_epoch is not None:
            took = took.where(s.epoch == at_epoch)
        took = took.values(epoch=s.epoch + 1, runner=runner, heartbeat_ns=self.clock())
        found: dict[str, Any] = {}

        def write(connection: Connection) -> None:
            if connection.execute(took).rowcount == 0:
                raise FencedError(f"Another runner has taken session {session_id} first.", "Nothing to do.")
            found.update(connection.execute(_one(session_id)).mappings().one())
            tenure = {"epoch": found["epoch"], "runner": runner, "from_seq": found["last_seq"]}
            connection.execute(insert(schema.runs).values(session_id=session_id, started_ns=self.clock(), **tenure))

        self.transact(write)
        return Writer(self, session_id, found["epoch"], found["last_seq"], found["chain"])

    def snapshots(self, session_id: str) -> list[tuple[int, bytes]]:
        """The kept snapshots whose SHA-256 is right and is the one that the journal names, newest first."""
        n, j = schema.snapshots.c, schema.journal.c
        query = (
            select(n.seq, n.state, n.sha256, j.body)
            .join_from(schema.snapshots, schema.journal, (n.session_id == j.session_id) & (n.seq == j.seq))
            .where(n.session_id == session_id, j.kind == "snapshot")
            .order_by(n.seq.desc())
        )
        good = []
        with self.reading() as connection:
            for seq, state, sha256, body in connection.execute(query):
                digest = hashlib.sha256(state).hexdigest()
                if digest == sha256 == json.loads(body).get("sha256"):
                    good.append((int(seq), bytes(state)))
        return good

    def quarantined(self, session_id: str) -> list[JournalRow]:
        """The rows that were cut off the journal because it was damaged, in the order in which they were cut off."""
        q = schema.quarantine.c
        query = select(q.seq, q.ts_ns, q.kind, q.body, q.chain)
        with self.reading() as connection:
            found = connection.execute(query.where(q.session_id == session_id).order_by(q.epoch, q.seq))
            return [JournalRow(session_id, *row) for row in found]

    def verified(self, session_id: str, after: int = 0, batch: int = 2_000) -> Iterator[JournalRow]:
        """The rows with ``seq > after``, each held against the chain; the head is held against the session's row.

        Row ``after`` itself is taken as good. Raises `DamagedError` at the first row that does not follow.
        """
        row = self.session(session_id)
        chain, seq = self._genesis(session_id), 0
        if after:
            before = self.rows(session_id, after - 1, 1)
            if not before or before[0].seq != after:
                raise DamagedError(session_id, after, "it is missing")
            chain, seq = before[0].chain, after
        while rows := self.rows(session_id, seq, batch):
            for found in rows:
                if found.seq != seq + 1:
                    raise DamagedError(session_id, seq + 1, "it is missing")
                if link(chain, found.seq, found.ts_ns, found.kind, found.text) != found.chain:
                    raise DamagedError(session_id, found.seq, self._why(found, row))
                chain, seq = found.chain, found.seq
                yield found
        if seq < row.last_seq:
            raise DamagedError(session_id, seq + 1, "it is missing")
        now = row if seq == row.last_seq else self.session(session_id)  # its runner may have gone on meanwhile
        if seq > now.last_seq or (seq == now.last_seq and chain != now.chain):
            raise DamagedError(session_id, seq, "it is not the session's last")

    def _genesis(self, session_id: str) -> str:
        s = schema.sessions.c
        with self.reading() as connection:
            query = select(s.spec, s.instrument, s.model_version, s.also).where(s.id == session_id)
            asked = connection.execute(query).one()
        return genesis(*asked)

    def _why(self, bad: JournalRow, session: SessionRow) -> str:
        """What has become of a row that does not follow from the one before: if what comes after it follows from the
        hash that stands in it, only its content is another one."""
        after = self.rows(bad.session_id, bad.seq, 1)
        if after:
            n = after[0]
            kept = link(bad.chain, n.seq, n.ts_ns, n.kind, n.text) == n.chain
        else:
            kept = session.chain == bad.chain
        return f"this {bad.kind} was changed after it was written" if kept else "its hash is wrong"


def _one(session_id: str) -> Select[Any]:
    return select(schema.sessions).where(schema.sessions.c.id == session_id)


def _commands() -> Select[Any]:
    return select(*(schema.commands.c[name] for name in Command._fields))


_INBOX = (
    _commands()
    .where(schema.commands.c.session_id == bindparam("my_id"), schema.commands.c.done_ns.is_(None))
    .order_by(schema.commands.c.id)
)


def _command(row: Any) -> Command:
    found = Command(*row)
    return found._replace(body=json.loads(row.body))


def _session(row: Any) -> SessionRow:
    values = dict(row)
    values["spec"] = SessionSpec.model_validate_json(values["spec"])
    first = Instrument.model_validate_json(values["instrument"])
    also = [Further(Instrument.model_validate(i), *rest) for i, *rest in json.loads(values["also"] or "[]")]
    quantum = quantum_of([first, *(each.instrument for each in also)])
    values["instrument"] = first.counted(quantum)
    values["also"] = tuple(each._replace(instrument=each.instrument.counted(quantum)) for each in also)
    values["proposal"] = json.loads(values["proposal"]) if values["proposal"] else None
    values["details"] = json.loads(values["details"]) if values["details"] else {}
    return SessionRow(**values)
