"""Many live sessions in one host: every bar journaled before the next, and what a session takes of the machine.

Sessions of one-minute bars follow the markets of a local exchange (`tests/support/venue`) through the real ccxt client,
its websocket and its REST answers; market time passes `--rate` times as fast as real time. The host is a process of
its own with the default settings: each strategy in its own process, SQLite with `synchronous=FULL`. Fails if a session
misses a bar, has one that is not the exchange's, or journals one after the next has closed.

    python benchmarks/many_sessions.py [--sessions 100] [--minutes 30] [--rate 10]

Latencies are from a bar's close at the exchange to its commit, in real ms; memory counts shared pages once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
os.environ["PREGAO_BENCH_HOME"] = os.environ.get("PREGAO_BENCH_HOME") or tempfile.mkdtemp(
    prefix="pregao-bench-", dir=os.environ.get("PREGAO_BENCH_FOLDER")
)
os.environ["PREGAO_HOME"] = os.environ["PREGAO_BENCH_HOME"]

import numpy as np
from venue import Market, MarketClock, Venue

from pregao.sessions.assembly import assemble
from pregao.sessions.control import spec_of
from pregao.sessions.hosting import Host
from pregao.sessions.hosts import hosts, offer
from pregao.sessions.journal import Journal
from pregao.sessions.resources import resources
from pregao.sessions.runtime import Tick
from pregao.settings import settings

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "ADA/USDT")
START_S = 600.0


def host(ticks: str) -> None:
    """The host's process: runs what is offered until its input is closed; notes when each bar was committed."""
    import threading

    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    with Path(ticks).open("w", buffering=1) as file:

        def note(tick: Tick) -> None:
            file.write(f"{tick.session_id} {tick.bars} {time.monotonic_ns()}\n")

        running = Host(capacity=10_000, on_tick=note)
        together = running.journal.together
        assert together is not None
        running.run(over.is_set)
        print(json.dumps({"commits": together.commits, "writes": together.writes}))


def begin(journal: Journal, url: str, sessions: int) -> list[str]:
    """The sessions, spread over the markets, with strategies of different settings; offered to the host."""
    begun = []
    parts: dict[str, Any] = {}
    for n in range(sessions):
        symbol = SYMBOLS[n % len(SYMBOLS)]
        feed = {"kind": "live", "source": "ccxt", "symbol": symbol, "options": {"base_url": url}}
        asked = {
            "instrument": f"ccxt/binance/{symbol.replace('/', '-')}", "timeframe": "1m", "strategy": "ma-cross",
            "config": {"fast": 2 + n % 3, "slow": 6 + n % 5}, "take_profit": "0.2", "stop_loss": "0.2", "feed": feed,
        }  # fmt: skip
        spec = spec_of(asked)
        if symbol not in parts:
            parts[symbol] = assemble(spec).first.instrument
        begun.append(journal.create(spec, parts[symbol], None))
    return begun


