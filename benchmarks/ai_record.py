"""The record of the AI on real bars, out of sample, beside buying and holding, and what the gate says of it.

    python benchmarks/ai_record.py [--data FOLDER] [--json]

The markets are those of ``classics_record.py``, but crypto by the quarter of an hour, since a model needs thousands of
bars. All knobs are those of params.yaml: operation, features, folds, gate; nothing is tuned on these bars. In each fold
a model is trained on older bars alone; what the models decide on the bars that follow is traded by the engine. Without
a folder, a random walk is looked at, on which there is nothing to learn.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from classics_record import bars_of

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.conformance import market
from pregao.features.sets import feature_set
from pregao.learning.assess import assess
from pregao.learning.gate import judge
from pregao.learning.labels import examples
from pregao.learning.params import Params, read_params

WANTED = ("net_return", "sharpe", "max_drawdown", "trades")


def record(bars: Bars, params: Params) -> dict[str, Any]:
    """The figures of the out-of-sample decisions over one market; why there are none where too little can be learnt."""
    plan = params.plan.plan(bars.instrument, bars.timeframe)
    told: dict[str, Any] = {"bars": len(bars), "timeframe": bars.timeframe.name}
    try:
        rows = examples(bars, plan, feature_set(params.features.set))
        report = assess(bars, plan, rows, params, combinations=False).report
    except UsageError as error:
        return told | {"why_not": error.message}
    return told | {
        "bars": report["span"]["bars"],
        "ai": {key: report["trading"][key] for key in WANTED},
        "doubled_costs": report["doubled_costs"]["net_return"],
        "buy_and_hold": {key: report["buy_and_hold"][key] for key in WANTED},
        "auc": report["prediction"]["auc"],
        "failed": sorted(judge(report, params.gate).failed),
    }


def main() -> int:
    """Print the table, or one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder of Parquet files; without one, a random walk")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    markets = {"random walk": market(3_000)}
    if asked.data is not None:
        markets = {path.stem: bars_of(path, "15m") for path in sorted(asked.data.rglob("*.parquet"))}
    params = read_params(Path(__file__).parents[1] / "params.yaml")
    found = {title: record(bars, params) for title, bars in markets.items()}
    if asked.json:
        print(json.dumps(found, indent=2))
        return 0
    print("| market, out of sample | bars | buy and hold | AI | at doubled costs | AUC | reasons of the gate failed |")
    print("|---|---|---|---|---|---|---|")
    for title, told in found.items():
        bars = f"{told['bars']:,} of {told['timeframe']}"
        if "why_not" in told:
            print(f"| {title} | {bars} | {told['why_not']} | | | | |")
            continue
        held, ai = (
            f"{one['net_return']:+.1%} ({one['max_drawdown']:.1%}, {one['trades']:.0f})"
            for one in (told["buy_and_hold"], told["ai"])
        )
        print(
            f"| {title} | {bars} | {held} | {ai} | {told['doubled_costs']:+.1%} | {told['auc']:.2f} "
            f"| {', '.join(told['failed'])} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
