"""``pregao plugins check``: the conformance kit without a test of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pregao.cli import main


def test_a_sound_strategy_keeps_the_contract(capfd: pytest.CaptureFixture[str]) -> None:
    main(["plugins", "check", "ma-cross", "--set", "fast=3", "--set", "slow=8", "--deadline", "2"])
    said = capfd.readouterr().out.splitlines()
    assert said[-1] == "ma-cross keeps the contract."
    assert len(said) == 17
    assert all(line.startswith("ok    ") for line in said[:-1])


def test_a_faulty_one_is_told_where_and_how_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "late_riser-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late-riser\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pregao.strategies]\nlate-riser = faulty:ReadsTheClock\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit) as end:
        main(["plugins", "check", "late-riser", "--deadline", "2", "--json"])
    assert end.value.code == 1
    told = json.loads(capfd.readouterr().out)
    assert told["passed"] is False
    (failed,) = [check for check in told["checks"] if not check["passed"]]
    assert failed["check"] == "reads no clock"
    assert "time.time() (faulty.py, line" in failed["seen"]
    assert "ctx.now_ns" in failed["mend"]
    assert failed["bar"] == 12
    assert failed["time"].startswith("2020-09-13")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "There is no strategy named 'nobody'"),
        (["ma-cross", "--set", "fast=0"], "fast"),
        (["ma-cross", "--deadline", "0"], "0.001"),
    ],
)
def test_a_wrong_use_is_told(arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["plugins", "check", *arguments])
    assert end.value.code == 2
    assert words in capfd.readouterr().err
