"""Audit: a session's whole journal lived through again, through the same step that a backtest takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from pregao.sessions.assembly import assembled
from pregao.sessions.brokers.orders import Orders
from pregao.sessions.journal import DamagedError, Journal
from pregao.sessions.records import Body, JournalRow
from pregao.sessions.recovery import DivergedError, replay


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        rows: rows that are good, from the first on.
        digest: SHA-256 of the account that they lead to.
        chain: the hash of the last of them, as the journal has it.
        told: fills that an exchange told; they are inputs, and cannot be made again as the engine's can. 0 on paper.
        witnessed: how many of those the memory of the broker's executions, kept apart from the journal, has alike.
        cuts: how often the journal was cut because it was damaged, see `recovery.recover_and_cut`.
        problem: the first row that does not follow from the one before, or does not come out again; None if all do.
    """

    rows: int
    digest: str
    chain: str
    cuts: int
    told: int
    witnessed: int
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
    machine = assembled(row).machine()
    rows = cuts = 0
    fills: list[Body] = []
    accounts: set[str] = set()
    chain = ""
    problem: DamagedError | DivergedError | None = None

    def counted() -> Iterator[JournalRow]:
        nonlocal rows, cuts, chain
        for found in journal.verified(session_id):
            rows, chain = found.seq, found.chain
            cuts += found.kind == "cut"
            if found.kind == "broker":
                if "name" in found.body:
                    accounts.add(found.body["name"])
                fills.extend(fill for order in found.body.get("orders", []) for fill in order["fills"])
            yield found

    try:
        replay(machine, counted())
    except (DamagedError, DivergedError) as error:
        problem, rows = error, error.seq - 1
    return Audit(rows, machine.digest(), chain, cuts, len(fills), _witnessed(journal, accounts, fills), problem)


def _witnessed(journal: Journal, accounts: set[str], fills: list[Body]) -> int:
    """How many fills are in the broker's own memory with the same side, quantity, price, time and fee."""
    kept = {
        (f.number, f.side, f.qty_lots, f.price_ticks, f.ts_ms, f.fee)
        for account in accounts
        for f in Orders(journal.engine, account).fills()
    }
    return sum(
        (fill["n"], fill["side"], fill["qty"], fill["price"], fill["ms"], Decimal(fill["fee"])) in kept
        for fill in fills
    )
