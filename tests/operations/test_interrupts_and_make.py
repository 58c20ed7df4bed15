"""The first Ctrl-C asks, the second hurries; make finds a Python or says what is missing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from pregao.operations.interrupts import Interrupts

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "make", "awk", "echo", "test", "touch", "rm", "git", "dirname", "env")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_later_ones_hurry(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert not interrupts.hurry.is_set()
        signal.raise_signal(number)  # raises nothing
        assert interrupts.hurry.is_set()
    assert signal.getsignal(number) == before


def test_no_signal_raises_once_stopping() -> None:
    with Interrupts() as interrupts:
        interrupts.stopping()
        signal.raise_signal(signal.SIGINT)
        assert interrupts.hurry.is_set()


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A project without an environment, on a machine that has make and a shell but no Python."""
    project, tools = tmp_path / "project", tmp_path / "bin"
    project.mkdir()
    tools.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, project / name)
    for name in TOOLS:
        path = shutil.which(name)
        if path:
            (tools / name).symlink_to(path)
    return project, {"PATH": str(tools), "HOME": str(tmp_path)}


def test_make_says_which_python_is_missing(machine: tuple[Path, dict[str, str]]) -> None:
    project, environment = machine
    old = Path(environment["PATH"]) / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # as Python 3.9 would answer to the check
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "set-up"], cwd=project, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode != 0
    assert "Pregão needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr
    assert not (project / ".venv").exists()


def test_make_help_names_the_commands(machine: tuple[Path, dict[str, str]]) -> None:
    project, environment = machine
    shown = subprocess.run(["make"], cwd=project, env=environment, capture_output=True, text=True, check=True).stdout
    assert {"make demo", "make test", "make up", "make lint", "make bench"} <= {
        " ".join(line.split()[:2]) for line in shown.splitlines()
    }


def test_make_hands_on_what_python_it_is_given(machine: tuple[Path, dict[str, str]]) -> None:
    project, environment = machine
    given = Path(environment["PATH"]) / "my-python"
    given.write_text(
        '#!/bin/sh\n[ "$1" = -c ] && exit 0\n[ "$1" = -m ] && echo "asked for $2 $3" && exit 7\necho Python 3.12\n'
    )
    given.chmod(0o755)
    done = subprocess.run(
        ["make", "set-up", f"PYTHON={given}"],
        cwd=project,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "asked for venv .venv" in done.stdout
    assert done.returncode != 0
    assert os.listdir(project).count(".venv") == 0
