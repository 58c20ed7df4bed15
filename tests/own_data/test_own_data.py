"""A person's own files, from the file to a trained model, a backtest and a session, by the commands alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pregao.cli import main

SHARED = Path(__file__).parents[3] / "shared"
Run = Callable[..., Any]


@pytest.fixture
def run(home: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run one command with ``--json`` and give its document."""

    def command(*arguments: object) -> Any:
        capfd.readouterr()
        main([str(a) for a in arguments] + ["--json"])
        return json.loads(capfd.readouterr().out)

    return command


def trade(run: Run, *arguments: object) -> Any:
    return run("trade", "start", "--here", "--speed", "0", *arguments)


@pytest.mark.slow
def test_bitcoin_minutes(run: Run) -> None:
    path = SHARED / "data" / "crypto" / "BTC-PERP_1m_2022-01.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not on this machine: the shared data folder is absent")
    run("ingest", path, "--source", "files", "--symbol", "BTC-PERP", "--timeframe", "1m", "--volume-in", "quote")
    exits = ("--take-profit", "0.6", "--stop-loss", "0.3")
    held = run("backtest", "--strategy", "ma-cross", "--data", "BTC-PERP", *exits)
    assert held["bars"] == 45_031
    assert held["metrics"]["trades"] > 300
    report = run("retrain", "BTC-PERP", "--timeframe", "1m")
    [model] = run("models")
    assert model["gate"] == report["gate"]
    assert model["aliases"] == ["champion" if report["gate"]["passed"] else "challenger"]
    session = trade(run, "--data", "BTC-PERP", "--strategy", "ma-cross", "--since", "2022-01-31", *exits)
    assert session["status"] == "finished"
    assert session["bars"] > 1_400


@pytest.mark.slow
def test_google_days(run: Run) -> None:
    path = SHARED / "data" / "stocks" / "GOOG_1d_2004-2013.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not on this machine: the shared data folder is absent")
    run("ingest", path, "--source", "files", "--symbol", "GOOG", "--timeframe", "1d", "--asset-class", "stock")
    exits = ("--take-profit", "6", "--stop-loss", "3")
    backtest = run("backtest", "--strategy", "ma-cross", "--data", "GOOG", "--fee", "0.05", *exits)
    assert backtest["bars"] == 2_148
    trained = run("train", "GOOG", "--timeframe", "1d")
    assert len(trained["gate"]["reasons"]) >= 6
    session = trade(run, "--data", "GOOG", "--strategy", "ma-cross", "--fee", "0.05", *exits)
    assert session["status"] == "finished"
    assert session["equity"] == pytest.approx(backtest["final_equity"], abs=1e-8), "what the backtest said, happened"


def test_a_csv_with_other_column_names(run: Run, tmp_path: Path) -> None:
    days = pd.bdate_range("2023-01-02", periods=120)
    close = [100 + (i * 7) % 23 for i in range(120)]
    table = pd.DataFrame(
        {"Date": days.strftime("%d/%m/%Y"), "Abertura": close, "Max": [c + 2 for c in close],
         "Min": [c - 2 for c in close], "Last": close, "Vol": 1_000}
    )  # fmt: skip
    path = tmp_path / "petr4.csv"
    table.to_csv(path, index=False)
    names = ("timestamp=Date", "open=Abertura", "high=Max", "low=Min", "close=Last", "volume=Vol")
    run(
        "ingest", path, "--source", "files", "--symbol", "PETR4", "--timeframe", "1d", "--time-format", "%d/%m/%Y",
        "--asset-class", "stock", "--quote", "BRL", "--calendar", "BVMF", *(x for n in names for x in ("--map", n)),
    )  # fmt: skip
    report = run("backtest", "--strategy", "buy-and-hold", "--data", "PETR4")
    assert report["bars"] == 120
    assert not report["synthetic"]
