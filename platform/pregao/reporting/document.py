"""A backtest for programs: one JSON document, and the trades as CSV or Parquet."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pregao.core.errors import UsageError
from pregao.reporting.figures import rows_of
from pregao.reporting.sheet import COSTS, TRADE_COLUMNS, Sheet, typed_trades
from pregao.simulation.report import drawdowns, monthly_returns

SCHEMA = "pregao.backtest/1"
"""Its number changes when a key goes or changes its meaning; a new key does not change it."""


def document(sheet: Sheet) -> dict[str, Any]:
    """Every figure of a sheet as plain JSON values; what is not finite, or not known, is None.

    Keys: ``schema``, ``strategy``, ``instruments``, ``timeframe``, ``currency``, ``synthetic``, ``simulated`` (always
    true), ``bars``, ``from_ns`` and ``to_ns`` (first open, last close), ``data_version``, ``model``, ``cash``,
    ``final_equity``, ``pnl``, ``metrics`` (all of the sheet's figures), ``buy_and_hold`` (its metrics with
    ``final_equity``), ``random`` (``runs mean low high p``), ``interval`` (``worst best ambiguous_bars``), ``costs``
    (each of them and ``total``), ``dividends``, ``by_instrument``, ``monthly_returns`` (year -> months 1 to 12 and
    ``year``), ``drawdowns`` (times in ns), ``rules`` (``path slippage maker_fee_ppm taker_fee_ppm``), ``settings``,
    ``command``, ``trials``, ``trades`` (how many; the trades themselves are `trades_bytes`'), ``digest``.
    """
    held = None
    if sheet.held_figures is not None:
        held = dict(sheet.held_figures)
        held["final_equity"] = math.nan if sheet.held is None else float(sheet.held[-1])
    luck, interval = sheet.luck, sheet.interval
    fees = (None, None) if sheet.fee_ppm is None else sheet.fee_ppm
    found: dict[str, Any] = finite({
        "schema": SCHEMA,
        "strategy": sheet.strategy,
        "instruments": list(sheet.instruments),
        "timeframe": sheet.timeframe,
        "currency": sheet.currency,
        "synthetic": sheet.synthetic,
        "simulated": True,
        "bars": len(sheet.close_ns),
        "from_ns": sheet.open_ns,
        "to_ns": int(sheet.close_ns[-1]),
        "data_version": sheet.data_version or None,
        "model": sheet.model or None,
        "cash": sheet.cash,
        "final_equity": float(sheet.equity[-1]),
        "pnl": sheet.pnl,
        "metrics": dict(sheet.figures),
        "buy_and_hold": held,
        "random": None if luck is None else dataclasses.asdict(luck),
        "interval": None if interval is None else {
            "worst": interval.worst, "best": interval.best, "ambiguous_bars": interval.bars,
        },
        "costs": {name: sheet.costs.get(name, 0.0) for name in COSTS} | {"total": sheet.total_costs},
        "dividends": sheet.dividends,
        "by_instrument": sheet.per_instrument.to_dict("records"),
        "monthly_returns": {
            str(year): {str(column): value for column, value in row.items()}
            for year, row in monthly_returns(sheet.equity, sheet.close_ns).to_dict("index").items()
        },
        "drawdowns": [_drawdown(row) for row in rows_of(drawdowns(sheet.equity, sheet.close_ns))],
        "rules": {
            "path": sheet.path, "slippage": list(sheet.slippage), "maker_fee_ppm": fees[0], "taker_fee_ppm": fees[1],
        },
        "settings": dict(sheet.settings),
        "command": sheet.command or None,
        "trials": sheet.trials,
        "trades": len(sheet.trades),
        "digest": sheet.digest,
    })  # fmt: skip
    return found


def to_json(sheet: Sheet) -> str:
    """`document` as text that every JSON reader takes."""
    return json.dumps(document(sheet), ensure_ascii=False, indent=2, allow_nan=False)


def finite(value: Any) -> Any:
    """The same with plain Python numbers, and None for what is not finite or missing."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NaT or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def trades_bytes(sheet: Sheet, form: str) -> bytes:
    """The trades, oldest first, with the columns of `TRADE_COLUMNS`, as a file of the form ``.csv`` or ``.parquet``.

    Parquet has timestamps in UTC (ns), texts, float64 and booleans, whether or not there are trades. CSV has times in
    ISO 8601 (``2024-05-31T14:30:00Z``), numbers with all their digits and nothing for what is missing.

    Raises:
        UsageError: for another form.
    """
    trades = typed_trades(sheet.trades)
    if form.lower() == ".csv":
        for name, kind in TRADE_COLUMNS.items():
            if kind == "time":
                trades[name] = ["" if pd.isna(t) else t.isoformat().replace("+00:00", "Z") for t in trades[name]]
        return trades.to_csv(index=False, lineterminator="\n").encode()
    if form.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(trades, preserve_index=False)
        fields = [f.with_type(pa.string()) if f.type == pa.large_string() else f for f in table.schema]
        sink = pa.BufferOutputStream()
        pq.write_table(table.cast(pa.schema(fields)), sink)
        return bytes(sink.getvalue().to_pybytes())
    raise UsageError(f"Trades cannot be written as {form!r}.", "End the name in .csv or .parquet.")


def _drawdown(row: Any) -> dict[str, Any]:
    return {
        "depth": row.depth,
        "start_ns": row.start.value,
        "trough_ns": row.trough.value,
        "recovery_ns": None if pd.isna(row.recovery) else row.recovery.value,
        "bars": row.bars,
        "days": row.days,
    }
