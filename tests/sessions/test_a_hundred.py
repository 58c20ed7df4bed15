"""A hundred live sessions in one host, for half an hour of market time: nothing is missed, nothing is late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "many_sessions.py"


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_every_bar_of_a_hundred_sessions_is_journaled_before_the_next(tmp_path: Path) -> None:
    """The benchmark fails by itself if a bar is missing, wrong or later than the next one's close; a machine with other
    work may want a lower rate than ten minutes a minute: PREGAO_RATE."""
    command = [sys.executable, str(BENCHMARK), "--sessions", "100", "--minutes", "30"]
    done = subprocess.run(
        [*command, "--rate", os.environ.get("PREGAO_RATE", "10")],
        env={**os.environ, "PREGAO_BENCH_FOLDER": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    print(done.stdout)
    assert figures["bars_journaled"] >= 3_000
    assert (figures["missed"], figures["too_late_to_trade"]) == (0, 0)
    assert figures["memory_mb_a_session"] < 60
