"""Make the database that a release leaves behind, as SQL: run once at each release, with that release's own code.

    PYTHONPATH=tests/support:tests/sessions/plugin python tests/sessions/releases/make.py schema-N.sql

Its sessions are of the test strategy ``probe`` on the test market: one finished, one let go of with an open position
and a command that waits, one let go of with a proposal, one that was paused by a fault and resumed.

Make it from a checkout in a folder that says nothing, such as ``/tmp/pregao``: tracebacks are in the journal, with the
paths of their files, and cannot be changed afterwards without writing its hashes anew.
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

from probe_market import MINUTE, START_NS, a_spec, random_walk

from pregao.market.store import Store
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.records import SessionRow
from pregao.sessions.runtime import run
from pregao.settings import settings


def main(target: Path) -> None:
    """Write the database to ``target``."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREGAO_HOME"] = folder
        settings.cache_clear()
        Store().write(random_walk(300))
        journal = Journal()
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
        journal.close()
        file = settings().var / "sessions.db"
        with sqlite3.connect(file) as connection:
            lines = list(connection.iterdump())
        here = re.escape(os.uname().nodename)
        text = "\n".join(re.sub(rf"{here}:\d+", "old-machine:1", line) for line in lines) + "\n"
        # A traceback in a journal names the files of this machine, and the journal's hashes hold them there.
        assert folder not in text
        assert "/tmp/pregao/" in text, "run it in /tmp/pregao"
        target.write_text(text)


def begin(journal: Journal, **changes: Any) -> str:
    """A session, started."""
    return start(a_spec(**changes), journal)


def let_go(journal: Journal, session_id: str, enough: Callable[[SessionRow], bool]) -> None:
    """Run it until there is enough."""
    run(session_id, journal, stop=lambda: enough(journal.session(session_id)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
