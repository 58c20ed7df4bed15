"""A session's speeds: an event in and its journaled decision out, replay, and what the panel reads.

Beside the event the floor of the same run: the disk's own fsync of a page. The journal of `--events` rows is written
with many events in a transaction (that is not timed), replayed from its beginning, recovered from its last snapshot,
and read as the panel reads it; both recoveries must come to the same digest as the writing did. Times are in ms unless
the name says otherwise; `load` is the machine's load average: above the number of cores the figures mean little.

    python benchmarks/sessions.py [--events 1000000] [--bars 1000]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["PREGAO_HOME"] = tempfile.mkdtemp(prefix="pregao-bench-", dir=os.environ.get("PREGAO_BENCH_FOLDER"))

import numpy as np
from engine_against_floor import market

from pregao.core.bars import Bars
from pregao.market.store import Store
from pregao.sessions.assembly import assembled
from pregao.sessions.control import spec_of, start
from pregao.sessions.intents import ask
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Machine
from pregao.sessions.recovery import recover, replay
from pregao.sessions.runtime import Tick, run
from pregao.sessions.views import session_view, trade_view, views
from pregao.settings import settings

TOGETHER = 5_000
"""Events in a transaction while the large journal is written."""


def quantiles(ms: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    return {"median": round(float(np.median(ms)), 3), "p99": round(float(np.percentile(ms, 99)), 3)}


def begin(journal: Journal, bars: Bars, *, isolated: bool) -> str:
    """A session of a moving average cross over stored bars, as fast as they come."""
    spec = {
        "instrument": bars.instrument.key, "timeframe": bars.timeframe.name, "strategy": "ma-cross",
        "cash": 1_000_000, "feed": {"speed": 0}, "isolated": isolated,
    }  # fmt: skip
    return start(spec_of(spec), journal)


class Fsync:
    """The disk's own: a page written to a file in the folder of the database, and fsynced."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self._file = os.open(settings().var / "floor", os.O_RDWR | os.O_CREAT)

    def __call__(self) -> None:
        """Time one."""
        began = time.perf_counter()
        os.pwrite(self._file, os.urandom(4_096), 0)
        os.fsync(self._file)
        self.ms.append((time.perf_counter() - began) * 1_000)


def events(journal: Journal, bars: Bars, count: int) -> dict[str, Any]:
    """A bar in, its decision by a strategy in its own process, and the commit with `synchronous=FULL`."""
    session_id = begin(journal, bars, isolated=True)
    took: list[float] = []
    floor, last = Fsync(), 0.0

    def on_tick(tick: Tick) -> None:
        nonlocal last
        if last:
            took.append((time.perf_counter() - last) * 1_000)
        if tick.bars % 5 == 0:
            floor()
        last = time.perf_counter()

    run(session_id, journal, on_tick=on_tick, stop=lambda: len(took) >= count)
    event, disk = quantiles(took[10:]), quantiles(floor.ms)
    return {"event": event, "fsync": disk, "event_over_fsync": round(event["median"] / disk["median"], 2)}


def write(journal: Journal, bars: Bars, rows: int) -> tuple[str, str]:
    """A journal of so many rows, as the runner would have written it; its session and its digest."""
    session_id = begin(journal, bars, isolated=False)
    row = journal.session(session_id)
    parts = assembled(row)
    machine: Machine = parts.machine()
    book = machine.books[0]
    writer = journal.take_ownership(session_id)
    assert parts.first.bars is not None
    todo = iter([machine.start(int(parts.first.bars.open_ns[0]), parts.facts())])
    at = 0

    def batches() -> Any:
        nonlocal at
        yield from todo
        while at < len(parts.first.bars) and writer.seq < rows:
            bar = parts.first.bars.bar(at)
            at += 1
            yield machine.moment({0: bar}, lambda _, b: ask(book.desk, b, book.memory))

    alone = journal.transact
    every = batches()
    more = True
    while more:
        with journal.writing() as connection:
            journal.transact = lambda do, c=connection: do(c)  # type: ignore[method-assign]
            more = False
            for _ in range(TOGETHER):
                batch = next(every, None)
                if batch is None:
                    break
                more = True
                projection = machine.projection()
                writer.append(batch.entries, projection, snapshot=batch.snapshot, trades=batch.trades)
    journal.transact = alone  # type: ignore[method-assign]
    writer.release("written")
    return session_id, machine.digest()


def recoveries(journal: Journal, session_id: str, digest: str) -> dict[str, Any]:
    """From the beginning, and from the last snapshot; seconds."""
    row = journal.session(session_id)
    parts = assembled(row)
    machine = parts.machine()
    began = time.perf_counter()
    replay(machine, journal.verified(session_id))
    whole = time.perf_counter() - began
    assert machine.digest() == digest, "the replay came to another state"
    began = time.perf_counter()
    machine = recover(journal, session_id, parts.machine)
    tail = time.perf_counter() - began
    assert machine.digest() == digest, "the recovery came to another state"
    kept = len(journal.snapshots(session_id))
    return {
        "rows": row.last_seq, "bars": row.bars, "replay_s": round(whole, 2),
        "replay_us_a_row": round(whole / row.last_seq * 1e6, 1),
        "recovery_s": round(tail, 3), "snapshots": kept,
    }  # fmt: skip


def reads(journal: Journal, session_id: str) -> dict[str, Any]:
    """What the panel asks of a session, each as it is sent, by a process that has frozen its heap as the panel does."""
    gc.collect()
    gc.freeze()
    instrument = journal.session(session_id).instrument

    def tail(n: int) -> Any:
        after = journal.tail_start(session_id, n)
        return views(journal.rows(session_id, after, n), instrument)

    asked: dict[str, Callable[[], Any]] = {
        "summary": lambda: session_view(journal.session(session_id)),
        "tail_of_500": lambda: tail(500),
        "page_of_2000": lambda: tail(2_000),
        "tail_of_6000": lambda: tail(6_000),
        "new_rows": lambda: journal.rows(session_id, journal.tail_start(session_id, 3)),
        "last_200_trades": lambda: [trade_view(t, instrument) for t in journal.trades(session_id, 200)],
        "sessions": lambda: [session_view(row) for row in journal.sessions()],
    }
    told: dict[str, Any] = {"trades": journal.session(session_id).trades_count}
    for name, ask_it in asked.items():
        took = []
        for _ in range(50):
            began = time.perf_counter()
            ask_it()
            took.append((time.perf_counter() - began) * 1_000)
        told[name] = quantiles(took)
    return told


def main() -> None:
    """Time each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="rows of the large journal")
    parser.add_argument("--bars", type=int, default=1_000, help="bars of the timed session")
    asked = parser.parse_args()
    bars = market(max(asked.events, asked.bars + 100))
    Store().write(bars)
    journal = Journal()
    figures: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "event_in_decision_out": events(journal, bars, asked.bars),
    }
    session_id, digest = write(journal, bars, asked.events)
    figures["replay"] = recoveries(journal, session_id, digest)
    figures["reads"] = reads(journal, session_id)
    figures["database_mb"] = round(sum(f.stat().st_size for f in Path(settings().var).glob("sessions.db*")) / 2**20)
    figures["load_after"] = os.getloadavg()
    journal.close()
    shutil.rmtree(os.environ["PREGAO_HOME"], ignore_errors=True)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
