"""Whatever a person gets wrong is answered with one clear sentence and the mend, status 1 or 2, and nothing is lost."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from pregao.cli import main
from pregao.settings import settings

Say = Callable[..., tuple[int, str]]
START = ("trade", "start", "--here", "--speed", "0", "--data", "NOISE/USDT", "--strategy", "ma-cross")


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one small synthetic instrument and one finished session."""
    folder = tmp_path_factory.mktemp("stocked")
    before = os.environ.get("PREGAO_HOME")
    os.environ["PREGAO_HOME"] = str(folder)
    settings.cache_clear()
    try:
        main(["ingest", "NOISE/USDT", "--source", "synthetic", "--timeframe", "1h", "--bars", "300"])
        main(list(START))
    finally:
        del os.environ["PREGAO_HOME"]
        if before is not None:
            os.environ["PREGAO_HOME"] = before
        settings.cache_clear()
    return folder


@pytest.fixture
def say(stocked: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Say:
    """Run a command that must fail; gives its status and what it said, and checks that it said it well."""
    monkeypatch.setenv("PREGAO_HOME", str(stocked))
    settings.cache_clear()

    def command(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        said = capfd.readouterr().err
        assert "Traceback" not in said
        assert isinstance(end.value.code, int)
        return end.value.code, " ".join(said.split())

    return command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "NOPE/USDT"), "There is no instrument named 'NOPE/USDT'"),
        (("--timeframe", "7m"), "'7m' is not a timeframe"),
        (("--timeframe", "1d"), "1d"),
        (("--strategy", "magic"), "There is no strategy named 'magic'"),
        (("--strategy", "catboost-ai"), "model"),
        (("--strategy", "catboost-ai", "--model", "nobody"), "nobody"),
        (("--mode", "yolo"), "yolo"),
        (("--cash", "-5"), "cash"),
        (("--cash", "nan"), "cash"),
        (("--cash", "1e30"), "cash"),
        (("--entry-value", "0"), "entry"),
        (("--entry-value", "20000"), "more than the cash"),
        (("--take-profit", "-1"), "take profit"),
        (("--take-profit", "100"), "take profit"),
        (("--stop-loss", "150"), "stop loss"),
        (("--stop-loss", "lots"), "stop loss"),
        (("--fee", "50"), "fee"),
        (("--horizon", "-3"), "horizon"),
        (("--speed", "-1"), "speed"),
        (("--since", "2031-01-01"), "no bars of"),
        (("--set", "slow=2"), "slow"),
    ],
)
def test_what_cannot_be_started(say: Say, arguments: tuple[str, ...], words: str) -> None:
    status, said = say(*START, *arguments)
    assert status in (1, 2)
    assert words.lower() in said.lower()
    assert len(said) < 500, "one clear sentence and the mend"


@pytest.mark.parametrize("command", ["stop", "pause", "resume", "flatten", "show"])
def test_a_session_that_does_not_exist(say: Say, command: str) -> None:
    status, said = say("trade", command, "nobody-0000")
    assert status == 2
    assert "nobody-0000" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("retrain", "NOPE/USDT", "--timeframe", "1h"),
        ("train", "NOISE/USDT", "--timeframe", "1d"),
        ("promote", "nobody", "3"),
        ("data", "show", "NOPE"),
        ("data", "export", "NOPE", "nope.csv"),
        ("ingest", "--source", "nowhere"),
        ("ingest", "missing.csv", "--symbol", "X", "--timeframe", "1h"),
    ],
)
def test_unknown_names_elsewhere(say: Say, arguments: tuple[str, ...]) -> None:
    status, said = say(*arguments)
    assert status in (1, 2)
    assert any(a in said for a in arguments[1:])


def test_where_data_comes_from_is_asked_for_where_it_cannot_be_told(say: Say) -> None:
    for arguments in ((), ("BTC/USDT",), ("bars.csv", "BTC/USDT")):
        status, said = say("ingest", *arguments)
        assert (status, "Add --source: ccxt for coins" in said) == (2, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("timestamp,open,high,low,close\n2024-01-01,1,1,1,1\n", "volume"),
        ("timestamp,open,high,low,close,volume\n2024-01-01,1,2,1,1,5\n2024-01-02,1,0.5,1,1,5\n", "high"),
        ("timestamp,open,high,low,close,volume\n2024-01-01,1,2,1,abc,5\n2024-01-02,1,2,1,1,5\n", "line 2"),
        ("timestamp,open,high,low,close,volume\nyesterday,1,2,1,1,5\n2024-01-02,1,2,1,1,5\n", "line 2"),
        ("\x00\x01\x02binary", "broken.csv"),
    ],
)
def test_a_mangled_file_is_named_with_its_row_and_nothing_is_stored(
    say: Say, stocked: Path, tmp_path: Path, content: str, words: str
) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(content)
    before = fingerprint(stocked / "data" / "bars")
    status, said = say("ingest", str(path), "--source", "files", "--symbol", "BROKEN", "--timeframe", "1d")
    assert status == 2
    assert words in said
    assert fingerprint(stocked / "data" / "bars") == before


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_a_sessions_database_from_a_newer_version(say: Say, stocked: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    source, target = sqlite3.connect(stocked / "var" / "sessions.db"), sqlite3.connect(newer)
    with target:
        source.backup(target)
        [table] = [t for (t,) in target.execute("SELECT name FROM sqlite_master WHERE name LIKE '%schema%'")]
        target.execute(f"UPDATE {table} SET version = 99")
    source.close()
    target.close()
    os.environ["PREGAO_DATABASE_URL"] = f"sqlite:///{newer}"
    settings.cache_clear()
    try:
        status, said = say("trade", "list")
    finally:
        del os.environ["PREGAO_DATABASE_URL"]
        settings.cache_clear()
    assert status in (1, 2)
    assert "newer" in said
