"""The challenger in shadow: a session of its own that lives on the journal of the one that it follows.

A shadow trades an account of its own, on the bars that the followed session has journaled, after it has journaled them:
so it can neither touch that session nor see more than it, and needs no line to the market. What it is given depends on
those rows alone; killed and taken up again, today or next week, it comes to the same state.

It asks the model that the alias ``challenger`` points to, and begins with the first bar that this one had not learnt
from; of several instruments those whose model has no challenger are traded by the session's own. The session's own
settings hold for it (money, exits, costs, risk), except that it acts by itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.learning import registry
from pregao.sessions import champion
from pregao.sessions.assembly import assemble, assembled
from pregao.sessions.beside import Others, Stored, of_row
from pregao.sessions.corporate import Row
from pregao.sessions.journal import Journal
from pregao.sessions.records import ENDED, Body, Further, JournalRow
from pregao.sessions.recovery import bar_of, warmed
from pregao.sessions.spec import PaperBroker, Shadow
from pregao.strategies.contract import Model

POLL_S = 5.0
"""The registry is asked for a challenger this often, while there is none."""
AGAIN_S = 30.0
"""A shadow that could not go on is tried again after so long."""
LOOK_S = 30.0
"""A session that has ended waits so long at most for the registry to say whether there is a challenger."""
DRAIN_S = 600.0
"""Longest that a session which has ended waits for its shadow to live through the same bars."""
_ROWS = 500
"""Rows of a journal that are read at a time."""
_OF_AN_INSTRUMENT = ("feed", "actions", "bar", "warmed")
Run = Callable[..., Any]


class Lived(NamedTuple):
    """Bars that closed together, as the followed session lived through them.

    Attributes:
        bars: by the instruments' places.
        late: that session could not decide on them either: they came late, or while a market was not heard.
        beside: what the features of each instrument looked at besides.
    """

    bars: dict[int, Bar]
    late: bool
    beside: dict[int, dict[str, Bar]]


class Learnt(NamedTuple):
    """Splits and dividends of an instrument that the followed session has learnt of."""

    number: int
    rows: list[Row]


class Late(NamedTuple):
    """A bar that came after the followed session's account had gone on without it: the body of its row."""

    body: Body


Given = Lived | Learnt | Late


class ShadowFeed:
    """What the followed session has lived through, in order: each moment once, what is learnt of in between as often as
    it is read.

    Args:
        of: the followed session.
        after_ns: open time of the last moment that is known already.
    """

    def __init__(self, journal: Journal, of: str, after_ns: int) -> None:
        self._journal, self._of, self._after_ns = journal, of, after_ns
        self._seq = 0
        self._stale: set[int] = set()
        self._ready: deque[Given] = deque()
        self.finished = False

    def next(self, timeout_s: float) -> Given | None:
        """What it lived through next; None if that is nothing within ``timeout_s`` seconds, or ever (``finished``)."""
        if not self._ready:
            self._read()
        if not self._ready and not self.finished:
            threading.Event().wait(timeout_s)
            self._read()
        return self._ready.popleft() if self._ready else None

    def _read(self) -> None:
        ended = self._journal.session(self._of).status in ENDED  # asked before, so that no row is missed
        rows = self._journal.rows(self._of, self._seq, _ROWS)
        if len(rows) == _ROWS and rows[-1].kind == "bar":  # the rest of its moment may come with the next
            while "eq" not in rows.pop().body:
                pass
        for row in rows:
            self._seq = row.seq
            number = row.body.get("b", 0) if row.kind in _OF_AN_INSTRUMENT else 0
            if row.kind == "feed" and row.body["state"] == "stale":
                self._stale.add(number)
            elif row.kind == "feed" and row.body["state"] == "recovered":
                self._stale.discard(number)
            elif row.kind == "feed" and row.body["state"] == "passed":
                self._ready.append(Late(row.body))
            elif row.kind == "actions":
                self._ready.append(Learnt(number, row.body["actions"]))
            elif row.kind == "bar" and row.body["t"] > self._after_ns:
                self._after_ns = row.body["t"]
                self._ready.append(Lived({}, bool(row.body.get("late")), {}))
                self._add(row, number)
            elif row.kind == "bar" and row.body["t"] == self._after_ns and "eq" not in row.body:
                self._add(row, number)
        self.finished = ended and not rows

    def _add(self, row: JournalRow, number: int) -> None:
        """A bar of the moment that was read last, if that has not been given yet."""
        lived = self._ready[-1] if self._ready else None
        if isinstance(lived, Lived):
            lived.bars[number] = bar_of(row)
            lived.beside[number] = of_row(row.body.get("x", {}))
            self._ready[-1] = lived._replace(late=lived.late or number in self._stale)


def before(journal: Journal, of: str, after_ns: int, count: int, number: int) -> tuple[list[Bar], list[Others]]:
    """The last ``count`` bars that the followed session knows of an instrument, up to the one that opened at
    ``after_ns``: of its journal, and, of a replay, of the store. And what its features looked at besides at each, empty
    if nothing."""
    row = journal.session(of)
    lived: list[Bar] = []
    warm: Sequence[Bar] = ()
    beside: list[Others] = []
    looked: Sequence[Others] = ()
    for found in every_row(journal, of):
        if found.kind not in _OF_AN_INSTRUMENT or found.body.get("b", 0) != number:
            continue
        if found.kind == "warmed":
            warm, looked = warmed([found])[number]
        elif found.kind == "bar" and found.body["t"] <= after_ns:
            lived.append(bar_of(found))
            beside.append(of_row(found.body.get("x", {})))
    if not warm and len(lived) < count:
        part = assembled(row).parts[number]
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
    """The shadow of a session, made if there is a challenger that could take a model's place in it; else None.

    Raises:
        PregaoError: if the registry cannot be reached.
    """
    known = journal.shadow_of(session_id)
    if known is not None:
        return known.id
    row = journal.session(session_id)
    cast_of, seen_ns = list(row.traded_by), 0
    for number, (instrument, name, version) in enumerate(row.traded_by):
        challenger = _challenger(name, version)
        if challenger is not None:
            cast_of[number] = Further(instrument, name, str(challenger.version))
            seen_ns = max(seen_ns, int(challenger.meta.get("train_end_ns") or 0))
    if tuple(cast_of) == row.traded_by:
        return None
    feed = Shadow(of=session_id, after=_last_seen(journal, session_id, seen_ns))
    spec = row.spec.model_copy(update={"feed": feed, "mode": "auto", "shadow": False, "broker": PaperBroker()})
    parts = assemble(spec, cast_of)
    return journal.create(parts.spec, row.instrument, cast_of[0].version, parts.also())


def _challenger(name: str | None, version: str | None) -> Model | None:
    """The challenger that could take the place of a version of a model; None without one."""
    found = champion.current(name, registry.CHALLENGER) if name is not None else None
    if name is None or version is None or found is None:
        return None
    try:
        challenger = champion.loaded(name, found)
        return None if champion.misfit(challenger, champion.loaded(name, version)) else challenger
    except champion.RegistryAwayError:
        raise
    except PregaoError:
        return None  # damaged or of other features: told where it is used


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
        names = {name for _, name, _ in self._journal.session(self._session_id).traded_by if name is not None}
        if self._first or any(champion.current(name, registry.CHALLENGER) is not None for name in names):
            self._first = False
            return cast(self._journal, self._session_id)
        return None
