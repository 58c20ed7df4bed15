"""Many sessions in one process: a thread each, one feed a market, shared commits, one heartbeat for all.

Each session has its own epoch, journal and chain, and its strategy a process of its own, as when it runs alone: what
one of them does to itself the others do not notice. A host takes sessions that nobody attends to, until it has its
share of them; it holds nothing that is not in the database, so that another goes on with what it leaves.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from pregao.core.errors import PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions import hosts
from pregao.sessions.following import Asked
from pregao.sessions.journal import Journal
from pregao.sessions.places import Followed
from pregao.sessions.records import ENDED, SessionRow
from pregao.sessions.resources import resources
from pregao.sessions.runtime import Tick, run
from pregao.sessions.sharing import SharedFeeds
from pregao.sessions.spec import Live
from pregao.sessions.writer import LOST, FencedError, Writer, patiently

CAPACITY = 100
"""Sessions that a host takes unless told otherwise."""
ROUND_S = 0.2
"""Commands are looked for this often, in one question for all sessions."""
BEAT_S = 2.0
TAKE_S = 1.0
"""Sessions that nobody runs are looked for this often."""
STARTING = 8
"""Sessions that recover at once."""
AGAIN_S = 30.0
"""A session that this host could not run is tried again after so long."""
UNATTENDED_S = 30.0
_WEIGH_S = 60.0
_STUCK_S = 60.0
"""A session whose loop has not turned for so long, and twice its strategy's deadline, is not shown as alive."""
_RECOVERS_S = 600.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Seat:
    """A session at its host."""

    session_id: str
    epoch: int
    patience_s: float
    thread: threading.Thread | None = None
    began: float = field(default_factory=time.monotonic)
    turned: float | None = None
    fenced: bool = False
    error: BaseException | None = None

    def turns(self) -> bool:
        """Whether its loop has gone round lately, or it may still be recovering."""
        if self.turned is None:
            return time.monotonic() - self.began < _RECOVERS_S
        return time.monotonic() - self.turned < self.patience_s


