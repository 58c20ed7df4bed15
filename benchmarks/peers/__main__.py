"""Run engines and ours on the same jobs, compare their trades one by one, and print their speeds beside each other."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers import engines
from benchmarks.peers.differences import compare
from benchmarks.peers.engines import PEERS, EngineFailedError, Outcome, Peer
from benchmarks.peers.job import NAMES, Job, make
from benchmarks.peers.rules import RULES, trades, variant


def cause(peer: Peer, job: Job, theirs: Outcome) -> str:
    """What a difference between an engine and ours comes from, as far as its plain rules tell."""
    if theirs.report.get("refused"):
        return f"it refused {theirs.report['refused']} of its own orders (a position may be left without its exits)"
    if compare(theirs.trades, trades(job, RULES[peer.profile])[0]).equal:
        if RULES[peer.profile].back_in_time:
            return "it enters at an open that lay before the exit which made room (a fault of it: README.md)"
        return f"it follows its rules in rules.py: our profile {peer.profile} is wrong"
    return "it does not follow its rules in rules.py: they, or its version, have changed"


def stand_beside(peer: Peer, python: Path, job: Job, file: Path, folder: Path, repeats: int) -> dict[str, Any]:
    """Run one engine and ours under its profile; the row of the table, or the error."""
    row: dict[str, Any] = {"engine": peer.name, "job": job.name}
    try:
        theirs = engines.run(python, peer.runner, file, folder / peer.name, repeats, peer.variant)
    except EngineFailedError as e:
        return row | {"error": str(e)}
    row |= {
        "version": theirs.report["version"],
        "trades": len(theirs.trades),
        "final_equity": theirs.report["final_equity"],
        "bars_per_s": round(theirs.bars_per_s),
        "best_bars_per_s": round(theirs.best_bars_per_s),
        "peak_mb": round(theirs.report["peak_mb"]),
        "import_s": theirs.report["import_s"],
        "first_run_s": theirs.report.get("first_run_s"),
        "setup_cpu_s": theirs.report["setup_cpu_s"],
        "run_cpu_s": theirs.report["run_cpu_s"],
        "run_wall_s": theirs.report["run_wall_s"],
        "follows_its_rules": compare(theirs.trades, trades(job, RULES[peer.profile])[0]).equal,
    }
    try:
        ours = engines.run_ours(peer.profile, file, folder / f"ours-{peer.name}", repeats, peer.asked)
    except EngineFailedError as e:
        return row | {"our_error": str(e)}
    met = compare(theirs.trades, ours.trades)
    expected = compare(trades(job, variant(peer.profile, back_in_time=False))[0], ours.trades)
    return row | {
        "our_trades": len(ours.trades),
        "same_trades": met.same,
        "first_difference": met.first,
        "largest_pnl_difference": met.pnl,
        "largest_price_difference": met.price,
        "equity_difference": ours.report["final_equity"] - theirs.report["final_equity"],
        "cause": "" if met.equal else cause(peer, job, theirs) if expected.equal else "our engine: " + expected.first,
        "our_bars_per_s": round(ours.bars_per_s),
        "our_best_bars_per_s": round(ours.best_bars_per_s),
        "ratio": ours.bars_per_s / theirs.bars_per_s,
        "our_engine_bars_per_s": round(ours.report["bars"] / median(ours.report["engine_cpu_s"])),
        "our_peak_mb": round(ours.report["peak_mb"]),
        "our_first_run_s": ours.report["first_run_s"],
    }


COLUMNS = (
    ("engine", "engine", "{}"),
    ("version", "version", "{}"),
    ("trades", "trades", "{:,}"),
    ("same_trades", "same", "{:,}"),
    ("largest_pnl_difference", "largest P&L diff.", "{:.1e}"),
    ("bars_per_s", "bars/s", "{:,}"),
    ("our_bars_per_s", "ours", "{:,}"),
    ("ratio", "ratio", "{:,.1f}"),
    ("peak_mb", "MB", "{:,}"),
    ("our_peak_mb", "ours", "{:,}"),
)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows of one job as text, the differences below."""
    cells = [[title for _, title, _ in COLUMNS]]
    for row in rows:
        cells.append(["" if row.get(k) is None else form.format(row[k]) for k, _, form in COLUMNS])
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    lines = []
    for line in cells:
        texts = (c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        lines.append("  ".join(texts).rstrip())
    for row in rows:
        for key in ("error", "our_error", "first_difference", "cause"):
            if row.get(key):
                lines.append(f"  {row['engine']}: {key.replace('_', ' ')}: {row[key]}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; the number of engines that failed or differ without a cause of their own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--folder", help=f"folder with the engines' environments (else ${engines.VARIABLE})")
    parser.add_argument("--set", dest="sets", action="append", choices=NAMES, help="set of bars; several may be given")
    parser.add_argument("--sides", choices=("long", "short", "both"), default="long")
    parser.add_argument("--engine", dest="wanted", action="append", choices=[p.name for p in PEERS])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--goog", type=Path, help="Parquet file of daily bars for the set goog")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    given = parser.parse_args(arguments)
    folder = engines.folder_of(given.folder)
    if folder is None or not folder.is_dir():
        parser.error(f"where are the engines' environments? Name their folder with --folder or ${engines.VARIABLE}.")
    wanted = [p for p in PEERS if (p.name in given.wanted if given.wanted else True)]
    all_rows: list[dict[str, Any]] = []
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="peers_") as temporary:
        for name in given.sets or ["50k", "5k-wide"]:
            job = make(name, given.sides, given.goog)
            file = Path(temporary) / f"{job.name}.npz"
            job.save(file)
            rows = []
            for peer in wanted:
                python = engines.python_of(folder, peer)
                if peer.asked and (given.sides != "long" or name in ("5k-wide", "5k-shaven", "5k-ties")):
                    continue  # it finds the crosses by itself, and these sets have other signals
                if python is None:
                    row: dict[str, Any] = {
                        "engine": peer.name,
                        "job": job.name,
                        "error": "its environment is not there",
                    }
                else:
                    print(f"{job.name}: {peer.name} …", file=sys.stderr)
                    row = stand_beside(peer, python, job, file, Path(temporary), given.repeats)
                rows.append(row)
                wrong += "error" in row or "our_error" in row or str(row.get("cause", "")).startswith("our")
            all_rows += rows
            if not given.json:
                print(f"\n{job.name}: {job.instruments} x {job.bars:,} bars, sides {given.sides}\n{table(rows)}")
    if given.json:
        document = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "rows": all_rows}
        print(json.dumps(document, indent=2))
    return min(wrong, 100)


if __name__ == "__main__":
    sys.exit(main())
