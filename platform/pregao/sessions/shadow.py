"""The challenger in shadow: a session of its own that lives on the journal of the one that it follows.

A shadow trades an account of its own, on the bars that the followed session has journaled, after it has journaled them:
so it can neither touch that session nor see more than it, and needs no line to the market. What it is given depends on
those rows alone; killed and taken up again, today or next week, it comes to the same state.

It asks the model that the alias ``challenger`` points to, and begins with the first bar that this one had not learnt
from. The session's own settings hold for it (money, exits, costs, risk), except that it acts by itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.learning import registry
from pregao.sessions import champion
from pregao.sessions.assembly import assemble, assembled
from pregao.sessions.beside import Others, Stored, of_row
from pregao.sessions.corporate import Row
from pregao.sessions.journal import Journal
from pregao.sessions.records import ENDED, Further, JournalRow
from pregao.sessions.recovery import bar_of, warmed
from pregao.sessions.spec import PaperBroker, Shadow

POLL_S = 5.0
"""The registry is asked for a challenger this often, while there is none."""
AGAIN_S = 30.0
"""A shadow that could not go on is tried again after so long."""
LOOK_S = 30.0
"""A session that has ended waits so long at most for the registry to say whether there is a challenger."""
DRAIN_S = 600.0
"""Longest that a session which has ended waits for its shadow to live through the same bars."""
_ROWS = 500
Run = Callable[..., Any]
Given = tuple[Bar, bool, dict[str, Bar]] | list[Row]


class ShadowFeed:
    """The bars of the followed session, in order, each once.

    Args:
        of: the followed session.
        after_ns: open time of the last bar that is known already.
    """

    def __init__(self, journal: Journal, of: str, after_ns: int) -> None:
        self._journal, self._of, self._after_ns = journal, of, after_ns
        self._seq = 0
        self._stale = False
        self._ready: deque[Given] = deque()
        self.finished = False

    def next(self, timeout_s: float) -> Given | None:
        """The next bar, whether the followed session could not decide on it either (it came late, or while the market
        was not heard), and what its features looked at besides; None if there is none within ``timeout_s`` seconds, or
        ever (``finished``). Splits and dividends that it has learnt of come as rows of their own."""
        if not self._ready:
            self._read()
        if not self._ready and not self.finished:
            threading.Event().wait(timeout_s)
            self._read()
        return self._ready.popleft() if self._ready else None

    def _read(self) -> None:
        ended = self._journal.session(self._of).status in ENDED  # asked before, so that no row is missed
        rows = self._journal.rows(self._of, self._seq, _ROWS)
        for row in rows:
            self._seq = row.seq
            if row.kind == "feed" and row.body["state"] in ("stale", "recovered"):
                self._stale = row.body["state"] == "stale"
            elif row.kind == "actions":
                self._ready.append(row.body["actions"])
            elif row.kind == "bar" and row.body["t"] > self._after_ns:
                self._after_ns = row.body["t"]
                late = bool(row.body.get("late")) or self._stale
                self._ready.append((bar_of(row), late, of_row(row.body.get("x", {}))))
        self.finished = ended and not rows


def before(journal: Journal, of: str, after_ns: int, count: int) -> tuple[list[Bar], list[Others]]:
    """The last ``count`` bars that the followed session knows of, up to the one that opened at ``after_ns``: of its
    journal, and, of a replay, of the store. And what its features looked at besides at each, empty if nothing."""
    row = journal.session(of)
    lived: list[Bar] = []
    warm: Sequence[Bar] = ()
    beside: list[Others] = []
    looked: Sequence[Others] = ()
    for found in every_row(journal, of):
        if found.kind == "warmed":
            warm, looked = warmed([found])[0]
        elif found.kind == "bar" and found.body["t"] <= after_ns:
            lived.append(bar_of(found))
            beside.append(of_row(found.body.get("x", {})))
    if not warm and len(lived) < count:
        part = assembled(row).first
        if part.before is not None:
            tail = part.before[max(len(part.before) - count, 0) :]
            warm = [tail.bar(i) for i in range(len(tail))]
            looked = Stored(part.others).along(warm) if part.others else ()
    every = [*looked, *beside]
    if not any(every):
        return [*warm, *lived][-count:], []
    earlier = {name: bar for others in every[:-count] for name, bar in others.items()}
    every[-count:] = [earlier | dict(every[-count:][0]), *every[-count:][1:]]
    return [*warm, *lived][-count:], every[-count:]


def every_row(journal: Journal, session_id: str) -> Iterator[JournalRow]:
    """A session's rows from the first on, as many as there are."""
    seq = 0
    while rows := journal.rows(session_id, seq, _ROWS):
        yield from rows
        seq = rows[-1].seq


