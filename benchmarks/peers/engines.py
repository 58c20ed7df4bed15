"""Which engines there are, where they are installed, and how one is run on a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
VARIABLE = "PREGAO_PEERS"
"""Environment variable that names the folder of environments, one a folder in it: ``backtesting``, ``vectorbt`` …"""


@dataclass(frozen=True)
class Peer:
    """An engine to stand beside.

    Attributes:
        name: as given on the command line.
        environment: its folder in the folder of environments.
        runner: its module in `benchmarks.peers.runners`.
        profile: our fill profile with its rules.
        variant: of the runner.
        slow: bars a second are few: not run on the largest set unless asked for.
        asked: how our strategy is asked: not at all (signals), at every bar (``callback``), or when what it ``waits``
            for has come.
    """

    name: str
    environment: str
    runner: str
    profile: str
    variant: str = ""
    slow: bool = False
    asked: str = ""


PEERS = (
    Peer("backtesting.py", "backtesting", "backtesting_py", "backtesting_py", "signals"),
    Peer("backtesting.py-callback", "backtesting", "backtesting_py", "backtesting_py", "callback", asked="callback"),
    Peer("backtesting.py-waits", "backtesting", "backtesting_py", "backtesting_py", "callback", asked="waits"),
    Peer("vectorbt", "vectorbt", "vectorbt_", "vectorbt", "numba"),
    Peer("vectorbt-rust", "vectorbt-rust", "vectorbt_", "vectorbt", "rust"),
    Peer("backtrader", "backtrader", "backtrader_", "backtrader", slow=True),
    Peer("nautilus", "nautilus", "nautilus_", "nautilus", "ohlc", slow=True),
    Peer("nautilus-callback", "nautilus", "nautilus_", "nautilus", "ohlc", slow=True, asked="callback"),
    Peer("jesse", "jesse", "jesse_", "jesse", "step", slow=True),
    Peer("freqtrade", "freqtrade", "freqtrade_", "freqtrade", slow=True),
)


@dataclass(frozen=True)
class Outcome:
    """What a runner wrote: its trades (`job.TRADE`) and the rest of its report."""

    trades: np.ndarray
    report: dict[str, Any]

    @property
    def bars_per_s(self) -> float:
        """Bars a second of CPU, the median of the repetitions; set-up not included."""
        return self.report["bars"] / float(np.median(self.report["run_cpu_s"]))

    @property
    def best_bars_per_s(self) -> float:
        """The same of the fastest repetition."""
        return self.report["bars"] / min(self.report["run_cpu_s"])


class EngineFailedError(Exception):
    """A runner ended with an error; its last words are the message."""


def python_of(folder: Path, peer: Peer) -> Path | None:
    """The Python of the engine's environment, None if it is not there."""
    path = folder / peer.environment / "bin" / "python"
    return path if path.exists() else None


def folder_of(given: str | None) -> Path | None:
    """The folder of environments: what was given, or else the environment variable, or none."""
    named = given or os.environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else None


def run(python: Path | str, runner: str, job: Path, out: Path, repeats: int, variant: str = "") -> Outcome:
    """Run one engine on a job in a process of its own, on one thread.

    Raises:
        EngineFailedError: with the end of what it wrote.
    """
    alone = {f"{k}_NUM_THREADS": "1" for k in ("OMP", "NUMBA", "OPENBLAS", "MKL", "RAYON")}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | alone
    command = [str(python), "-m", f"benchmarks.peers.runners.{runner}", str(job), str(out), "--repeats", str(repeats)]
    if variant:
        command += ["--variant", variant]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise EngineFailedError("\n".join((done.stderr or done.stdout).strip().splitlines()[-3:]))
    with np.load(out.with_suffix(".npz")) as file:
        trades = file["trades"]
    return Outcome(trades, json.loads(out.with_suffix(".json").read_text()))


def run_ours(profile: str, job: Path, out: Path, repeats: int, asked: str = "") -> Outcome:
    """Run our engine under a profile, in a process of its own; raises `EngineFailedError`."""
    return run(sys.executable, "pregao_", job, out, repeats, profile + (f"+{asked}" if asked else ""))
