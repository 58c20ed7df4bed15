"""Held against an engine written independently, in floats: the benchmark's floor, trade for trade."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_floor_engine_makes_the_same_trades() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "engine_against_floor.py", "--bars", "100000"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["same_trades"]
    assert report["trades"] > 200
    assert report["largest_equity_difference"] < 0.01
