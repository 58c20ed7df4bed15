"""How long ``pregao backtest`` takes as a whole process, beside the least that any such process takes.

The floor is ``python -c "import numpy, pandas"`` in the same run. Told are a backtest of 10,000 bars with everything
compiled and ``pregao --help`` (the least of five starts, by the clock and by the processor), the first start of all,
with nothing compiled, and, with ``--large``, the most memory that so many bars take.

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
BACKTEST = [*PREGAO, "backtest", "--strategy", "ma-cross", "--data", "BENCH/USD", "--cash", "1000000"]


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
        clock, processor, _ = run(BACKTEST, **home, **cache)
        figures: dict[str, object] = {"first_start": {"seconds": round(clock, 3), "cpu_seconds": round(processor, 3)}}
        floor, warm = least(FLOOR), least(BACKTEST, **home, **cache)
        figures |= {
            "floor": floor,
            "backtest_of_10000_bars": warm,
            "backtest_over_floor": round(warm["cpu_seconds"] / floor["cpu_seconds"], 3),
            "help": least([*PREGAO, "--help"]),
        }
        if large:
            clock, processor, most = run(BACKTEST, **stored(Path(folder) / "large", large), **cache)
            figures["large"] = {"bars": large, "seconds": round(clock, 3), "megabytes": round(most)}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
