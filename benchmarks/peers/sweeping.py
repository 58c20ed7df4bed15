"""1,000 settings of one strategy over 50,000 bars: vectorbt's columns beside our core, setting by setting."""

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


def row_of(name: str, outcome: engines.Outcome, results: np.ndarray) -> dict[str, Any]:
    """One engine's figures."""
    settings = outcome.report["settings"]
    return {
        "engine": name,
        "version": outcome.report["version"],
        "settings": settings,
        "trades": int(results["trades"].sum()),
        "best_final_equity": float(results["final_equity"].max()),
        "bar_settings_per_s": round(outcome.bars_per_s * settings),
        "signals_cpu_s": outcome.report["setup_cpu_s"],
        "run_cpu_s": outcome.report["run_cpu_s"],
        "run_wall_s": outcome.report["run_wall_s"],
        "first_run_s": outcome.report["first_run_s"],
        "peak_mb": round(outcome.report["peak_mb"]),
    }


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
    wrong, rows = 0, []
    with tempfile.TemporaryDirectory(prefix="peers_") as temporary:
        file = Path(temporary) / "sweep.npz"
        sweep.save(file, make("50k"), sweep.settings(given.settings))
        out = Path(temporary) / "ours"
        ours = engines.run(sys.executable, "pregao_sweep", file, out, given.repeats)
        mine = np.load(out.with_suffix(".sweep.npy"))
        rows.append(row_of("Pregão", ours, mine))
        for peer in (p for p in PEERS if p.runner == "vectorbt_"):
            python = engines.python_of(folder, peer)
            if python is None:
                rows.append({"engine": peer.name, "error": "its environment is not there"})
                continue
            print(f"{peer.name} …", file=sys.stderr)
            out = Path(temporary) / peer.name
            try:
                theirs = engines.run(python, "vectorbt_sweep", file, out, given.repeats, peer.variant)
            except EngineFailedError as e:
                wrong += 1
                rows.append({"engine": peer.name, "error": str(e)})
                continue
            results = np.load(out.with_suffix(".sweep.npy"))
            row = row_of(peer.name, theirs, results)
            apart = np.abs(results["final_equity"] - mine["final_equity"])
            same = (apart < CENT) & (results["trades"] == mine["trades"])
            row |= {
                "same_settings": int(same.sum()),
                "largest_equity_difference": float(apart.max()),
                "ratio": rows[0]["bar_settings_per_s"] / row["bar_settings_per_s"],
            }
            wrong += not same.all()
            rows.append(row)
    if given.json:
        print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "rows": rows}, indent=2))
        return wrong
    for row in rows:
        if "error" in row:
            print(f"{row['engine']}: {row['error']}")
            continue
        line = f"{row['engine']:<14} {row['version']:<8} "
        line += f"{row['bar_settings_per_s']:>12,} bar settings/s  {row['peak_mb']:>6,} MB"
        if "ratio" in row:
            line += (
                f"  ours/its {row['ratio']:.1f}  same {row['same_settings']:,} of {row['settings']:,} settings, "
                f"equity within {row['largest_equity_difference']:.1e}"
            )
        print(line)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
