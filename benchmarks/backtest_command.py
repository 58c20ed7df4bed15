"""How long ``pregao backtest`` takes as a whole process, beside the least that any such process takes.

The floor is ``python -c "import numpy, pandas"`` in the same run. Told are a backtest of 10,000 bars with everything
compiled and ``pregao --help`` (the least of five starts, by the clock and by the processor), the first start of all,
with nothing compiled, of a strategy of signals and of one that is asked, and, with ``--large``, the most memory that so
many bars take, without and with a tear sheet and a file of the trades.

    python benchmarks/backtest_command.py [--large 10000000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine_against_floor import market

from pregao.market.store import Store

FLOOR = [sys.executable, "-c", "import numpy, pandas"]
PREGAO = [sys.executable, "-c", "from pregao.cli import main; main()"]
BACKTEST = [*PREGAO, "backtest", "--data", "BENCH/USD", "--cash", "1000000", "--strategy"]
SIGNALS, ASKED = [*BACKTEST, "ma-cross"], [*BACKTEST, "buy-and-hold"]


def run(command: list[str], **environment: str) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of the processor, and the most megabytes of a process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{command} ended with {status}"
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1_000


def least(command: list[str], times: int = 5, **environment: str) -> dict[str, float]:
    """The least of several runs."""
    taken = [run(command, **environment) for _ in range(times)]
    clock, processor = (min(one[i] for one in taken) for i in (0, 1))
    return {"seconds": round(clock, 3), "cpu_seconds": round(processor, 3)}


def first(command: list[str], **environment: str) -> dict[str, float]:
    """One run, with what it compiles."""
    clock, processor, most = run(command, **environment)
    return {"seconds": round(clock, 3), "cpu_seconds": round(processor, 3), "megabytes": round(most)}


def stored(home: Path, bars: int) -> dict[str, str]:
    """A home with so many minutes."""
    Store(home / "data").write(market(bars))
    return {"PREGAO_HOME": str(home)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--large", type=int, default=0)
    large = parser.parse_args().large
    with tempfile.TemporaryDirectory() as folder:
        home = stored(Path(folder) / "home", 10_000)
        cache = {"NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        figures: dict[str, object] = {"first_start": first(SIGNALS, **home, **cache)}
        figures["first_start_asked"] = first(ASKED, **home, NUMBA_CACHE_DIR=str(Path(folder) / "another"))
        floor, warm = least(FLOOR), least(SIGNALS, **home, **cache)
        figures |= {
            "floor": floor,
            "backtest_of_10000_bars": warm,
            "backtest_over_floor": round(warm["cpu_seconds"] / floor["cpu_seconds"], 3),
            "help": least([*PREGAO, "--help"]),
        }
        if large:
            where = stored(Path(folder) / "large", large)
            files = ["--report", str(Path(folder) / "sheet.html"), "--trades", str(Path(folder) / "trades.parquet")]
            clock, _, most = run(SIGNALS, **where, **cache)
            _, _, most_with_files = run([*SIGNALS, *files], **where, **cache)
            figures["large"] = {
                "bars": large, "seconds": round(clock, 3), "megabytes": round(most),
                "megabytes_with_report_and_trades": round(most_with_files),
            }  # fmt: skip
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
