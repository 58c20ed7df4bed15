"""Fifty viewers of one session: what they cost the panel, and how late they are: ``make bench ARGS=panel_stream``.

A panel in a process of its own, viewers in another, and this process, which appends bars to a session's journal, 20 a
second, as a runner would, and notes the time after each commit. A viewer notes when a row's event has come. All clocks
are this machine's. It asks for at most a quarter of a core in the panel and no viewer missing a row, on a machine that
does nothing else; the time from commit to client is told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
CORE, SETTLE_S = 0.25, 3.0
Seen = list[list[tuple[int, int, float]]]
"""Of each viewer its events: first row, last row, when it came (unix ms)."""


async def _viewer(port: int, session_id: str, last: asyncio.Future[int]) -> list[tuple[int, int, float]]:
    """Read the stream until the last row has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    path = f"/api/v1/sessions/{session_id}/events?after=0"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    seen: list[tuple[int, int, float]] = []
    while not (last.done() and seen and seen[-1][1] >= last.result()):
        try:
            line = await asyncio.wait_for(reader.readline(), 20)
        except TimeoutError:
            break
        if line.startswith(b"data: ["):
            came = time.time() * 1_000
            rows = json.loads(line[6:])
            seen.append((rows[0]["s"], rows[-1]["s"], came))
    writer.close()
    return seen


def view(port: int, session_id: str, count: int, pipe: Connection) -> None:
    """The viewers' process: all of them in one loop; it is told the last row at the end."""

    async def all_of_them() -> Seen:
        last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        viewers = [asyncio.create_task(_viewer(port, session_id, last)) for _ in range(count)]
        last.set_result(await asyncio.to_thread(pipe.recv))
        return await asyncio.gather(*viewers)

    pipe.send(asyncio.run(all_of_them()))


def measure(seconds: float, rate: float, viewers: int) -> dict[str, Any]:
    """What the viewers cost and when their events came.

    Args:
        seconds: for how long.
        rate: bars a second.
        viewers: streams that are read.
    """
    from written_session import written

    count = int(seconds * rate)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    with written(count) as session:
        watching = multiprocessing.get_context("spawn").Process(
            target=view, args=(session.panel.port, session.id, viewers, theirs), daemon=True
        )
        watching.start()
        try:
            time.sleep(SETTLE_S + 0.05 * viewers)
            process = psutil.Process(session.panel.pid)
            before, begun = process.cpu_times(), time.monotonic()
            committed: dict[int, float] = {}
            for i in range(count):
                time.sleep(max(0.0, begun + i / rate - time.monotonic()))
                rows = session.append(i)
                committed |= dict.fromkeys(rows, time.time() * 1_000)
            after, took = process.cpu_times(), time.monotonic() - begun
            ours.send(session.last)
            seen: Seen = ours.recv()
        finally:
            watching.kill()
        last = session.last
    waits = [came - committed[n] for events in seen for a, b, came in events for n in range(a, b + 1) if n in committed]
    whole = list(range(1, last + 1))
    missing = sum([n for a, b, _ in events for n in range(a, b + 1)] != whole for events in seen)
    core = (after.user + after.system - before.user - before.system) / took
    return {
        "bars": count, "rows": last, "viewers": viewers, "panel_core": round(core, 3),
        "median_ms": round(float(np.median(waits)), 1), "p99_ms": round(float(np.quantile(waits, 0.99)), 1),
        "most_ms": round(max(waits), 1), "viewers_missing_rows": missing,
    }  # fmt: skip


def main() -> None:
    """Measure, print, and fail where it is not as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20, help="bars a second")
    parser.add_argument("--viewers", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["PREGAO_HOME"] = home
        os.environ["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
        found = measure(given.seconds, given.rate, given.viewers)
    print(json.dumps(found))
    if found["panel_core"] > CORE or found["viewers_missing_rows"]:
        raise SystemExit(f"Asked for: {CORE:g} of a core, no viewer missing a row.")


if __name__ == "__main__":
    main()
