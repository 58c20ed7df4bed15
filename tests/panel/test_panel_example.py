"""The Python example of docs/how-to/follow-from-python.md, as a person would run it, against a running panel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from probe_market import INSTRUMENT

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "follow-from-python.md"


def test_the_example_starts_a_session_and_follows_it_to_the_end(panel: Any, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "follow.py"
    script.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PANEL": panel.address, "no_proxy": "127.0.0.1"}
    command = [sys.executable, str(script), INSTRUMENT.key, "1m"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    found = re.match(r"Session (\S+) \(simulated money\)", process.stdout.readline())
    assert found is not None
    panel.run(found[1])  # as the flow would: the test's panel has no Prefect
    told, _ = process.communicate(timeout=240)
    session = panel.http.get(f"/api/v1/sessions/{found[1]}").json()
    rows = panel.http.get(f"/api/v1/sessions/{found[1]}/rows").json()
    fills = [row for row in rows if row["k"] == "fill"]
    lines = told.splitlines()
    assert len([line for line in lines if line.startswith(("bought", "sold"))]) == len(fills) > 10
    assert lines[-1] == f"finished: {session['pnl']:+.2f} after {session['trades']} trades"
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert again.stdout.startswith(f"Session {found[1]} ")  # the same key is the same session
