"""What the sessions' database holds, as objects: sessions, journal rows, commands, trades. And the hash chain."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

from pregao.core.instrument import Instrument, names_of
from pregao.core.timeframe import Timeframe
from pregao.learning.naming import model_name
from pregao.sessions.spec import SessionSpec

Status = Literal["created", "running", "paused", "stopped", "finished", "failed"]
ACTIVE: tuple[Status, ...] = ("created", "running", "paused")
"""The statuses of sessions that have not ended."""
ENDED: tuple[Status, ...] = ("stopped", "finished")
"""The statuses of sessions that never go on; a failed one goes on once the cause is mended."""

OFFERED = "a host is awaited"
"""In the place of a runner's name: the session waits for any host to take it, see `pregao.sessions.hosts`."""

CommandKind = Literal["pause", "resume", "stop", "flatten", "approve", "reject"]
COMMANDS: tuple[CommandKind, ...] = ("pause", "resume", "stop", "flatten", "approve", "reject")

Body = dict[str, Any]


# Made once: `json.dumps` makes its own anew at each call, and a replay has millions of them.
_spelled = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(body: Any) -> str:
    """JSON with one spelling only: sorted keys, no spaces, ASCII."""
    return _spelled(body)


def genesis(spec: str, instrument: str, model_version: str | None, also: str | None = None) -> str:
    """The chain's value before the first row: SHA-256 of what the session was asked to do.

    The session's id is not part of it, so two sessions that were asked the same and lived through the same have
    the same chain, row for row.

    Args:
        spec, instrument, also: canonical JSON as it is stored: read and written again by a later release, which knows
            more fields, it could be another text. A session of one instrument has no ``also``.
    """
    further = f'"also":{also},' if also is not None else ""
    asked = f'{{{further}"instrument":{instrument},"model_version":{canonical(model_version)},"spec":{spec}}}'
    return hashlib.sha256(f"pregao.journal.1\n{asked}".encode()).hexdigest()


def link(chain: str, seq: int, ts_ns: int, kind: str, text: str) -> str:
    """The chain's next value: SHA-256 of the value before and the whole row."""
    return hashlib.sha256(f"{chain}\n{seq}\n{ts_ns}\n{kind}\n{text}".encode()).hexdigest()


class Entry(NamedTuple):
    """A row to be journaled; its place in the chain is given to it when it is written."""

    ts_ns: int
    kind: str
    body: Body


class _Written(NamedTuple):
    session_id: str
    seq: int
    ts_ns: int
    kind: str
    text: str
    chain: str


class JournalRow(_Written):
    """One row of a session's journal. ``text`` is the body as it was hashed, ``body`` the same as a dict."""

    @cached_property
    def body(self) -> Body:
        """The body; numbers are integers in ticks, lots, quanta and ns."""
        try:
            body: Body = from_json(self.text)
        except ValueError:  # half of a character: Python writes and reads that
            body = json.loads(self.text)
        return body


class Projection(NamedTuple):
    """The state of a session as its row in ``sessions`` shows it. Money in quanta, position in lots."""

    status: Status
    error: str | None
    bars: int
    bars_total: int
    bar_ns: int
    equity_quanta: int
    pnl_quanta: int
    fees_quanta: int
    position_lots: int
    trades_count: int
    win_count: int
    proposal: str | None = None
    """The open proposal's journal body, canonical JSON."""
    details: str | None = None
    """What else the session's page shows, canonical JSON: see `SessionRow.details`."""


class Trade(NamedTuple):
    """One closed round trip. Money in quanta; ``pnl`` is net of fees; ``lots`` is all that was opened."""

    number: int
    entry_ns: int
    exit_ns: int
    side: int
    lots: int
    paid_quanta: int
    received_quanta: int
    fees_quanta: int
    pnl_quanta: int
    exit_role: str
    exit_rule: str
    ambiguous: bool
    book: int = 0
    """The instrument's place in the session."""


class Command(NamedTuple):
    """A command in a session's inbox. ``done_ns`` and ``outcome`` are None while it waits."""

    id: int
    session_id: str
    kind: str
    body: Body
    asked_ns: int
    done_ns: int | None
    outcome: str | None


