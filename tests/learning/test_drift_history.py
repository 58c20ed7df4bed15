"""The history of drift: what the monitor found stays readable, whatever was cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pregao.core.errors import UsageError
from pregao.learning.drift_history import history, keep

NAME = "pregao.synthetic.synthetic.EDGE-USDT.15m"


def check(ic: float) -> dict[str, Any]:
    findings = [
        {"name": "ic", "value": ic, "low": 0.0, "high": None, "drifted": ic < 0},
        {"name": "feature rsi_14", "value": 0.1, "low": None, "high": 0.5, "drifted": False},
        {"name": "feature atr_14", "value": 0.9, "low": None, "high": 0.5, "drifted": True},
    ]
    return {"champion": "1", "window": 300, "grown": 0.01, "note": "", "findings": findings}


def test_checks_are_kept_in_order_and_a_line_cut_short_costs_only_itself(home: Path) -> None:
    assert history(NAME) == []
    keep(NAME, check(0.1), 1)
    (file,) = (home / "var" / "drift").glob("*.jsonl")
    with file.open("a") as stream:
        stream.write('{"at_ns": 2, "champ')
    keep(NAME, check(-0.1), 3)
    found = history(NAME)
    assert [one["at_ns"] for one in found] == [1, 3]
    assert [f["name"] for f in found[1]["findings"]] == ["ic", "feature atr_14"]
    assert found[1]["findings"][0]["drifted"]
    assert [one["at_ns"] for one in history(NAME, last=1)] == [3]


def test_a_name_is_no_way_out_of_the_folder(home: Path) -> None:
    with pytest.raises(UsageError):
        history("../sessions")
