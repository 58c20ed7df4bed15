"""1,000 settings of one strategy over 50,000 bars: our sweep on one core and on two, beside vectorbt's columns.

Every setting's figures are compared before the times. Ours always has all figures and the digest of each run, and its
signals are in its time; vectorbt is timed without making its signals, with the final values and the trades alone, and
with all figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.peers import engines, sweep
from benchmarks.peers.differences import CENT
from benchmarks.peers.engines import PEERS, EngineFailedError
from benchmarks.peers.job import make

CLOSE = {"bar_sharpe": 1e-9, "drawdown": 1e-9, "hit_rate": 1e-12}
"""How far figures of the same trades may lie apart: vectorbt's money is in floats."""


def rate(outcome: engines.Outcome, times: list[float]) -> int:
    """Bar settings a second, the median of the repetitions."""
    return round(outcome.report["bars"] * outcome.report["settings"] / float(np.median(times)))


def row_of(name: str, outcome: engines.Outcome, results: np.ndarray) -> dict[str, Any]:
    """One engine's figures."""
    told = outcome.report
    return {
        "engine": name,
        "version": told["version"],
        "settings": told["settings"],
        "trades": int(results["trades"].sum()),
        "best_final_equity": float(results["final_equity"].max()),
        "bar_settings_per_cpu_s": rate(outcome, told["run_cpu_s"]),
        "bar_settings_per_s": rate(outcome, told["run_wall_s"]),
        **{k: told[k] for k in ("setup_cpu_s", "run_cpu_s", "run_wall_s", "first_run_s")},
        "peak_mb": round(told["peak_mb"]),
    }


def ours(file: Path, folder: Path, repeats: int) -> tuple[list[dict[str, Any]], np.ndarray, int]:
    """Rows of one process and of two, the results, and how many differ between the two."""
    out = {n: folder / f"ours-{n}" for n in (1, 2)}
    done = {n: engines.run(sys.executable, "pregao_sweep", file, out[n], repeats, str(n)) for n in out}
    results = {n: np.load(path.with_suffix(".sweep.npy")) for n, path in out.items()}
    one, two = (row_of(f"Pregão, {n} {'core' if n == 1 else 'cores'}", done[n], results[n]) for n in out)
    for row, n in ((one, 1), (two, 2)):
        row["bar_settings_per_cpu_s"] = rate(done[n], done[n].report["all_cpu_s"])
        row["all_cpu_s"] = done[n].report["all_cpu_s"]
    two["faster_than_one_core"] = two["bar_settings_per_s"] / one["bar_settings_per_s"]
    two["side_by_side"] = 2 * rate(done[2], done[2].report["side_by_side_wall_s"]) / one["bar_settings_per_s"]
    digests = [done[n].report["digests"] for n in out]
    return [one, two], results[1], sum(a != b for a, b in zip(*digests, strict=True))


def beside(row: dict[str, Any], outcome: engines.Outcome, theirs: np.ndarray, mine: np.ndarray, one: Any) -> int:
    """Complete a rival's row; how many settings differ from ours."""
    apart = np.abs(theirs["final_equity"] - mine["final_equity"])
    same = (apart < CENT) & (theirs["trades"] == mine["trades"])
    for name, least in CLOSE.items():
        same &= np.isclose(theirs[name], mine[name], rtol=0, atol=least, equal_nan=True)
    figures = rate(outcome, outcome.report["figures_cpu_s"])
    row |= {
        "same_settings": int(same.sum()),
        "largest_difference": {name: float(np.nanmax(np.abs(theirs[name] - mine[name]))) for name in mine.dtype.names},
        "bar_settings_per_cpu_s_with_figures": figures,
        "bar_settings_per_s_with_figures": rate(outcome, outcome.report["figures_wall_s"]),
        "ratio_cpu": one["bar_settings_per_cpu_s"] / row["bar_settings_per_cpu_s"],
        "ratio_wall": one["bar_settings_per_s"] / row["bar_settings_per_s"],
        "ratio_cpu_with_figures": one["bar_settings_per_cpu_s"] / figures,
    }
    return int((~same).sum())


def line_of(row: dict[str, Any]) -> str:
    """A row for a person."""
    if "error" in row:
        return f"{row['engine']}: {row['error']}"
    line = f"{row['engine']:<16} {row['version']:<7} {row['bar_settings_per_s']:>12,} bar settings/s on the wall, "
    line += f"{row['bar_settings_per_cpu_s']:>12,} of CPU  {row['peak_mb']:>6,} MB"
    if "faster_than_one_core" in row:
        line += f"  {row['faster_than_one_core']:.2f} times one core"
        line += f" (two whole sweeps side by side: {row['side_by_side']:.2f} times)"
    if "ratio_cpu" in row:
        line += (
            f"\n    same {row['same_settings']:,} of {row['settings']:,} settings; ours on one core / its, CPU: "
            f"{row['ratio_cpu']:.1f} (its simulation alone), {row['ratio_cpu_with_figures']:.1f} (the same figures)"
        )
    return line


def main(arguments: list[str] | None = None) -> int:
    """Run the sweeps; the number of engines that failed or whose results differ from ours."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.sweeping", description=__doc__)
    parser.add_argument("--folder", help=f"folder with the engines' environments (else ${engines.VARIABLE})")
    parser.add_argument("--settings", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    folder = engines.folder_of(given.folder)
    if folder is None or not folder.is_dir():
        parser.error(f"where are the engines' environments? Name their folder with --folder or ${engines.VARIABLE}.")
    with tempfile.TemporaryDirectory(prefix="peers_") as temporary:
        file = Path(temporary) / "sweep.npz"
        sweep.save(file, make("50k"), sweep.settings(given.settings))
        rows, mine, apart = ours(file, Path(temporary), given.repeats)
        wrong = int(apart > 0)
        for peer in (p for p in PEERS if p.runner == "vectorbt_"):
            python = engines.python_of(folder, peer)
            if python is None:
                rows.append({"engine": peer.name, "error": "its environment is not there"})
                continue
            print(f"{peer.name} …", file=sys.stderr)
            out = Path(temporary) / peer.name
            try:
                outcome = engines.run(python, "vectorbt_sweep", file, out, given.repeats, peer.variant)
            except EngineFailedError as e:
                wrong += 1
                rows.append({"engine": peer.name, "error": str(e)})
                continue
            theirs = np.load(out.with_suffix(".sweep.npy"))
            row = row_of(peer.name, outcome, theirs)
            wrong += beside(row, outcome, theirs, mine, rows[0]) > 0
            rows.append(row)
    if given.json:
        print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "rows": rows}, indent=2))
        return wrong
    print("\n".join(line_of(row) for row in rows))
    if apart:
        print(f"One process and two differ in {apart} settings")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