class Host:
    """Runs sessions until told to stop; also the `places.Place` of each of them.

    Args:
        url: of the database; by default the installation's own.
        capacity: sessions that it takes at most.
        only: the sessions to run; it ends with them. None takes any that nobody runs.
        flow: it runs under Prefect, see `hosts.HostRow.flow`.
        on_tick: called after each committed event of any session, in that session's thread.

    Attributes:
        name: of its row.
    """

    poll_s = 0.25

    def __init__(
        self,
        url: str | None = None,
        *,
        capacity: int = CAPACITY,
        only: Collection[str] | None = None,
        flow: bool = False,
        on_tick: Callable[[Tick], None] | None = None,
    ) -> None:
        self.journal = Journal(url, together=True)
        self.runner = f"{socket.gethostname()}:{os.getpid()}"
        self.name = f"{self.runner}:{secrets.token_hex(2)}"
        self.feeds = SharedFeeds()
        self._capacity = capacity if only is None else len(only)
        self._only = None if only is None else frozenset(only)
        self._flow = flow
        self._on_tick = on_tick
        self._seats: dict[str, _Seat] = {}
        self._called: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._go = threading.Event()
        self._row = hosts.HostRow(self.name, self.runner, flow, self._capacity, 0, 0, None, 0, 0, 0)

    @property
    def sessions(self) -> list[str]:
        """The sessions that it runs."""
        return list(self._seats)

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Take sessions and run them, until ``stop`` says so or all of ``only`` have ended."""
        now = self.journal.clock()
        self._row = self._row._replace(started_ns=now, heartbeat_ns=now)
        patiently(lambda: hosts.enter(self.journal, self._row))
        beat_at = take_at = weigh_at = time.monotonic()
        try:
            while not stop():
                at = time.monotonic()
                with suppress(*LOST):  # a database that stays away shows in each session
                    if at >= weigh_at:
                        weigh_at = at + _WEIGH_S
                        weight = resources()
                        self._row = self._row._replace(memory_bytes=weight.memory_bytes, cpu_ms=weight.cpu_ms)
                    self._collect()
                    if at >= take_at:
                        take_at = at + TAKE_S
                        if self._take() and not self._seats:
                            return
                    if at >= beat_at:
                        beat_at = at + BEAT_S
                        self._beat()
                    self._called = hosts.called(self.journal, list(self._seats)) if self._seats else set()
                time.sleep(ROUND_S)
        finally:
            self._let_go()

    # As the sessions' place

    def follow(
        self, feed: Live, instrument: Instrument, timeframe: Timeframe, after_ns: int, unheard: bool
    ) -> Followed:
        """See `places.Place.follow`: one feed a market."""
        return self.feeds.follow(feed, instrument, timeframe, after_ns, unheard)

    def history(self, feed: Live, timeframe: Timeframe, count: int) -> Asked:
        """See `places.Place.history`: asked once for all that begin at the same time."""
        return self.feeds.history(feed, timeframe, count)

    def called(self, session_id: str) -> bool:
        """See `places.Place.called`."""
        self._seats[session_id].turned = time.monotonic()
        return session_id in self._called

    def beat(self, writer: Writer) -> None:
        """See `places.Place.beat`: the host does it for all."""
        if self._seats[writer.session_id].fenced:
            raise writer.fenced()

    # Its own round

    def _take(self) -> bool:
        """Take what is free, up to its share; whether all that it was told to run has ended."""
        free = hosts.free(self.journal, self._only, UNATTENDED_S if self._only is None else 0.0)
        now = time.monotonic()
        free = [row for row in free if row.id not in self._seats and self._not_before.get(row.id, 0.0) <= now]
        live = hosts.live_hosts(self.journal) if self._only is None else []
        most = hosts.share(live, self.name, self._capacity, len(free))
        starting = sum(seat.turned is None for seat in self._seats.values())
        for row in free[: max(min(most - len(self._seats), STARTING - starting), 0)]:
            self._seat(row)
        if self._only is None:
            return False
        return all(self.journal.session(each).status in (*ENDED, "failed") for each in self._only)

    def _seat(self, row: SessionRow) -> None:
        seat = _Seat(row.id, row.epoch + 1, max(_STUCK_S, 2 * row.spec.deadline + 10))
        seat.thread = threading.Thread(target=self._live, args=(seat,), name=f"session {row.id}", daemon=True)
        self._seats[row.id] = seat
        seat.thread.start()

    def _live(self, seat: _Seat) -> None:
        try:
            status = run(
                seat.session_id, self.journal, stop=self._go.is_set, on_tick=self._on_tick, runner=self.runner,
                place=self, at_epoch=seat.epoch - 1,
            )  # fmt: skip
            _log.info("Session %s: %s", seat.session_id, status)
        except BaseException as error:  # it hurts only its session, whose row and page tell it
            seat.error = error
            said = str(error) if isinstance(error, PregaoError) else f"{type(error).__name__}: {error}"
            _log.warning("Session %s left this host: %s", seat.session_id, said)

    def _collect(self) -> None:
        """Forget the sessions that have ended here; one that could not go on is left alone for a while."""
        for seat in list(self._seats.values()):
            if seat.thread is not None and not seat.thread.is_alive():
                del self._seats[seat.session_id]
                if seat.error is not None and not isinstance(seat.error, FencedError):
                    self._not_before[seat.session_id] = time.monotonic() + AGAIN_S

    def _beat(self) -> None:
        self._row = self._row._replace(sessions=len(self._seats))
        turning = {seat.session_id: seat.epoch for seat in self._seats.values() if seat.turns()}
        for lost in hosts.beat(self.journal, self._row, turning):
            seat = self._seats.get(lost)
            if seat is not None and seat.turned is not None:
                seat.fenced = True

    def _let_go(self) -> None:
        """Every session lets go between two events; all are waited for."""
        self._go.set()
        for seat in list(self._seats.values()):
            if seat.thread is not None:
                seat.thread.join(seat.patience_s)
        with suppress(DBAPIError):
            hosts.leave(self.journal, self.name)
        self.journal.close()
