"""What programs read: one JSON document with every figure, and typed trades."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregao.core.errors import UsageError
from pregao.reporting.document import SCHEMA, document, finite, to_json, trades_bytes
from pregao.reporting.sheet import COSTS, TRADE_COLUMNS, Sheet

KEYS = {
    "schema", "strategy", "instruments", "timeframe", "currency", "synthetic", "simulated", "bars", "from_ns", "to_ns",
    "data_version", "model", "cash", "final_equity", "pnl", "metrics", "buy_and_hold", "random", "interval", "costs",
    "dividends", "by_instrument", "monthly_returns", "drawdowns", "rules", "settings", "command", "trials", "trades",
    "digest",
}  # fmt: skip
TYPES = {"text": pa.string(), "time": pa.timestamp("ns", tz="UTC"), "number": pa.float64(), "flag": pa.bool_()}


def refuse(constant: str) -> None:
    raise AssertionError(constant)


def test_the_document_goes_through_json_and_back(sheet: Sheet) -> None:
    text = to_json(sheet)
    back = json.loads(text, parse_constant=refuse)
    assert back == document(sheet)
    assert set(back) == KEYS
    assert back["schema"] == SCHEMA == "pregao.backtest/1"


def test_every_figure_is_in_it(sheet: Sheet) -> None:
    found = document(sheet)
    assert found["metrics"] == {k: None if not math.isfinite(v) else v for k, v in sheet.figures.items()}
    assert set(sheet.held_figures or ()) | {"final_equity"} == set(found["buy_and_hold"])
    assert found["pnl"] == pytest.approx(found["final_equity"] - found["cash"])
    assert found["costs"]["total"] == pytest.approx(sum(found["costs"][name] for name in COSTS)) == 24.75
    assert found["interval"]["worst"] < found["pnl"] < found["interval"]["best"]
    assert found["interval"]["ambiguous_bars"] == 12
    assert found["random"] == {"runs": 200, "mean": 0.01, "low": -0.2, "high": 0.25, "p": 0.03}
    assert found["trades"] == 60
    assert (found["from_ns"], found["to_ns"]) == (sheet.open_ns, int(sheet.close_ns[-1]))
    months = found["monthly_returns"]["2024"]
    assert list(months) == [*map(str, range(1, 13)), "year"]
    assert (1 + months["1"]) * (1 + months["2"]) * (1 + months["3"]) == pytest.approx(1 + months["year"])
    assert months["4"] is None
    worst = found["drawdowns"][0]
    assert worst["depth"] == pytest.approx(found["metrics"]["max_drawdown"])
    assert worst["start_ns"] < worst["trough_ns"] <= (worst["recovery_ns"] or found["to_ns"])


def test_what_is_not_finite_is_null(sheet: Sheet) -> None:
    row = document(sheet)["by_instrument"][1]
    assert row["hit_rate"] is None
    assert row["profit_factor"] is None
    assert finite({"a": [np.float64("nan"), (np.inf, np.int64(3))], "b": pd.NaT, "c": True}) == {
        "a": [None, [None, 3]], "b": None, "c": True,
    }  # fmt: skip


def test_a_bare_sheet_has_the_same_keys(make_sheet: Callable[..., Sheet]) -> None:
    bare = make_sheet(n=1, trades=0, held=None, held_figures=None, luck=None, interval=None, data_version="", model="",
                      settings={}, command="", fee_ppm=None, exposure={})  # fmt: skip
    found = json.loads(to_json(bare), parse_constant=refuse)
    assert set(found) == KEYS
    assert found["data_version"] is None
    assert found["buy_and_hold"] is found["random"] is found["interval"] is None
    assert found["rules"]["taker_fee_ppm"] is None


@pytest.mark.parametrize("trades", [0, 60])
def test_parquet_is_typed_whether_or_not_there_are_trades(
    make_sheet: Callable[..., Sheet], tmp_path: Path, trades: int
) -> None:
    sheet = make_sheet(trades=trades)
    (tmp_path / "t.parquet").write_bytes(trades_bytes(sheet, ".parquet"))
    table = pq.read_table(tmp_path / "t.parquet")
    found = {field.name: field.type for field in table.schema}
    assert found == {name: TYPES[kind] for name, kind in TRADE_COLUMNS.items()}
    assert table.num_rows == trades
    back = table.to_pandas()
    if trades:
        assert (back["entry_time"] == sheet.trades["entry_time"]).all()
        assert back["net_return"].tolist() == sheet.trades["net_return"].tolist()


def test_missing_stays_missing(sheet: Sheet, tmp_path: Path) -> None:
    trades = sheet.trades.copy()
    trades.loc[0, ["entry_rule", "entry_reference", "exit_time"]] = [pd.NA, np.nan, pd.NaT]
    holed = dataclasses.replace(sheet, trades=trades)
    (tmp_path / "t.parquet").write_bytes(trades_bytes(holed, ".parquet"))
    first = pq.read_table(tmp_path / "t.parquet").slice(0, 1).to_pylist()[0]
    assert first["entry_rule"] is None
    assert first["exit_time"] is None
    (tmp_path / "t.csv").write_bytes(trades_bytes(holed, ".csv"))
    row: Any = pd.read_csv(tmp_path / "t.csv").iloc[0]
    assert pd.isna(row["entry_rule"])
    assert pd.isna(row["exit_time"])


def test_csv_has_times_in_utc_and_every_digit(make_sheet: Callable[..., Sheet], tmp_path: Path) -> None:
    sheet = make_sheet(trades=3)
    trades = sheet.trades.copy()
    trades.loc[1, "entry_time"] += pd.Timedelta(nanoseconds=1)
    trades.loc[1, "entry_price"] = 0.1 + 0.2
    (tmp_path / "t.csv").write_bytes(trades_bytes(dataclasses.replace(sheet, trades=trades), ".csv"))
    back = pd.read_csv(tmp_path / "t.csv")
    assert back.columns.tolist() == list(TRADE_COLUMNS)
    assert back["entry_time"].tolist()[:2] == ["2024-01-01T02:30:00Z", "2024-01-01T10:00:00.000000001Z"]
    assert float(back["entry_price"][1]) == 0.1 + 0.2
    assert back["ambiguous"].tolist() == [True, False, False]
    assert back["side"].tolist() == ["long", "short", "long"]


def test_more_columns_are_kept(sheet: Sheet, tmp_path: Path) -> None:
    more = dataclasses.replace(sheet, trades=sheet.trades.assign(tier=3))
    (tmp_path / "t.parquet").write_bytes(trades_bytes(more, ".parquet"))
    assert pq.read_schema(tmp_path / "t.parquet").field("tier").type == pa.int64()


def test_another_kind_of_file_is_refused(sheet: Sheet) -> None:
    with pytest.raises(UsageError, match=r"End the name in \.csv or \.parquet"):
        trades_bytes(sheet, ".xlsx")
