"""The record of the classic strategies and their ensemble on real bars, by their defaults, beside buying and holding.

    python benchmarks/classics_record.py [--data FOLDER] [--json]

The folder holds Parquet files with the columns ``timestamp`` (open time, UTC), ``open high low close volume``.
Dividends that they tell of are put back into the prices, splits too where the prices have not taken them in already.
Bars shorter than an hour are joined to hours. Each strategy starts with 10,000, puts 5,000 into each entry, and pays
0.1 % on each side and 0.02 % of slippage; the session has no exits of its own. Without a folder, a random walk is
traded, on which there is nothing to earn. Nothing is tuned on these bars.
"""

from __future__ import annotations

import argparse
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pregao.core.bars import COLUMNS, Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.conformance import market
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured

STRATEGIES = ("buy-and-hold", "ma-cross", "rsi-reversion", "donchian-breakout", "grid", "ensemble")
LESS_SURE = {"ensemble": {"confidence": 80.0}}
"""The ensemble also with less to be shown than the gate asks of a model: by its defaults it hardly ever trades."""


def bars_of(path: Path, joined: str = "1h") -> Bars:
    """The bars of a file: by the day as they are, else joined to longer ones."""
    frame = pd.read_parquet(path)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True)
    frame = frame.set_index("timestamp").sort_index()
    frame = _adjusted(frame)
    daily = frame.index.to_series().diff().median() >= pd.Timedelta("1D")
    if not daily:
        how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        frame = frame.resample(joined.replace("m", "min")).agg(how).dropna()
    tick = Decimal("0.01") if frame["close"].median() > 1 else Decimal("0.0000001")
    instrument = Instrument(
        symbol=path.stem, source="benchmark", venue="benchmark", asset_class="crypto", base="X", quote="USD",
        tick_size=tick, lot_size=Decimal("0.0001") if tick > Decimal("0.001") else Decimal(1),
    )  # fmt: skip
    ticks = {name: np.rint(frame[name].to_numpy() / float(tick)).astype(np.int64) for name in COLUMNS}
    high = np.maximum.reduce(list(ticks.values()))
    low = np.minimum.reduce(list(ticks.values()))
    at = frame.index.as_unit("ns").astype("int64").to_numpy()
    timeframe = Timeframe.parse("1d" if daily else joined)
    volume = np.zeros(len(frame))  # not looked at
    return Bars(instrument, timeframe, at, ticks["open"], high, low, ticks["close"], volume)


def _adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """Prices with dividends put back in, and splits where the prices have not taken them in: what holding brought."""
    if "split" not in frame.columns:
        return frame
    before = frame["close"].shift(1)
    dividend = frame["dividend"].fillna(0)
    split = frame["split"].fillna(1).replace(0, 1)
    split = split.where(before / frame["open"] > np.sqrt(split), 1)  # else the price did not fall by it
    factor = (1 - dividend / before).fillna(1) / split
    since = factor[::-1].cumprod()[::-1].shift(-1, fill_value=1.0)
    return frame.assign(**{name: frame[name] * since for name in COLUMNS})


def columns() -> dict[str, tuple[str, dict[str, Any]]]:
    """Of each column of the table its strategy and settings."""
    found: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in STRATEGIES}
    for name, config in LESS_SURE.items():
        found[" ".join([name, *(f"{key}={value:g}" for key, value in config.items())])] = (name, config)
    return found


def record(name: str, bars: Bars, config: dict[str, Any]) -> dict[str, Any]:
    """The figures of one strategy over one market."""
    plan = Plan.of(bars.instrument, bars.timeframe, entry_value=5_000, take_profit=0, stop_loss=0)
    figures = backtest(configured(name, config), bars, plan).metrics()
    wanted = ("net_return", "sharpe", "max_drawdown", "trades")
    return {key: figures[key] for key in wanted}


def main() -> int:
    """Print the table, or one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder of Parquet files")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    markets = {"random walk": market(3_000)}
    if asked.data is not None:
        markets = {path.stem: bars_of(path) for path in sorted(asked.data.rglob("*.parquet"))}
    if not markets:
        print(f"There are no Parquet files in {asked.data}.", file=sys.stderr)
        return 2
    found: dict[str, Any] = {}
    for title, bars in markets.items():
        found[title] = {"bars": len(bars), "timeframe": bars.timeframe.name}
        found[title] |= {column: record(name, bars, config) for column, (name, config) in columns().items()}
    if asked.json:
        print(json.dumps(found, indent=2))
        return 0
    print("| market | bars | " + " | ".join(f"`{name}`" for name in columns()) + " |")
    print("|---|---|" + "---|" * len(columns()))
    for title, told in found.items():
        cells = [
            f"{told[s]['net_return']:+.1%} ({told[s]['max_drawdown']:.1%}, {told[s]['trades']:.0f})" for s in columns()
        ]
        print(f"| {title} | {told['bars']:,} of {told['timeframe']} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