def lived(journal: Journal, venue: Venue, session_id: str, first: int) -> tuple[int, int]:
    """How many bars a session has journaled, and how many after the ``first`` came too late to be traded on. Fails if
    one is missing or is not the exchange's."""
    bars = [row for row in journal.rows(session_id, limit=10**6) if row.kind == "bar"]
    opens = [row.body["t"] // 10**9 for row in bars]
    assert opens == list(range(opens[0], opens[0] + 60 * len(opens), 60)), f"{session_id} has missed a bar"
    symbol = journal.session(session_id).instrument.symbol
    truth = venue.truth(symbol, "1m", opens[0] * 1_000, opens[-1] * 1_000 + 60_000)
    assert [row.body["c"] for row in bars] == [int(row.close * 100) for row in truth], f"{session_id} has another bar"
    return len(bars), sum("late" in row.body for row in bars[first:])


def measure(sessions: int, minutes: int, rate: float) -> dict[str, Any]:
    """Run them; returns the figures."""
    ticks = Path(settings().home) / "ticks"
    journal = Journal()
    clock = MarketClock(int(time.time() // 60 * 60_000), rate)
    with Venue([Market(symbol) for symbol in SYMBOLS], clock) as venue:
        ids = begin(journal, venue.url, sessions)
        running = subprocess.Popen(
            [sys.executable, __file__, "--host", str(ticks)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        began = time.monotonic()
        try:
            _until(lambda: len(hosts(journal)) == 1, running)
            for each in ids:
                assert offer(journal, each)
            # Each has lived through the last bar that has closed, in time.
            _until(lambda: all(row.bar_ns / 1e6 + 120_000 > clock.now() for row in journal.sessions()), running)
            ready = time.monotonic()
            first = max(row.bars for row in journal.sessions())
            cpu = resources(running.pid).cpu_ms
            _until(
                lambda: all(row.bars >= first + minutes for row in journal.sessions()), running, minutes * 120 / rate
            )
            memory, spent = resources(running.pid)
            took = time.monotonic() - ready
        finally:
            assert running.stdin is not None
            running.stdin.close()
            said = running.stdout.read() if running.stdout is not None else ""
            running.wait(120)
        bars = [lived(journal, venue, each, first) for each in ids]
        late_ms = _latencies(journal, ticks, clock, ready)
    lengths_ms = 60_000 / rate
    assert max(late_ms) < lengths_ms, f"a bar was journaled {max(late_ms):.0f} ms after its close"
    quiet = (spent - cpu) / 1_000
    figures = {
        "sessions": sessions, "minutes": minutes, "rate": rate, "a_bar_lasts_ms": lengths_ms,
        "bars_journaled": sum(count for count, _late in bars), "missed": 0,
        "too_late_to_trade": sum(late for _count, late in bars),
        "close_to_commit_ms": {
            "median": round(float(np.median(late_ms))), "p99": round(float(np.percentile(late_ms, 99))),
            "max": round(max(late_ms)),
        },
        "start_s": round(ready - began, 1), "memory_mb": round(memory / 2**20),
        "memory_mb_a_session": round(memory / 2**20 / sessions, 1),
        "cpu_ms_a_bar_and_session": round(quiet * 1_000 / (sessions * minutes), 2),
        "cores_used": round(quiet / took, 2), "cores_at_real_time": round(quiet / took / rate, 3),
        **json.loads(said.strip().splitlines()[-1]),
    }  # fmt: skip
    journal.close()
    return figures


def _latencies(journal: Journal, ticks: Path, clock: MarketClock, since: float) -> list[float]:
    """Real ms from each bar's close to its commit, of those that closed once all sessions stood."""
    begun = {row.id: next(r.body["t"] for r in journal.rows(row.id) if r.kind == "bar") for row in journal.sessions()}
    found, seen = [], set()
    for line in ticks.read_text().splitlines():
        session_id, bars, at = line.split()
        if bars == "0" or (session_id, bars) in seen or int(at) < since * 1e9:
            continue  # a bar's own commit is the first with its number
        seen.add((session_id, bars))
        close_ms = begun[session_id] / 1e6 + int(bars) * 60_000
        committed_ms = clock._base + (int(at) / 1e9 - clock._mark) * 1_000 * clock.rate
        found.append((committed_ms - close_ms) / clock.rate)
    return found


def _until(true: Any, running: subprocess.Popen[str], more_s: float = 0.0) -> None:
    until = time.monotonic() + START_S + more_s
    while not true():
        assert running.poll() is None, "the host has ended"
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.25)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--host", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.host:
        host(asked.host)
        return
    before = os.getloadavg()
    try:
        figures = measure(asked.sessions, asked.minutes, asked.rate)
    finally:
        shutil.rmtree(os.environ["PREGAO_HOME"], ignore_errors=True)
    print(json.dumps({"cores": os.cpu_count(), "load": before, "load_after": os.getloadavg(), **figures}, indent=2))


if __name__ == "__main__":
    main()
