"""`pregao ingest` and `pregao data`, as a person or a script uses them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pandas as pd
import pytest
from terminal import typed

from pregao.core.timeframe import Timeframe
from pregao.market.ingest import ingest
from pregao.market.store import Store

HEADER = "timestamp,open,high,low,close,volume\n"


@pytest.fixture
def run(home, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        return typed(capsys, *arguments)

    return call


def test_from_nothing_to_data_that_can_be_looked_at(run, tmp_path):
    assert "store is empty" in run("data", "list")[1]
    assert "no version yet" in run("data", "versions")[1]
    status, out, err = run("ingest", "--source", "synthetic", "--bars", "500", "--seed", "3")
    assert status == 0
    assert "EDGE-USDT" in out
    assert "500 added" in err
    assert "No bars were added" not in out
    status, out, err = run("ingest", "EDGE/USDT", "--source", "synthetic", "--bars", "500", "--seed", "3")
    assert "No bars were added" in out
    assert "nothing new" in err

    _, out, _ = run("data", "list", "--json")
    rows = json.loads(out)
    assert [(r["symbol"], r["bars"], r["synthetic"], r["quality"]) for r in rows] == [
        ("EDGE/USDT", 500, True, "clean"),
        ("NOISE/USDT", 500, True, "clean"),
    ]
    assert "synthetic/synthetic/NOISE-USDT" in run("data", "list")[1]
    shown = json.loads(run("data", "show", "NOISE/USDT", "--last", "2", "--json")[1])
    assert shown["instrument"]["tick_size"] == "0.01"
    assert [r["time"] for r in shown["rows"]] == ["2024-12-31 23:30", "2024-12-31 23:45"]
    assert "Nothing was found" in run("data", "quality", "NOISE/USDT")[1]
    target = tmp_path / "out.parquet"
    assert json.loads(run("data", "export", "NOISE/USDT", str(target), "--json")[1])["bars"] == 500
    assert len(pd.read_parquet(target)) == 500


def test_on_a_terminal_the_list_shows_coverage_as_a_strip_of_months(run, monkeypatch):
    run("ingest", "NOISE/USDT", "--source", "synthetic", "--timeframe", "1h", "--bars", "3000")
    run("ingest", "EDGE/USDT", "--source", "synthetic", "--timeframe", "1h", "--bars", "3000", "--defects", "9")
    rows = json.loads(run("data", "list", "--json")[1])
    assert [list(row["periods"]) for row in rows] == [["2024-08", "2024-09", "2024-10", "2024-11", "2024-12"]] * 2
    edge, noise = rows
    missing = sum(of["missing"] for of in edge["periods"].values())
    assert missing > 0
    assert edge["coverage"] == edge["bars"] / 3_000
    assert edge["bars"] + missing == 3_000
    assert noise["coverage"] == 1
    assert "100.0%" in run("data", "list")[1]
    assert "█" not in run("data", "list")[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = run("data", "list")[1]
    assert "█████ 100.0%  3,000 bars, 2024-08-29 00:00 to 2024-12-31 23:00\n  clean" in shown
    assert "▓" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_versions_are_listed_and_brought_back(run):
    run("ingest", "--source", "synthetic", "--bars", "200")
    run("ingest", "--source", "sample", "SPX")
    listed = json.loads(run("data", "versions", "--json")[1])
    assert [v["message"] for v in listed] == [
        "Ingest from sample: SPX 1d +5,031",
        "Ingest from synthetic: EDGE/USDT 15m +200, NOISE/USDT 15m +200",
    ]
    status, out, _ = run("data", "checkout", listed[1]["md5"][:8])
    assert status == 0
    assert "Return to version" in out
    assert [r["symbol"] for r in json.loads(run("data", "list", "--json")[1])] == ["EDGE/USDT", "NOISE/USDT"]
    assert not (Path(Store().root) / "quality" / "sample").exists()
    assert run("data", "checkout", "ffffffff")[0] == 2


def test_json_is_one_document_on_standard_output(run):
    status, out, err = run("ingest", "--source", "synthetic", "--symbol", "NOISE/USDT", "--bars", "300", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["added"] == 300
    assert report["series"][0]["quality"]["findings"] == []
    assert report["version"]["md5"].endswith(".dir")
    assert "NOISE/USDT 15m: 300 rows" in err


def test_bad_rows_refuse_the_ingest_or_are_left_out(run, tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text(f"{HEADER}2024-03-01 10:00,1,2,1,2,5\n2024-03-01 10:01,2,3,2,x,5\n2024-03-01 10:02,3,4,3,4,5\n")
    arguments = ("ingest", "--source", "files", str(path), "--symbol", "A/B", "--timeframe", "1m")
    status, out, err = run(*arguments)
    assert status == 2
    assert "prices.csv, line 3 has no number as close" in err
    assert "--bad-rows quarantine" in err
    assert out == ""
    assert not Store().bars_root.exists()

    status, out, _ = run(*arguments, "--bad-rows", "quarantine")
    assert status == 0
    assert "1 bad row" in out
    found = json.loads(run("data", "quality", "A/B", "--json")[1])
    assert found["quarantined"][0]["where"] == "prices.csv, line 3"
    assert found["rows"] == 3
    assert found["bars"] == 2


def test_a_refused_series_leaves_the_others_out_too(run, tmp_path, home):
    run("ingest", "--source", "synthetic", "--bars", "200")
    version = json.loads(run("data", "versions", "--json")[1])
    path = tmp_path / "prices.csv"
    path.write_text(f"{HEADER}2024-03-01 10:00,1,2,1,2,5\n2024-03-01 10:01,2,3,2,-3,5\n")
    assert run("ingest", "--source", "files", str(path), "--symbol", "A/B", "--timeframe", "1m")[0] == 2
    assert json.loads(run("data", "versions", "--json")[1]) == version
    assert [i.symbol for i in Store().instruments()] == ["EDGE/USDT", "NOISE/USDT"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ingest", "--source", "nope"), "no source named 'nope'"),
        (("ingest",), "Where the data is to come from is not said"),
        (("ingest", "--source", "files"), "No file is named"),
        (("ingest", "--source", "files", "/nope.csv", "--symbol", "A"), "There is no file"),
        (("ingest", "--source", "synthetic", "--bars", "7"), "bars"),
        (("ingest", "--source", "synthetic", "--edge", "-1"), "edge"),
        (("ingest", "--source", "synthetic", "--timeframe", "7m"), "'7m' is not a timeframe"),
        (("ingest", "--source", "synthetic", "--timeframe", "1w"), "Use 1m to 4h"),
        (("ingest", "--source", "synthetic", "DOGE/USDT"), "EDGE/USDT"),
        (("ingest", "--source", "sample", "--seed", "1"), "no option 'seed'"),
        (("ingest", "--source", "sample", "--since", "2030-01-01"), "no bars in that span"),
        (("ingest", "--source", "sample", "--since", "soon"), "2024-05-31T13:00"),
        (("ingest", "--source", "files", "x", "--map", "close"), "NAME=VALUE"),
        (("data", "show", "NOPE"), "pregao ingest"),
        (("data", "quality", "NOPE"), "no instrument named 'NOPE'"),
        (("data", "checkout", "abc"), "four characters"),
    ],
)
def test_wrong_use_gets_one_clear_sentence_and_status_two(run, arguments, says):
    status, out, err = run(*arguments)
    assert status == 2
    assert says in err
    assert "Traceback" not in err
    assert out == ""


def test_several_timeframes_ask_which(run):
    run("ingest", "NOISE/USDT", "--source", "synthetic", "--bars", "200")
    run("ingest", "NOISE/USDT", "--source", "synthetic", "--bars", "200", "--timeframe", "1h")
    status, _, err = run("data", "show", "NOISE/USDT")
    assert status == 2
    assert "15m, 1h" in err
    assert run("data", "show", "NOISE/USDT", "--timeframe", "1h")[0] == 0


def test_a_bar_that_has_not_closed_is_not_stored(home, tmp_path):
    now = int(time.time()) // 60 * 60
    rows = "".join(f"{now + 60 * k},1,2,1,2,5\n" for k in (-3, -2, -1, 0, 5))
    path = tmp_path / "live.csv"
    path.write_text(HEADER + rows)
    ingest("files", ["A/B"], "1m", {"paths": [path]})
    store = Store()
    last = store.coverage(store.instrument("A/B"), Timeframe.parse("1m")).last_ns
    assert last == (now - 60) * 1_000_000_000


def test_a_shorter_synthetic_market_takes_the_place_of_a_longer_one(home):
    ingest("synthetic", ["EDGE/USDT"], options={"bars": 900})
    report = ingest("synthetic", ["EDGE/USDT"], options={"bars": 300, "seed": 1})
    assert report.series[0].written.removed == 600
    assert report.series[0].quality.clean


def test_a_version_says_what_its_ingest_did(home, tmp_path):
    path = tmp_path / "a.csv"
    said = []
    for close in ("1.5", "1.5", "1.6"):
        path.write_text(f"{HEADER}2024-03-01 10:00,1,2,1,{close},5\n")
        said.append(ingest("files", ["A/B"], "1m", {"paths": [path]}).version.message)
    assert said == ["Ingest from files: A/B 1m +1"] * 2 + ["Ingest from files: A/B 1m 1 replaced"]


def test_the_store_moves_with_the_remote(run, tmp_path, monkeypatch):
    from pregao.settings import settings

    monkeypatch.setenv("PREGAO_DVC_REMOTE", str(tmp_path / "remote"))
    settings.cache_clear()
    status, _, err = run("ingest", "--source", "synthetic", "--bars", "200")
    assert status == 0
    assert "Pushing to" in err
    assert any((tmp_path / "remote").rglob("*.dir"))
