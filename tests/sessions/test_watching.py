"""`pregao trade watch` on a real terminal, and what its screen says."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from waiting import wait

from pregao.commands.watching import Scene, spark
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
from pregao.sessions.views import view

PREGAO = str(Path(sys.executable).with_name("pregao"))


def screen(journal: Journal, session_id: str, attended: bool = True, width: int = 110) -> str:
    row = journal.session(session_id)
    scene = Scene()
    for found in journal.rows(session_id, 0, 100_000):
        scene.hear(view(found, *row.instruments), row)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(scene.drawn(row, attended, width))
    return console.export_text()


def test_the_screen_says_how_the_session_stands(begin: Any, journal: Journal) -> None:
    session_id = begin(config={"every": 5})
    assert "waiting for the first bar" in screen(journal, session_id)
    seen = 0

    def enough() -> bool:
        nonlocal seen
        row = journal.session(session_id)
        seen = row.bars
        return row.bars >= 60 and row.position_lots != 0

    run(session_id, journal, stop=enough)
    row = journal.session(session_id)
    told = screen(journal, session_id, attended=False)
    assert f"{row.pnl:+,.2f} USDT" in told
    assert f"bar {row.bars}/300" in told
    assert re.search(r"long [\d.]+ from [\d.,]+, [+-][\d.]+ before fees", told)
    assert re.search(r"take profit [\d.,]+ \(\+\d\.\d\d% away\)", told)
    assert re.search(r"stop loss [\d.,]+ \(-\d\.\d\d% away\)", told)
    assert "running, but no process runs it" in told
    assert "bought" in told
    assert "simulated money" in told
    assert all(len(line) <= 110 for line in told.splitlines())
    assert all(len(line) <= 60 for line in screen(journal, session_id, width=60).splitlines())
    run(session_id, journal)
    assert "finished" in screen(journal, session_id)


@pytest.mark.parametrize(
    ("values", "width", "marks"),
    [
        ([], 10, ""),
        ([5.0, 5.0], 10, "▁▁"),
        ([0.0, 7.0], 10, "▁█"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 10, "▁▂▃▄▅▆▇█"),
        ([9.0, 0.0, 0.0, 7.0, 7.0], 3, "▁█"),  # the oldest that fills no mark is left out
    ],
)
def test_a_curve_in_marks(values: list[float], width: int, marks: str) -> None:
    assert spark(values, width) == marks


def read(terminal: int, until: str, seconds: float) -> str:
    seen, end = "", time.monotonic() + seconds
    while not re.search(until, seen):
        left = end - time.monotonic()
        assert left > 0, seen[-3_000:]
        if select.select([terminal], [], [], min(left, 0.5))[0]:
            try:
                seen += os.read(terminal, 65_536).decode(errors="replace")
            except OSError:  # the other end is gone
                break
    return seen


@pytest.mark.slow
def test_on_a_terminal_it_goes_on_until_ctrl_c_and_the_session_beyond(begin: Any, journal: Journal) -> None:
    session_id = begin(config={"every": 5}, feed={"speed": 2})
    enough = threading.Event()
    own = Journal(journal.url)
    runner = threading.Thread(target=run, args=(session_id, own), kwargs={"stop": enough.is_set})
    runner.start()
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(
        [PREGAO, "trade", "watch", session_id], stdin=theirs, stdout=theirs, stderr=theirs,
        # A shell that runs the tests in the background lets what it starts ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = read(ours, r"(?s)bar (\d+)/.*bar (?!\1/)\d+/", 90)  # drawn, and drawn again
        assert "simulated money" in shown
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 130
        at = journal.session(session_id).bars
        wait(lambda: journal.session(session_id).bars > at + 2)
    finally:
        enough.set()
        runner.join(60)
        own.close()
        os.close(ours)
        if watching.poll() is None:
            watching.kill()
            watching.wait()
