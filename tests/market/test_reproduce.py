"""Pipeline stages by DVC: changed bars rerun them, unchanged ones do not, failures tell why."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import psutil
import pytest
from waiting import wait

from pregao.core.errors import PregaoError
from pregao.core.timeframe import Timeframe
from pregao.market.stages import init_pipeline, reproduce
from pregao.market.versions import Versions

PIPELINE = """
stages:
  count:
    cmd: python count.py
    deps: [snapshot, count.py]
    params: [least]
    outs: [count.txt]
  fail:
    cmd: python -c "print('first words'); raise SystemExit('the reason')"
    deps: [count.txt]
    outs: [never.txt]
  sleep:
    cmd: python sleep.py
    deps: [count.txt]
    outs: [slept.txt]
"""
COUNT = """
import sys, pathlib
files = sorted(pathlib.Path("snapshot").rglob("*.parquet"))
print(f"counting {len(files)} files with {sys.executable}")
pathlib.Path("count.txt").write_text(str(sum(f.stat().st_size for f in files)))
"""
SLEEP = """
import os, pathlib, time
pathlib.Path("pid.txt").write_text(str(os.getpid()))
time.sleep(600)
"""


@pytest.fixture
def workspace(home):
    folder = home / "var" / "pipelines" / "test"
    init_pipeline(folder)
    init_pipeline(folder)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text("least: 1\n")
    (folder / "count.py").write_text(COUNT)
    (folder / "sleep.py").write_text(SLEEP)
    return folder


def test_changed_bars_rerun_a_stage_and_unchanged_ones_do_not(workspace, make_bars, make_instrument):
    versions = Versions()
    bars = make_bars(2_000)
    keys = [(bars.instrument.key, Timeframe.parse("15m"))]
    versions.store.write(bars)
    first = versions.commit("one")
    said: list[str] = []

    def run() -> bool:
        versions.snapshot(None, workspace / "snapshot", keys)
        return reproduce(workspace, "count", said.append)

    assert run()
    assert any(sys.executable in line for line in said), said
    count = (workspace / "count.txt").read_text()
    assert not run()

    versions.store.write(make_bars(10, instrument=make_instrument("ETH/USDT")))
    versions.commit("another instrument")
    assert not run()

    versions.store.write(make_bars(10, first=2_000))
    versions.commit("more bars")
    assert run()
    assert (workspace / "count.txt").read_text() != count

    versions.checkout(first)
    assert not run(), "the result for these bars is known"
    assert (workspace / "count.txt").read_text() == count

    (workspace / "params.yaml").write_text("least: 2\n")
    assert run()


def test_a_failing_stage_says_why_and_leaves_its_log(workspace):
    (workspace / "snapshot").mkdir()
    reproduce(workspace, "count")
    with pytest.raises(PregaoError, match="the reason") as caught:
        reproduce(workspace, "fail")
    assert "'fail'" in caught.value.message
    assert "first words" in caught.value.message
    assert "logs/fail.log" in caught.value.mend
    assert "first words" in (workspace / "logs" / "fail.log").read_text()


def test_an_unknown_stage_is_an_error(workspace):
    with pytest.raises(PregaoError, match="nonsense"):
        reproduce(workspace, "nonsense")


def test_an_interrupted_caller_ends_its_stage(workspace):
    (workspace / "snapshot").mkdir()
    reproduce(workspace, "count")
    code = textwrap.dedent(f"""
        from pathlib import Path
        from pregao.market.stages import reproduce
        reproduce(Path({str(workspace)!r}), "sleep")
    """)
    caller = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.DEVNULL,
        # A shell that runs the tests in the background lets what it starts ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    pid = workspace / "pid.txt"
    wait(lambda: pid.exists() and pid.read_text())
    stage = psutil.Process(int(pid.read_text()))
    caller.send_signal(2)
    caller.wait(60)
    wait(lambda: not stage.is_running())
