"""The doctor says what is wrong and how to mend it, and never breaks down itself."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from free_ports import free_port

from pregao.core.errors import PregaoError
from pregao.market.ingest import ingest
from pregao.operations import doctor, servers
from pregao.operations.doctor import Finding, examine, locked, worst
from pregao.settings import settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ports_free(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    for name in ("PANEL", "PREFECT", "MLFLOW"):
        monkeypatch.setenv(f"PREGAO_{name}_PORT", str(free_port()))
    settings.cache_clear()
    return home


def found(name: str) -> Finding:
    return next(finding for finding in examine(settings()) if finding.check == name)


def test_a_healthy_folder(ports_free: Path) -> None:
    findings = examine(settings())
    assert [f for f in findings if f.level == "fail"] == []
    names = {f.check for f in findings}
    assert {"Python", "Packages", "git", "DVC", "Disk", "Chromium", "Network", "Database Sessions", "Store"} <= names
    assert all(f.mend for f in findings if f.level != "ok")
    assert not (ports_free / "var").exists()  # looking changes nothing
    assert not (ports_free / "data").exists()


def test_the_command_and_its_exit_status(ports_free: Path) -> None:
    pregao = str(Path(sys.executable).parent / "pregao")
    done = subprocess.run([pregao, "doctor", "--json"], capture_output=True, text=True, timeout=200, check=False)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"] != "fail") == (0, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(os.environ["PREGAO_PANEL_PORT"])))
        taken.listen()
        done = subprocess.run([pregao, "doctor"], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 1
    assert "PREGAO_PANEL_PORT=" in done.stdout
    assert f"process {os.getpid()}" in done.stdout


def test_a_report_of_a_bug_begins_with_the_version_and_holds_no_secret() -> None:
    """What the issue template asks people to paste: no password, token or key of theirs is in it, whatever breaks."""
    secret = "hunter2-of-the-test"
    there = f"me:{secret}@127.0.0.1:1"
    environment = os.environ | {
        "PREGAO_DATABASE_URL": f"postgresql+psycopg://{there}/sessions",
        "PREGAO_MLFLOW_URI": f"http://{there}",
        "PREGAO_DVC_REMOTE": f"https://{there}/data",
        "PREGAO_PANEL_TOKEN": secret,
        "PREGAO_CCXT_BINANCE_SECRET": secret,
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    command = [sys.executable, "-c", "from pregao.cli import main; main()", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert "Pregão" in done.stdout.splitlines()[1]
    assert "Models" in done.stdout
    assert secret not in done.stdout + done.stderr


def test_a_damaged_database(ports_free: Path) -> None:
    (ports_free / "var").mkdir()
    path = ports_free / "var" / "sessions.db"
    path.write_bytes(b"not a database" * 100)
    assert found("Database Sessions").level == "fail"
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert found("Database Sessions").level == "ok"


def test_no_space(ports_free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "FREE_LEAST", 1e18)
    assert found("Disk").level == "fail"
    with (
        pytest.raises(PregaoError, match=r"Only .* MB are free"),
        servers.running(settings(), "pregao up", print),
    ):
        pass
    assert not (ports_free / "var" / "logs").exists()


def test_a_folder_that_cannot_be_written(ports_free: Path) -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        (ports_free / "var").write_text("a file where a folder should be")
    else:
        (ports_free / "var").mkdir(mode=0o500)
    finding = found("Folder var")
    assert finding.level == "fail"
    assert "PREGAO_HOME" in finding.mend


def test_packages_against_the_lock(ports_free: Path) -> None:
    lock = ports_free / "requirements.lock"
    lock.write_text(
        "click==0.0.1 \\\n    --hash=sha256:00\nnot-there==1 ; python_full_version < '3' \\\n    --hash=sha256:00\n"
    )
    finding = found("Packages")
    assert finding.level == "fail"
    assert "(locked 0.0.1)" in finding.found
    assert "not-there" not in finding.found  # meant for another Python
    lock.write_text((ROOT / "requirements.lock").read_text())
    assert found("Packages") == Finding("Packages", "ok", found("Packages").found)


def test_a_lock_is_read_whole() -> None:
    text = (ROOT / "requirements.lock").read_text()
    versions = dict(locked(text))
    assert {"prefect", "mlflow", "dvc", "catboost", "gradio"} <= versions.keys()
    assert len(versions) > 200


def test_no_browser_is_only_a_warning(ports_free: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREGAO_CHROMIUM", str(tmp_path / "nothing"))
    finding = found("Chromium")
    assert finding.level == "warn"
    assert "apt install chromium" in finding.mend


def test_a_store_of_a_newer_version(ports_free: Path) -> None:
    ingest("synthetic", ["NOISE/USDT"], "4h", {"bars": 200})
    assert found("Store").found.startswith("1 instruments, 1 series")
    [rules] = (ports_free / "data").rglob("instrument.json")
    rules.chmod(0o644)
    rules.write_text(json.dumps({**json.loads(rules.read_text()), "schema": 99}))
    finding = found("Store")
    assert finding.level == "fail"
    assert "newer" in finding.found
    assert finding.mend


def test_a_check_that_breaks_is_a_failed_one(ports_free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def own_mistake(_: object) -> list[Finding]:
        raise ZeroDivisionError("one over zero")

    monkeypatch.setattr(doctor, "CHECKS", (own_mistake, *doctor.CHECKS))
    findings = examine(settings())
    assert findings[0] == Finding("Own mistake", "fail", "ZeroDivisionError: one over zero", "Report this as a bug.")
    assert len(findings) > 10
    assert worst(findings) == "fail"


def test_a_database_of_models_that_does_not_answer(ports_free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pregao.learning.registry.connection._CONNECT_S", 2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("PREGAO_MLFLOW_URI", f"postgresql://me:secret@127.0.0.1:{silent.getsockname()[1]}/mlflow")
        settings.cache_clear()
        began = time.monotonic()
        finding = found("Models")
    assert time.monotonic() - began < 90
    assert (finding.level, finding.mend) == ("fail", "Check PREGAO_MLFLOW_URI, and that its server runs.")
    assert "cannot be opened: connection timeout" in finding.found
    assert "secret" not in finding.found


def test_a_database_of_models_whose_driver_is_missing(ports_free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREGAO_MLFLOW_URI", "mysql://me@127.0.0.1/mlflow")
    settings.cache_clear()
    finding = found("Models")
    assert finding.level == "fail"
    assert "needs the Python package MySQLdb, which is not installed" in finding.found
    assert "PREGAO_MLFLOW_URI" in finding.mend