class Run(NamedTuple):
    """One process's tenure of a session: from ``from_seq`` on it was the only one that could write."""

    epoch: int
    runner: str
    started_ns: int
    from_seq: int
    ended_ns: int | None
    outcome: str | None


class Further(NamedTuple):
    """A further instrument of a session, with the model that it is traded by, and that one's version at the
    beginning; None without one."""

    instrument: Instrument
    model: str | None
    version: str | None


@dataclass(frozen=True)
class SessionRow:
    """A session as it stands. Money properties are floats in the instruments' quote currency.

    Attributes:
        instrument: the first that it trades, with its money counted in the account's quanta; `instruments` has all.
    """

    id: str
    created_ns: int
    spec: SessionSpec
    instrument: Instrument
    also: tuple[Further, ...]
    model_version: str | None
    status: Status
    error: str | None
    epoch: int
    runner: str
    heartbeat_ns: int
    last_seq: int
    chain: str
    updated_ns: int
    bars: int
    bars_total: int
    bar_ns: int
    equity_quanta: int
    pnl_quanta: int
    fees_quanta: int
    position_lots: int
    trades_count: int
    win_count: int
    proposal: Body | None
    """The body of the open proposal's row, see `pregao.sessions.views`; None if none waits for the person."""
    details: Body
    """``notices``: sentences that the person should read, by what they are about; ``model_version``: of the model that
    is asked now, if it is another one than at the beginning; ``books``: of a session of several instruments how each
    stands, see `Machine.projection`."""

    @cached_property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it trades; an instrument's place here is the ``book`` of its rows and trades."""
        return (self.instrument, *(each.instrument for each in self.also))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What to call each instrument, see `names_of`."""
        return names_of(self.instruments)

    @property
    def market(self) -> str:
        """What it trades, in short: ``BTC/USDT``, or ``BTC/USDT, ETH/USDT and 3 more``."""
        names = self.names
        return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")

    @property
    def proposals(self) -> list[Body]:
        """The bodies of all open proposals, one an instrument at most, oldest first."""
        return [*([self.proposal] if self.proposal else []), *self.details.get("proposals", ())]

    @property
    def model_name(self) -> str | None:
        """The registered model that its first instrument is traded with; None without one."""
        if self.spec.model is not None or self.model_version is None:
            return self.spec.model
        return model_name(self.instrument, Timeframe.parse(self.spec.timeframe))

    @property
    def shadow_of(self) -> str | None:
        """The session that it follows in shadow, see `pregao.sessions.shadow`; None if it is no shadow."""
        found: str | None = getattr(self.spec.feed, "of", None)
        return found

    @property
    def traded_by(self) -> tuple[Further, ...]:
        """Each of its instruments with the model that it is traded by, and the version that is asked now."""
        books = self.details.get("books", ())
        now = {number: body["model_version"] for number, body in enumerate(books)}
        first = Further(self.instrument, self.model_name, self.trading_version)
        return (first, *(each._replace(version=now.get(n, each.version)) for n, each in enumerate(self.also, 1)))

    @property
    def trading_version(self) -> str | None:
        """The version of the model that is asked now; `model_version` is that of the beginning."""
        found: str | None = self.details.get("model_version", self.model_version)
        return found

    @property
    def models_text(self) -> str:
        """The models that are asked now, each once: ``NAME version 3, OTHER version 1``; empty without one."""
        return ", ".join(dict.fromkeys(f"{name} version {version}" for _, name, version in self.traded_by if name))

    @property
    def active(self) -> bool:
        """Whether the session has not ended."""
        return self.status in ACTIVE

    @property
    def equity(self) -> float:
        """Cash and the position at the last close."""
        return float(self.instrument.money(self.equity_quanta))

    @property
    def pnl(self) -> float:
        """Equity less the cash at the start."""
        return float(self.instrument.money(self.pnl_quanta))

    @property
    def pnl_percent(self) -> float:
        """`pnl` in per cent of the cash at the start."""
        return 100.0 * self.pnl / float(self.spec.cash)

    @property
    def fees(self) -> float:
        """Fees paid."""
        return float(self.instrument.money(self.fees_quanta))

    @property
    def position(self) -> float:
        """Signed quantity held, in base units."""
        return float(self.instrument.quantity(self.position_lots))
