"""Coverage as a strip of marks on a terminal, as a share when piped."""

from __future__ import annotations

import sys

import pytest

from pregao.commands.strip import MARKS, WIDTH, marks, strip


def of(**months: tuple[int, int]) -> dict[str, dict[str, int]]:
    return {name.replace("m", "2024-"): {"bars": bars, "missing": missing} for name, (bars, missing) in months.items()}


def test_a_mark_for_each_month_the_fuller_the_more_of_it_is_there():
    assert marks(of(m01=(100, 0), m02=(50, 50), m03=(90, 10), m04=(10, 90))) == "█▒▓░"
    assert marks(of(m01=(9_999, 1), m02=(9_980, 20))) == "█▓"
    assert marks(of(m01=(1, 0), m04=(1, 0))) == "█··█"
    assert marks({}) == ""
    assert marks({"2019": {"bars": 1, "missing": 0}, "2021": {"bars": 1, "missing": 0}}) == "█·█"


def test_a_long_history_is_shown_by_its_worst_parts():
    years = {f"{2000 + k // 12}-{k % 12 + 1:02}": {"bars": 100, "missing": 0} for k in range(200)}
    years["2008-05"] = {"bars": 10, "missing": 90}
    shown = marks(years)
    assert len(shown) == WIDTH
    assert shown.count(MARKS[0]) == 1
    assert shown.count(MARKS[-1]) == WIDTH - 1


def test_piped_it_is_a_share_and_whole_is_said_of_what_is_whole_only(monkeypatch: pytest.MonkeyPatch):
    assert strip(of(m01=(99_999, 1))) == "99.9%"
    assert strip(of(m01=(100, 0))) == "100.0%"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert strip(of(m01=(100, 0), m02=(50, 50))) == "█▒ 75.0%"
