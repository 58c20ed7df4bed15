"""The courier: reads journals after the fact and sends what is new to each target, at least once and in order.

For each target it keeps how far it has told each session and the registry (``var/private/notified.json``). That is
written after a message was taken: a courier that is killed between the two sends that one message again, and nothing
else is ever repeated or left out. A target that does not answer is tried again, later each time, and gets what it has
missed as one message; the others do not wait for it. One process at a time is the courier.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from pregao import private
from pregao.core.errors import PregaoError
from pregao.sessions import schema
from pregao.sessions.journal import Journal
from pregao.sessions.notify import messages, targets
from pregao.sessions.notify.messages import TOPIC_OF
from pregao.sessions.notify.targets import Plan, Target
from pregao.sessions.records import JournalRow, SessionRow
from pregao.sessions.views import view

log = logging.getLogger("pregao.notify")

FILE = "notified"
PAUSE_S = 2.0
"""Seconds between two looks: what happens within is told in one message."""
REGISTRY_S = 15.0
"""Seconds between two looks into the registry."""
WAITS_S = (5.0, 30.0, 120.0, 600.0)
"""How long a target that did not take a message is left alone, the last for ever after."""
ROWS = 2_000
"""Rows of one session told at once at most."""


class Promotion(NamedTuple):
    """A model's champion: its version, who promoted it (``gate`` or ``person``), and when, ns since 1970."""

    name: str
    version: str
    by: str
    ns: int


class Courier:
    """Brings notifications; `step` does one round, `run` goes on until it is told to end.

    Args:
        journal: the sessions' database.
        champions: each model's latest promotion; by default the registry's.
    """

    def __init__(self, journal: Journal, champions: Callable[[], list[Promotion]] | None = None) -> None:
        self.journal = journal
        self._champions = champions or promotions
        self._refused: dict[str, tuple[int, float]] = {}
        self._asked_registry = -REGISTRY_S
        self._promoted: list[Promotion] = []

    def run(self, stop: threading.Event) -> None:
        """Bring notifications until ``stop`` is set; whatever fails is logged and tried again.

        While another process is the courier, it waits for its turn.
        """
        path = private.path_of("courier").with_suffix(".lock")
        while not stop.wait(PAUSE_S):
            try:
                if not targets.plan().on:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    while not stop.is_set() and self.step():
                        stop.wait(PAUSE_S)
                except BlockingIOError:
                    continue
                finally:
                    os.close(lock)
            except (PregaoError, OSError, DBAPIError) as error:
                log.warning("notifications wait: %s", error)
                stop.wait(WAITS_S[0])

    def step(self) -> bool:
        """One round over all targets; False if notifications are off."""
        plan = targets.plan()
        if not plan.on:
            return False
        due = [target for target in plan.targets if time.monotonic() >= self._refused.get(target.id, (0, 0.0))[1]]
        if due:
            sessions = self.journal.sessions()
            told = private.read(FILE)
            for target in due:
                self._serve(target, plan, sessions, told.get(target.id, {}))
        return True

    def _serve(self, target: Target, plan: Plan, sessions: list[SessionRow], told: dict[str, Any]) -> None:
        """Send what a target has not been told; stop at the first message that it does not take."""
        begun_ns = max(plan.since_ns, int(target.added * 1e9))
        known: dict[str, int] = told.get("sessions", {})
        seen: dict[str, int] = {}
        try:
            for session in reversed(sessions):  # the oldest first
                # One that is older than the wish to be told begins with what comes next.
                first = 0 if session.created_ns >= begun_ns else session.last_seq
                after = known.get(session.id, first)
                if session.id not in known or after < session.last_seq:
                    self._tell_session(target, plan, session, after, seen)
            if "promotions" in plan.topics:
                self._tell_promotions(target, plan, told.get("promotions", {}), begun_ns)
        except PregaoError as error:
            times = self._refused.get(target.id, (0, 0.0))[0]
            wait = WAITS_S[min(times, len(WAITS_S) - 1)]
            self._refused[target.id] = (times + 1, time.monotonic() + wait)
            log.warning("notification not sent, tried again in %.0f s: %s", wait, error.message)
        else:
            self._refused.pop(target.id, None)
        finally:
            self._note(target, "sessions", seen)

    def _tell_session(self, target: Target, plan: Plan, session: SessionRow, after: int, seen: dict[str, int]) -> None:
        rows, last = self._news(session.id, after)
        shown = [view(row, *session.instruments) for row in rows]
        message = messages.of_session(session, shown, plan.topics, plan.language)
        if message is not None:
            targets.send(target.id, message.title, message.body)
            self._note(target, "sessions", {session.id: last})
        seen[session.id] = last

    @staticmethod
    def _note(target: Target, what: str, reached: dict[str, int]) -> None:
        """Write down how far a target has been told."""
        if reached:
            with private.changing(FILE) as document:
                document.setdefault(target.id, {}).setdefault(what, {}).update(reached)

    def _tell_promotions(self, target: Target, plan: Plan, told: dict[str, int], begun_ns: int) -> None:
        if time.monotonic() - self._asked_registry >= REGISTRY_S:
            self._promoted, self._asked_registry = self._champions(), time.monotonic()
        for new in sorted(self._promoted, key=lambda one: one.ns):
            if new.ns > told.get(new.name, begun_ns):
                message = messages.of_promotion(new.name, new.version, new.by, plan.language)
                targets.send(target.id, message.title, message.body)
                self._note(target, "promotions", {new.name: new.ns})

    def _news(self, session_id: str, after: int) -> tuple[list[JournalRow], int]:
        """The rows to be told after a number, and the number up to which they are all."""
        j = schema.journal.c
        query = (
            select(j.seq, j.ts_ns, j.kind, j.body, j.chain)
            .where(j.session_id == session_id, j.seq > after, j.kind.in_(tuple(TOPIC_OF)))
            .order_by(j.seq)
            .limit(ROWS)
        )
        last = self.journal.tail_start(session_id, 0)  # before the rows: what is committed meanwhile comes next time
        with self.journal.reading() as connection:
            rows = [JournalRow(session_id, *row) for row in connection.execute(query)]
        if len(rows) == ROWS:
            return rows, rows[-1].seq
        return [row for row in rows if row.seq <= last], max(last, after)


def promotions() -> list[Promotion]:
    """The registry's champions."""
    from pregao.learning import registry

    return [
        Promotion(model.name, model.version, str(model.promotion.get("by", "")), int(model.promotion["ns"]))
        for model in registry.list_models()
        if registry.CHAMPION in model.aliases and "ns" in model.promotion
    ]
