"""``pregao sweep``: what it says and keeps, that a kill costs nothing, and how it answers nonsense before it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from candles import ONE

from pregao.cli import main
from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store

PLUGIN = Path(__file__).parents[1] / "strategies" / "sweep_plugin"
MONEY = ("--cash", "1000000", "--entry-value", "50000", "--fees", "0.05")
GRID = ("--grid", "span=3:9:2", "--grid", "rise=0,20", "--grid", "take-profit=0,2")
SWEEP = ("sweep", "--strategy", "swept", "--data", "ONE", *MONEY)


def walk(n: int, seed: int, name: str, frame: str = "1m") -> Bars:
    rng = np.random.default_rng(seed)
    close = np.maximum(1_000 + np.cumsum(rng.integers(-9, 10, n)), 200).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]]
    timeframe = Timeframe.parse(frame)
    times = np.arange(n) * timeframe.ns + 1_704_067_200 * 10**9
    high, low = np.maximum(opened, close) + 3, np.minimum(opened, close) - 3
    instrument = ONE.model_copy(update={"symbol": name})
    return Bars(instrument, timeframe, times, opened, high, low, close, np.full(n, 100_000.0))


@pytest.fixture
def stored(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random walks in the store of a fresh home, and the tests' strategies."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]))
    for seed, name in enumerate(("ONE", "TWO")):
        Store().write(walk(1_500, seed, name))
    Store().write(walk(400, 5, "HOURS", "1h"))
    return home


def told(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main([*arguments, "--json"])
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def test_each_run_has_the_digest_of_the_backtest_with_its_setting(
    stored: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    since = ("--since", "2024-01-01T03:00")
    document = told(capfd, *SWEEP, "--data", "TWO", *GRID, *since, "--out", str(tmp_path / "out"))
    assert document["runs"] == 28
    assert document["refused"] == 2  # a span of 7 without a rise, with two take profits: they are no settings
    rows = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert len(rows) == 28
    for row in rows[::5]:
        single = told(
            capfd, "backtest", "--strategy", "swept", "--data", row["instrument"], *MONEY, *since,
            "--set", f"span={row['span']}", "--set", f"rise={row['rise']}", "--take-profit", str(row["take_profit"]),
        )  # fmt: skip
        assert row["digest"] == single["digest"]
        assert row["trades"] == single["metrics"]["trades"] > 10
        assert row["sharpe"] == pytest.approx(single["metrics"]["sharpe"], rel=1e-12)
        assert row["net_return"] == pytest.approx(single["metrics"]["net_return"], rel=1e-12)
    best = max(rows, key=lambda row: row["sharpe"])
    assert document["best"][0]["digest"] == best["digest"]
    assert document["best"][0]["settings"] == {name: best[name] for name in ("span", "rise", "take_profit")}
    assert [one["sharpe"] for one in document["best"]] == sorted((r["sharpe"] for r in rows), reverse=True)[:10]
    assert document["verdict"]["trials"] == 28
    assert 0 <= document["verdict"]["deflated_sharpe"] < document["verdict"]["probabilistic_sharpe"] <= 1


def test_what_a_person_reads(stored: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main([*SWEEP, *GRID, "--top", "3", "--by", "net_return", "--out", str(tmp_path / "out")])
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[1].split() == [
        *("span", "rise", "take_profit"), *("sharpe", "return", "drawdown", "trades", "hit", "rate", "fees"),
    ]  # fmt: skip
    assert [len(line.split()) for line in lines[2:5]] == [9] * 3
    assert lines[5].startswith("Best by net_return: span=")
    assert "deflated Sharpe ratio 0." in lines[6]
    assert lines[7].startswith("14 trials, Sharpe ratios spread by ")
    assert "luck" in lines[8]
    assert lines[9].startswith("14 runs in ")
    assert "14 runs: 14 settings of swept on ONE" in err
    assert "2 combinations left out: a span of 7 needs a rise" in err
    assert str(tmp_path / "out" / "results.parquet") in err
    main([*SWEEP, "--data", "TWO", *GRID, "--top", "28"])
    lines = capfd.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["instrument", "span"]
    assert {line.split()[0] for line in lines[2:30]} == {"ONE", "TWO"}
    main([*SWEEP, *GRID, "--grid", "entry_value=50000,2000000"])
    assert "14 runs left out: The entry value 2000000 is more than the cash" in capfd.readouterr().err


def test_random_settings_are_the_same_for_a_seed(stored: Path, capfd: pytest.CaptureFixture[str]) -> None:
    drawn = (*SWEEP, "--random", "25", "--grid", "stop_loss=0.5:3.0", "--set", "side=short", "--top", "25")
    one, same, other = (told(capfd, *drawn, "--seed", seed) for seed in ("7", "7", "8"))
    assert one["runs"] == same["runs"] == 25
    assert one["best"] == same["best"] != other["best"]
    for row in one["best"]:
        assert set(row["settings"]) == {"stop_loss", "span", "rise", "fall"}
        assert 0.5 <= row["settings"]["stop_loss"] <= 3


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_ends_with_the_same_file(stored: Path, tmp_path: Path) -> None:
    asked = [
        "sweep", "--strategy", "swept-slowly", "--data", "ONE", "--data", "TWO", *MONEY, "--grid", "span=3:50:1",
        "--grid", "rise=20,30,40", "--jobs", "2",
    ]  # fmt: skip
    command = [sys.executable, "-c", "from pregao.cli import main; main()", *asked, "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True, timeout=250)
    out = tmp_path / "killed"
    kept: list[int] = []
    for _ in range(2):
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before, deadline = parts(out), time.monotonic() + 120
        while parts(out) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert len(children) >= 2
        gone(children)
        kept.append(sum(pq.read_metadata(file).num_rows for file in parts(out)))
    assert 0 < kept[0] < kept[1] < 288
    done = subprocess.run([*command, str(out)], check=True, capture_output=True, text=True, timeout=250)
    assert "288 runs in" in done.stdout
    assert (out / "results.parquet").read_bytes() == (tmp_path / "whole" / "results.parquet").read_bytes()
    assert parts(out) == []


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_made(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = [
        "sweep", "--strategy", "swept-slowly", "--data", "ONE", *MONEY, "--grid", "span=3:300:1", "--grid",
        "rise=20,30,40,50", "--jobs", "2", "--out", str(out),
    ]  # fmt: skip
    command = [sys.executable, "-c", "from pregao.cli import main; main()", *asked]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A shell that runs the tests in the background lets what it starts ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not parts(out) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Interrupted." in err
    assert "Traceback" not in err
    assert 0 < sum(pq.read_metadata(file).num_rows for file in parts(out)) < 1_192


def parts(out: Path) -> list[Path]:
    return sorted((out / "parts").glob("*.parquet"))


def gone(pids: list[str]) -> None:
    """Wait for processes whose parent was killed to end by themselves."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        alive = [pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and state(pid) != "Z"]
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {alive}")