def cast(journal: Journal, session_id: str) -> str | None:
    """The shadow of a session, made if there is a challenger that could take the session's model's place; else None.
    A session of several instruments has none: each of its models would have a challenger of its own.

    Raises:
        PregaoError: if the registry cannot be reached.
    """
    known = journal.shadow_of(session_id)
    if known is not None:
        return known.id
    row = journal.session(session_id)
    name = row.spec.model
    version = champion.current(name, registry.CHALLENGER) if name is not None else None
    if name is None or version is None or row.trading_version is None or row.also:
        return None
    try:
        challenger = champion.loaded(name, version)
        misfit = champion.misfit(challenger, champion.loaded(name, row.trading_version))
    except champion.RegistryAwayError:
        raise
    except PregaoError:
        return None  # damaged or of other features: told where it is used
    if misfit:
        return None
    seen_ns = challenger.meta.get("train_end_ns")
    feed = Shadow(of=session_id, after=_last_seen(journal, session_id, int(seen_ns) if seen_ns is not None else 0))
    spec = row.spec.model_copy(update={"feed": feed, "mode": "auto", "shadow": False, "broker": PaperBroker()})
    parts = assemble(spec, [Further(row.instrument, name, version)])
    return journal.create(parts.spec, row.instrument, version)


def _last_seen(journal: Journal, session_id: str, seen_ns: int) -> int:
    """Open time of the last of the session's bars that closed by then; 0 if none did."""
    last = 0
    for row in every_row(journal, session_id):
        if row.kind == "bar":
            if row.ts_ns > seen_ns:
                break
            last = row.body["t"]
    return last


class Beside:
    """Runs a session's shadow in a thread of its own, once there is a challenger.

    Args:
        run: `pregao.sessions.runtime.run`.
        stop: whether the session's runner is to let go of all.
    """

    def __init__(self, journal: Journal, session_id: str, run: Run, stop: Callable[[], bool]) -> None:
        self._journal, self._session_id, self._run_session, self._stop = journal, session_id, run, stop
        self._first = True
        self._leave = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"shadow of {session_id}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of the shadow; of a session that has ended, once it has lived through the same bars."""
        if self._journal.session(self._session_id).status in ENDED:
            self._looked.wait(LOOK_S)
            until = time.monotonic() + DRAIN_S
            if self._journal.shadow_of(self._session_id) is not None:
                while self._thread.is_alive() and time.monotonic() < until and not self._stop():
                    self._thread.join(POLL_S / 10)
        self._leave.set()
        self._thread.join(30.0)

    def _run(self) -> None:
        while not self._leave.is_set():
            wait_s = POLL_S
            try:
                shadow = self._cast()
                self._looked.set()
                if shadow is not None:
                    self._run_session(shadow, self._journal, stop=self._leave.is_set)
                    return
            except (PregaoError, DBAPIError):
                wait_s = AGAIN_S  # its own page says why, or the registry or the database is away
            self._looked.set()
            self._leave.wait(wait_s)

    def _cast(self) -> str | None:
        """The shadow. Without a challenger only the registry is asked, once for all sessions of the process."""
        name = self._journal.session(self._session_id).spec.model
        if self._first or (name is not None and champion.current(name, registry.CHALLENGER) is not None):
            self._first = False
            return cast(self._journal, self._session_id)
        return None
