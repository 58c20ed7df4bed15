"""The record of policies of reinforcement learning on real bars, out of sample, beside buying and holding.

    python -m benchmarks.policies [--data FOLDER] [--steps N] [--combinations] [--json]

Needs ``pip install 'plugins/pregao-rl[train]'``. The markets, the money and the costs are those of
``classics_record.py``; the session has no exits of its own. On each market a policy is trained for each of the four
folds of params.yaml, on older bars alone; what they decide on the bars that follow is traded by the engine and judged
by the gate; the combinatorial folds are computed where they could decide. Whether an entry would have paid, which
calibration and skill ask, is told by the exits of params.yaml. Nothing is tuned on these bars.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.classics_record import bars_of

from pregao.core.bars import Bars
from pregao.features.conformance import market
from pregao.learning.gate import judge
from pregao.learning.params import Params, read_params
from pregao.simulation.plan import Plan
from pregao_rl.judging import assess
from pregao_rl.training import Knobs

WANTED = ("net_return", "sharpe", "max_drawdown", "trades")


def record(bars: Bars, params: Params, knobs: Knobs, combinations: bool) -> dict[str, Any]:
    """The figures of the out-of-sample decisions over one market, and what the gate said."""
    plan = Plan.of(bars.instrument, bars.timeframe, entry_value=5_000, take_profit=0, stop_loss=0)
    judged = assess(bars, plan, params, knobs, combinations=combinations)
    verdict = judge(judged.report, params.gate)
    return {
        "bars": judged.report["span"]["bars"],
        "timeframe": bars.timeframe.name,
        "policy": {key: judged.report["trading"][key] for key in WANTED},
        "doubled_costs": judged.report["doubled_costs"]["net_return"],
        "buy_and_hold": {key: judged.report["buy_and_hold"][key] for key in WANTED},
        "skill": judged.report["prediction"]["skill"],
        "overfitting": judged.report["overfitting"] and judged.report["overfitting"]["probability"],
        "failed": sorted(verdict.failed),
    }


def main() -> int:
    """Print the table, or one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder of Parquet files; without one, a random walk")
    parser.add_argument("--steps", type=int, default=10_000, help="bars that each policy lives through in training")
    parser.add_argument("--combinations", action="store_true", help="the combinatorial folds too, wherever it fails")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    markets = {"random walk": market(3_000)}
    if asked.data is not None:
        markets = {path.stem: bars_of(path) for path in sorted(asked.data.rglob("*.parquet"))}
    params = read_params(Path(__file__).parents[2] / "params.yaml")
    found = {}
    for title, bars in markets.items():
        found[title] = record(
            bars, params, Knobs(steps=asked.steps, episode=min(250, len(bars) // 5)), asked.combinations
        )
        print(f"{title}: done", file=sys.stderr, flush=True)
    if asked.json:
        print(json.dumps(found, indent=2))
        return 0
    print("| market, out of sample | bars | buy and hold | policies | at doubled costs | skill | reasons failed |")
    print("|---|---|---|---|---|---|---|")
    for title, told in found.items():
        cells = [
            f"{one['net_return']:+.1%} ({one['max_drawdown']:.1%}, {one['trades']:.0f})"
            for one in (told["buy_and_hold"], told["policy"])
        ]
        print(
            f"| {title} | {told['bars']:,} of {told['timeframe']} | {' | '.join(cells)} | {told['doubled_costs']:+.1%} "
            f"| {told['skill']:+.3f} | {', '.join(told['failed'])} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
