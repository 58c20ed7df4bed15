"""Audit: a session's whole journal lived through again, through the same step that a backtest takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pregao.sessions.assembly import assemble
from pregao.sessions.journal import DamagedError, Journal
from pregao.sessions.records import JournalRow
from pregao.sessions.recovery import DivergedError, replay


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        rows: rows that are good, from the first on.
        digest: SHA-256 of the account that they lead to.
        chain: the hash of the last of them, as the journal has it.
        cuts: how often the journal was cut because it was damaged, see `recovery.recover_and_cut`.
        problem: the first row that does not follow from the one before, or does not come out again; None if all do.
    """

    rows: int
    digest: str
    chain: str
    cuts: int
    problem: DamagedError | DivergedError | None

    @property
    def identical(self) -> bool:
        """Whether every recorded row came out again, to the byte."""
        return self.problem is None


def audit(journal: Journal, session_id: str) -> Audit:
    """Check every row of a session against the chain and make it again: orders, fills, the account at every bar.

    Raises:
        NotFoundError: if there is no such session.
        PregaoError: if a part of it is gone: its strategy, its model, its data.
    """
    row = journal.session(session_id)
    machine = assemble(row.spec, row.model_version, row.instrument).machine()
    rows = cuts = 0
    chain = ""
    problem: DamagedError | DivergedError | None = None

    def counted() -> Iterator[JournalRow]:
        nonlocal rows, cuts, chain
        for found in journal.verified(session_id):
            rows, chain = found.seq, found.chain
            cuts += found.kind == "cut"
            yield found

    try:
        replay(machine, counted())
    except (DamagedError, DivergedError) as error:
        problem, rows = error, error.seq - 1
    return Audit(rows, machine.desk.digest(), chain, cuts, problem)