def state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*SWEEP,), "There is nothing to sweep"),
        ((*SWEEP, "--grid", "speed=1,2"), "There is no setting to sweep named 'speed'"),
        ((*SWEEP, "--grid", "span=9:3:1"), "never leads from 9 to 3"),
        ((*SWEEP, "--grid", "span=3:9:0"), "a step of 0 never arrives"),
        ((*SWEEP, "--grid", "span=3:9:2", "--set", "span=3"), "span is both fixed and swept"),
        ((*SWEEP, "--grid", "horizon=1,2"), "Say which: strategy.horizon or plan.horizon"),
        ((*SWEEP, "--grid", "span=1:1000", "--grid", "rise=1:1000", "--grid", "fall=1:1000"), "1,000,000,000 settings"),
        ((*SWEEP, "--random", "0"), "Between 1 and 1,000,000 settings"),
        ((*SWEEP, "--grid", "span=99"), "takes none of the 1 settings"),
        ((*SWEEP, "--grid", "span=3", "--jobs", "0"), "--jobs"),
        ((*SWEEP, "--grid", "span=3", "--by", "beauty"), "--by"),
        ((*SWEEP, "--grid", "entry_value=9000000"), "The entry value 9000000 is more than the cash"),
        ((*SWEEP, "--grid", "span=3", "--fees", "nowhere"), "nowhere"),
        ((*SWEEP, "--data", "ONE", "--grid", "span=3"), "is given twice"),
        ((*SWEEP, "--data", "HOURS", "--grid", "span=3"), "The instruments have bars of 1h and 1m"),
        ((*SWEEP, "--grid", "span=3", "--since", "2030-01-01"), "no 1m bars of ONE in that span"),
        (("sweep", "--strategy", "swept", "--data", "NOPE", "--grid", "span=3"), "NOPE"),
        (("sweep", "--strategy", "magic", "--data", "ONE", "--grid", "span=3"), "no strategy named 'magic'"),
        (("sweep", "--data", "ONE", "--grid", "span=3"), "Missing option '--strategy'"),
        (("sweep", "--strategy", "swept", "--grid", "span=3"), "Missing option '--data'"),
    ],
)
def test_wrong_use_is_one_sentence_with_the_mend(
    stored: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 2
    out, err = capfd.readouterr()
    assert words in err
    assert "Traceback" not in err
    assert not out


def test_a_folder_of_another_sweep_is_refused(stored: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = ("--out", str(tmp_path / "out"))
    main([*SWEEP, *GRID, *out])
    for change, words in (
        (("--grid", "fall=5,9"), "other settings are asked for now"),
        (("--seed", "3"), "another seed"),
    ):
        with pytest.raises(SystemExit) as end:
            main([*SWEEP, *GRID, *out, *change])
        assert end.value.code == 2
        assert words in capfd.readouterr().err
    Store().write(walk(1_600, 0, "ONE")[1_500:])
    with pytest.raises(SystemExit):
        main([*SWEEP, *GRID, *out])
    assert "over other data: test/test/ONE" in capfd.readouterr().err


def test_a_process_that_dies_and_a_strategy_that_fails(stored: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for strategy, words in (
        ("swept-slowly", "A process of the sweep was killed"),
        # Two processes run side by side: which of the failing settings is met first is theirs to decide.
        ("swept-by-bar", r"swept-by-bar failed on test/test/ONE with span=\d, fail=True: ZeroDivisionError"),
    ):
        arguments = [
            "sweep",
            "--strategy",
            strategy,
            "--data",
            "ONE",
            "--grid",
            "span=3:9:1",
            "--grid",
            "fail=false,true",
        ]
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--jobs", "2"])
        assert end.value.code == 1
        err = capfd.readouterr().err
        assert re.search(words, err), err
        assert "Traceback" not in err
