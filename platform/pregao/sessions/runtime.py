"""The runner of a session: feed and commands in, one transaction each, until it ends or is told to let go.

Whoever calls `run` first takes the session's next epoch: any other runner's next write fails. The session then goes
on with the bar after the last one journaled, as if nothing had happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from sqlalchemy.exc import DBAPIError, OperationalError

from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError
from pregao.market.feeds import ReplayFeed
from pregao.sessions.assembly import assemble
from pregao.sessions.intents import ask
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Batch, Machine
from pregao.sessions.records import ENDED, Projection, Status
from pregao.sessions.recovery import recover_and_cut
from pregao.sessions.writer import FencedError, UnwritableError, Writer

POLL_S = 0.1
"""Commands are looked for this often."""
HEARTBEAT_S = 2.0
"""A runner without bars shows itself this often."""


@dataclass(frozen=True, slots=True)
class Tick:
    """How a session stands after an event. Money in the quote currency, position in base units."""

    session_id: str
    seq: int
    status: Status
    error: str | None
    bars: int
    bars_total: int
    equity: float
    pnl: float
    position: float
    trades: int


def run(
    session_id: str,
    journal: Journal,
    *,
    stop: Callable[[], bool] = lambda: False,
    on_tick: Callable[[Tick], None] | None = None,
    runner: str = "",
) -> Status:
    """Run a session until it ends.

    Args:
        stop: asked at least four times a second; once it is true the runner lets go, the session keeps its status
            and any runner can take it up again. To end the session itself, send it the command ``stop``.
        on_tick: called after each committed event.
        runner: a name for this process; by default host and process id.

    Returns:
        The session's status: stopped or finished, or, when it let go, running or paused.

    Raises:
        NotFoundError: if there is no such session.
        FencedError: if another runner took the session over; it goes on there.
        UnwritableError: if the database cannot be written; the session can be taken up again.
        PregaoError: if the session cannot go on (a part is missing, the journal is damaged or does not come out
            again); it is marked as failed with this reason.
    """
    ended = journal.session(session_id)
    if ended.status in ENDED:
        return ended.status
    writer = journal.take_ownership(session_id, runner)
    outcome = "killed"
    try:
        session = _Session(journal, writer, on_tick)
        outcome = session.live(stop)
        return session.machine.status
    except (FencedError, UnwritableError) as error:
        outcome = str(error)
        raise
    except Exception as error:  # whatever it is, the session's page must say it; it is raised again
        outcome = str(error) if isinstance(error, PregaoError) else f"{type(error).__name__}: {error}"
        with suppress(DBAPIError):
            writer.fail(outcome)
        raise
    except BaseException as error:  # Ctrl-C or a termination signal: let go, and say so
        outcome = type(error).__name__
        raise
    finally:
        with suppress(DBAPIError):
            writer.release(outcome)


class _Session:
    """A machine, its feed and its writer, together where the journal left them."""

    def __init__(self, journal: Journal, writer: Writer, on_tick: Callable[[Tick], None] | None) -> None:
        self._journal = journal
        self._writer = writer
        self._on_tick = on_tick
        row = journal.session(writer.session_id)
        parts = assemble(row.spec, row.model_version)
        if parts.instrument != row.instrument:
            raise PregaoError(
                f"The trading rules of {row.instrument.symbol} in the store are not those that the session began with.",
                "Ingest it with the same tick and lot size, or start a new session.",
            )
        self._instrument = row.instrument
        self.machine = recover_and_cut(journal, writer, lambda: Machine(parts.spec, parts.desk(), len(parts.bars)))
        writer.refresh(self.machine.projection())
        if self.machine.status == "created":
            self._commit(self.machine.start(int(parts.bars.open_ns[0]), parts.facts()))
        self._feed = ReplayFeed(parts.bars, row.spec.feed.speed, _resume_at(parts.bars, self.machine.last))

    def live(self, stop: Callable[[], bool]) -> str:
        """Go on until the session ends or ``stop`` says so; returns what happened."""
        machine, feed = self.machine, self._feed
        poll_at = beat_at = time.monotonic()
        while not machine.ended:
            if stop():
                return "let go"
            now = time.monotonic()
            if now >= poll_at:
                poll_at = now + POLL_S
                self._obey()
                if machine.ended:
                    break
            bar = feed.next(POLL_S)
            if bar is not None:
                self._commit(machine.bar(bar, lambda b: ask(machine.desk, b, machine.memory)))
                beat_at = now
            elif feed.finished:
                self._commit(machine.finish())
            elif now - beat_at > HEARTBEAT_S:
                beat_at = now
                with suppress(OperationalError):  # a database that stays away shows at the next bar
                    self._writer.heartbeat()
        return machine.status

    def _obey(self) -> None:
        """Carry out the commands that wait, each in a transaction of its own."""
        try:
            waiting = self._journal.inbox(self._writer.session_id)
        except OperationalError:  # as above
            return
        for command in waiting:
            if self.machine.ended:
                return
            batch = self.machine.command(command.kind, command.body)
            self._commit(batch, (command.id, batch.outcome))

    def _commit(self, batch: Batch, command: tuple[int, str] | None = None) -> None:
        projection = self.machine.projection()
        self._writer.append(batch.entries, projection, snapshot=batch.snapshot, trades=batch.trades, command=command)
        if self._on_tick is not None:
            self._on_tick(self._tick(projection))

    def _tick(self, p: Projection) -> Tick:
        money, quantity = self._instrument.money, self._instrument.quantity
        return Tick(
            self._writer.session_id, self._writer.seq, p.status, p.error, p.bars, p.bars_total,
            float(money(p.equity_quanta)), float(money(p.pnl_quanta)), float(quantity(p.position_lots)), p.trades_count,
        )  # fmt: skip


def _resume_at(bars: Bars, last: Bar | None) -> int:
    """Index of the first bar to play. Raises `PregaoError` if the last one lived through is another one now."""
    if last is None:
        return 0
    at = int(np.searchsorted(bars.open_ns, last.open_ns))
    if at >= len(bars) or bars.bar(at) != last:
        when = str(np.datetime64(last.open_ns, "ns").astype("datetime64[m]")).replace("T", " ")
        raise PregaoError(
            f"The bar of {when} UTC in the store is not the one that the session has traded on.",
            "Bring that version of the data back with `pregao data checkout`, or start a new session.",
        )
    return at + 1
