"""Running the stages of a DVC pipeline in a folder of their own, each as a process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pregao.core.errors import PregaoError
from pregao.market import dvc
from pregao.market.atomic import disk_errors, exclusive
from pregao.settings import QUIET


def init_pipeline(workspace: Path) -> None:
    """Make a folder a DVC workspace without git, for `reproduce`; nothing to do if it is one."""
    with exclusive(workspace.parent / f".{workspace.name}.lock"), disk_errors(workspace):
        if not (workspace / ".dvc" / "config").exists():
            workspace.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(workspace / ".dvc", ignore_errors=True)
            dvc.init(workspace, no_scm=True)


def reproduce(workspace: Path, stage: str, progress: Callable[[str], None] | None = None) -> bool:
    """Bring one stage of the workspace's ``dvc.yaml`` up to date; True if it ran, False if its result was known.

    DVC runs in a process of its own, so that an interrupted caller ends the stage too, and so that what the stage
    prints is kept: in ``logs/<stage>.log`` of the workspace. ``python`` in a stage's command is this interpreter.

    Args:
        workspace: a folder made by `init_pipeline`, with its ``dvc.yaml``.
        stage: the name of the stage; the stages before it are not run.
        progress: called with each line that the stage prints.

    Raises:
        PregaoError: if the stage fails, with the last lines that it printed.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= QUIET | {"PYTHONUNBUFFERED": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    log = workspace / "logs" / f"{stage}.log"
    with disk_errors(workspace):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w", encoding="utf-8") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro", "--single-item", stage],
                cwd=workspace,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            assert child.stdout is not None
            ran, tail = False, deque[str](maxlen=15)
            try:
                for line in child.stdout:
                    file.write(line)
                    text = line.rstrip()
                    if text == f"Running stage '{stage}':":
                        ran = True
                    elif text:
                        tail.append(text)
                        if ran and progress is not None:
                            progress(text)
                status = child.wait()
            finally:
                _end(child)
    if status:
        raise PregaoError(
            f"The stage {stage!r} of {workspace} failed:\n  " + "\n  ".join(tail), f"All that it printed is in {log}."
        )
    return ran


def _end(child: subprocess.Popen[str]) -> None:
    """End a process that this module started, and the stage below it, if it still runs."""
    if child.poll() is None:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal_number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=10)
                break
    if child.stdout is not None:
        child.stdout.close()
