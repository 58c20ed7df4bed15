"""Make the database that a release leaves behind, as SQL: run once at each release, with that release's own code.

    PYTHONPATH=tests/support:tests/sessions/plugin python tests/sessions/releases/make.py schema-N.sql
    PYTHONPATH=tests/support:tests/sessions/plugin python tests/sessions/releases/make.py several-N.sql

Its sessions are of the test strategy ``probe`` on the test market: one finished, one let go of with an open position
and a command that waits, one let go of with a proposal, one that was paused by a fault and resumed. Of ``several``
each has two instruments in one account, and is short: one let go of with open positions after one of them was
flattened, one with two proposals, and one that was live, with bars that came late, alone, or after the account had gone
on without them. Their snapshots are left out.

Make ``schema`` from a checkout in a folder that says nothing, such as ``/tmp/pregao``: tracebacks are in the journal,
with the paths of their files, and cannot be changed afterwards without writing its hashes anew.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probe_market import FINE, INSTRUMENT, MINUTE, START_NS, a_spec, like, random_walk

from pregao.market.store import Store
from pregao.sessions.assembly import assemble
from pregao.sessions.batch import Batch
from pregao.sessions.control import start
from pregao.sessions.following import Passed, told
from pregao.sessions.intents import ask
from pregao.sessions.journal import Journal
from pregao.sessions.records import Further, SessionRow
from pregao.sessions.runtime import run
from pregao.settings import settings


def main(target: Path) -> None:
    """Write the database to ``target``."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREGAO_HOME"] = folder
        settings.cache_clear()
        Store().write(random_walk(300))
        Store().write(like(FINE, 2, slice(5, 8)))
        journal = Journal()
        several = target.name.startswith("several")
        (two_each if several else one_each)(journal)
        journal.close()
        file = settings().var / "sessions.db"
        with sqlite3.connect(file) as connection:
            lines = list(connection.iterdump())
        here = re.escape(os.uname().nodename)
        text = "\n".join(re.sub(rf"{here}:\d+", "old-machine:1", line) for line in lines) + "\n"
        # A traceback in a journal names the files of this machine, and the journal's hashes hold them there.
        assert folder not in text
        assert several or "/tmp/pregao/" in text, "run it in /tmp/pregao"
        target.write_text(text)


def one_each(journal: Journal) -> None:
    """Sessions of one instrument."""
    finished = begin(journal, feed={"speed": 0, "end": START_NS + 30 * MINUTE.ns})
    run(finished, journal)
    wide: dict[str, Any] = {"take_profit": 3, "stop_loss": 3, "config": {"every": 3, "leave": 1000}}
    held = begin(journal, **wide)
    let_go(journal, held, lambda row: row.bars >= 104 and row.position_lots != 0)
    journal.command(held, "pause")
    asking = begin(journal, mode="approve", config={"every": 4})
    let_go(journal, asking, lambda row: row.proposal is not None)
    journal.command(asking, "approve")
    let_go(journal, asking, lambda row: row.bars >= 18 and row.proposal is not None)
    failing = begin(journal, config={"fail_at": 6, "every": 2})
    let_go(journal, failing, lambda row: row.status == "paused")
    journal.command(failing, "resume")
    let_go(journal, failing, lambda row: row.bars >= 20)


def two_each(journal: Journal) -> None:
    """Sessions of two instruments."""
    both: dict[str, Any] = {"also": [FINE.key], "config": {"every": 3, "leave": 1000}}
    held = begin(journal, **both, take_profit=3, stop_loss=3)
    let_go(journal, held, lambda row: row.bars >= 4)
    journal.command(held, "flatten", {"book": 1})
    let_go(journal, held, lambda row: row.bars >= 12 and all(each["pos"] for each in row.details["books"]))
    journal.command(held, "pause")
    asking = begin(journal, **both, mode="approve", approval_bars=20)
    let_go(journal, asking, lambda row: len(row.proposals) == 2)
    journal.command(asking, "approve", {"proposal": 2})
    let_go(journal, asking, lambda row: row.bars >= 6)
    heard(journal, **both)
    with journal.writing() as connection:  # they only save time, and are large
        connection.exec_driver_sql("DELETE FROM snapshots")


def heard(journal: Journal, **changes: Any) -> None:
    """A live session, written bar for bar as its runner would have: another day's venue cannot be asked for them."""
    feed = {"kind": "live", "source": "ccxt", "symbol": INSTRUMENT.symbol, "also": [FINE.symbol]}
    spec = a_spec(**changes, feed=feed, take_profit="0.4", stop_loss="0.4")
    parts = assemble(spec, [Further(each, None, None) for each in (INSTRUMENT, FINE)])
    session_id = journal.create(parts.spec, parts.first.instrument, None, parts.also())
    machine, writer = parts.machine(), journal.take_ownership(session_id)
    series = [like(part.instrument, seed, slice(0, 0), 30) for seed, part in enumerate(parts.parts, 1)]

    def keep(batch: Batch) -> None:
        writer.append(batch.entries, machine.projection(), snapshot=batch.snapshot, trades=batch.trades)

    def both(i: int, *places: int, late: bool = False) -> None:
        bars = {place: series[place].bar(i) for place in places or (0, 1)}
        keep(machine.moment(bars, lambda n, bar: ask(machine.books[n].desk, bar, machine.books[n].memory), late))

    def said(of: dict[str, Any] | None) -> None:
        assert of is not None
        keep(machine.feed(machine.books[1].marked(of)))

    warm = {place: ([bars.bar(i) for i in range(2)], []) for place, bars in enumerate(series)}
    keep(machine.start(int(series[0].open_ns[2]), parts.facts(), warm))
    for i in range(2, 7):
        both(i)
    said({"state": "stale", "reason": "no answer"})
    for i in range(7, 10):
        both(i, 0)
    said({"state": "recovered", "ms": 1_500})
    for i in range(7, 10):
        said(told(Passed(series[1].bar(i))))
    both(10, late=True)
    both(11, late=True)
    both(12)
    said({"state": "ended", "reason": "delisted"})
    both(13, 0)
    keep(machine.command("stop", {"prices": {"0": [series[0].bar(13).close, series[0].bar(13).close_ns]}}))
    assert machine.status == "stopped"
    assert {"warmed", "missed", "fill", "feed"} <= {row.kind for row in journal.rows(session_id, limit=10**6)}


def begin(journal: Journal, **changes: Any) -> str:
    """A session, started."""
    return start(a_spec(**changes), journal)


def let_go(journal: Journal, session_id: str, enough: Callable[[SessionRow], bool]) -> None:
    """Run it until there is enough."""
    run(session_id, journal, stop=lambda: enough(journal.session(session_id)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
