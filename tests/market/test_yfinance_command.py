"""`pregao ingest --source yfinance`, as a person types it, against a Yahoo of our own."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
from terminal import typed
from yahoo.fixtures import at, days_ago, yahoo

from pregao.market.store import Store

__all__ = ["yahoo"]


@pytest.fixture
def run(yahoo, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        return typed(capsys, *arguments)

    return call


@pytest.fixture
def there(yahoo) -> tuple[str, ...]:
    return ("--option", f"address={yahoo.address}", "--option", "pause_s=0.01")


def test_a_stock_is_ingested_then_only_what_is_new(yahoo, run, there):
    """In a process of its own, as a person does; the second time a week later."""
    yahoo.now = at("2026-11-14") / 1e9
    first = subprocess.run(
        [sys.executable, "-c", "from pregao.cli import main; main()",
         "ingest", "AAPL", "--source", "yfinance", "--timeframe", "1d", *there],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    assert "AAPL 1d: 3,739 added, 9 new actions; 3,739 bars in all" in first.stderr
    assert "Warning" not in first.stderr
    yahoo.asked.clear()
    yahoo.now = at("2026-11-21") / 1e9
    status, out, err = run("ingest", "AAPL", "--source", "yfinance", "--timeframe", "1d", *there)
    assert status == 0
    assert "AAPL 1d: 15 rows" in err
    assert "AAPL 1d: 5 added; 3,744 bars in all" in err
    assert (int(yahoo.now) - int(yahoo.charts[0]["period1"])) < 30 * 86_400, "not the history again"
    status, out, _ = run("ingest", "AAPL", "--source", "yfinance", *there)
    assert status == 0
    assert "No bars were added" in out
    messages = [v["message"] for v in json.loads(run("data", "versions", "--json")[1])]
    assert [message.partition(": ")[2] for message in messages if "AAPL" in message] == [
        "AAPL 1d +5",
        "AAPL 1d +3,739 and 9 actions",
    ]


def test_bars_are_shown_and_exported_as_traded_or_adjusted(run, there, tmp_path):
    run("ingest", "AAPL", "--source", "yfinance", "--since", "2014-05-01", "--until", "2014-09-01", *there)
    raw = json.loads(run("data", "show", "AAPL", "--until", "2014-06-09", "--last", "1", "--json")[1])
    assert raw["actions"][:3] == [
        {"date": "2014-05-08", "action": "dividend", "value": "3.29"},
        {"date": "2014-06-09", "action": "split", "value": "7:1"},
        {"date": "2014-08-07", "action": "dividend", "value": "0.47"},
    ]
    as_of = ("--adjusted-as-of", "2014-06-09")
    adjusted = json.loads(run("data", "show", "AAPL", "--until", "2014-06-09", "--last", "1", *as_of, "--json")[1])
    close = float(raw["rows"][0]["close"])
    assert float(adjusted["rows"][0]["close"]) == pytest.approx(close / 7, abs=1e-6)
    shown = run("data", "show", "AAPL", *as_of)[1]
    assert "4:1" in shown
    assert "adjusted as of 2014-06-09" in shown

    for name in ("a.csv", "a.parquet"):
        path = tmp_path / name
        assert run("data", "export", "AAPL", str(path), *as_of)[0] == 0
        table = pd.read_csv(path) if name.endswith("csv") else pd.read_parquet(path)
        days = pd.to_datetime(table["timestamp"], utc=True)
        assert table["close"][days < "2014-06-09"].iloc[-1] == pytest.approx(close / 7, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("NO-SUCH",), 2, "Yahoo has no data of the symbol 'NO-SUCH'"),
        (("AAPL", "--timeframe", "3m"), 2, "It has 1m, 5m, 15m, 30m, 1h, 1d"),
        (("AAPL", "--timeframe", "1m", "--since", "2024-01-01"), 2, "Yahoo keeps bars of 1m for 30 days"),
        (("AAPL", "--option", "attempts=0"), 2, "attempts"),
        (("AAPL", "--option", "proxy=x"), 2, "no option 'proxy'"),
        (("AAPL", "--option", "address=somewhere"), 2, "address"),
        ((), 2, "Name some, for example AAPL MSFT"),
        (("AAPL", "--option", "address=http://127.0.0.1:9", "--option", "attempts=1"), 1, "it cannot be reached"),
    ],
)
def test_what_goes_wrong_is_one_clear_sentence(run, there, arguments, status, says):
    got, out, err = run("ingest", "--source", "yfinance", *there, *arguments)
    assert got == status
    assert says in err
    assert "Traceback" not in err
    assert out == ""
    assert not Store().bars_root.exists()


def test_minutes_are_ingested_day_after_day_and_stay_longer_than_yahoo_keeps_them(yahoo, run, there):
    yahoo.now = days_ago(8) / 1e9
    run("ingest", "NEWCO", "--source", "yfinance", "--timeframe", "5m", "--since", "2026-10-20", *there)
    yahoo.now = None
    assert run("ingest", "NEWCO", "--source", "yfinance", "--timeframe", "5m", *there)[0] == 0
    report = json.loads(run("data", "quality", "NEWCO", "--json")[1])
    assert not [finding for finding in report["findings"] if finding["kind"] == "gap"]
