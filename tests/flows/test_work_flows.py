"""Ingest and retrain as the servers run them: real data, real DVC, real MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from venue import Status, Venue
from yahoo import YahooServer
from yahoo.fixtures import at

from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.ingest import ingest
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.operations.servers import Servers
from pregao_flows import client
from pregao_flows.secrets import revealed

pytestmark = pytest.mark.servers

OPTIONS = {"bars": 6_000}
EDGE, NOISE, KEY = "EDGE/USDT", "NOISE/USDT", "synthetic/synthetic/EDGE-USDT"


def finished(run_id: str, seconds: float = 200) -> client.FlowRun:
    run = client.wait(run_id, seconds)
    assert run.state == "Completed", run
    return run


def artifacts(run_id: str) -> list[dict[str, Any]]:
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    found: list[dict[str, Any]] = client.request("POST", "/artifacts/filter", wanted)
    return found


def task_names(run_id: str) -> list[str]:
    body = {"flow_runs": {"id": {"any_": [run_id]}}, "sort": "EXPECTED_START_TIME_ASC"}
    return [task["name"].rpartition("-")[0] for task in client.request("POST", "/task_runs/filter", body)]


def task_run_names(run_id: str) -> list[str]:
    found = client.request("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    return [task["name"].partition("-")[0] for task in found]


def test_ingest_fills_the_store_and_leaves_a_report(served: Servers) -> None:
    run = finished(client.run_ingest("synthetic", [EDGE], "15m", {**OPTIONS, "seed": 1}))
    report = client.report(run.id)
    assert run.flow == "ingest"
    assert "6,000 new bars in 1 series" in run.message
    assert [one["key"] for one in report["series"]] == [KEY]
    [page] = [a for a in artifacts(run.id) if a["type"] == "markdown"]
    assert "| EDGE/USDT | 15m | 6,000 |" in page["data"]
    assert report["version"]["md5"] in page["data"]
    again = client.report(finished(client.run_ingest("synthetic", [EDGE], "15m", {**OPTIONS, "seed": 1})).id)
    assert (again["added"], again["version"]["md5"]) == (0, report["version"]["md5"])


def test_many_instruments_are_fetched_side_by_side_and_recorded_as_one_version(served: Servers) -> None:
    before = len(Versions().list())
    run = finished(client.run_ingest("synthetic", [EDGE, NOISE], "30m", {"bars": 500}))
    report = client.report(run.id)
    assert [(one["symbol"], one["added"]) for one in report["series"]] == [(EDGE, 500), (NOISE, 500)]
    assert sorted(task_run_names(run.id)) == [
        f"fetch and check synthetic {EDGE} 30m",
        f"fetch and check synthetic {NOISE} 30m",
        "store and record",
    ]
    versions = Versions().list()
    assert len(versions) == before + 1
    assert versions[0].message == f"Ingest from synthetic: {EDGE} 30m +500, {NOISE} 30m +500"
    [progress] = [a for a in artifacts(run.id) if a["type"] == "progress"]
    assert progress["data"] == 100.0
    limit = client.request("GET", "/v2/concurrency_limits/venue-synthetic")
    assert (limit["limit"], limit["active"]) == (2, True)

    # What a person edits in Prefect's pages stays.
    client.request("PATCH", "/v2/concurrency_limits/venue-synthetic", {"limit": 1})
    finished(client.run_ingest("synthetic", [EDGE, NOISE], "30m", {"bars": 500}))
    assert client.request("GET", "/v2/concurrency_limits/venue-synthetic")["limit"] == 1


def test_what_can_be_had_is_stored_and_what_cannot_is_named(served: Servers) -> None:
    run = client.wait(client.run_ingest("synthetic", ["NOISE/USDT", "NOPE/USDT"], "2h", {"bars": 300}), 200)
    assert run.state == "Failed"
    assert "300 new bars in 1 series" in run.message
    assert "synthetic NOPE/USDT 2h: There is no synthetic symbol named 'NOPE/USDT'" in run.message
    [page] = [a for a in artifacts(run.id) if a["type"] == "markdown"]
    assert "## Failed" in page["data"]
    assert Store().coverage(Store().instrument("NOISE/USDT"), Timeframe.parse("2h")).count == 300


def test_flaws_are_in_the_report_and_policies_are_parameters(served: Servers, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    rows = [f"{1_709_287_200 + 60 * k},10,11,9,10,{0 if k == 5 else 3}" for k in range(40) if k not in (20, 21)]
    path.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(rows))
    asked = {"source": "files", "symbols": ["FLAWED/USD"], "timeframe": "1m", "options": {"paths": [str(path)]}}
    run = client.wait(client.ask(client.INGEST, {**asked, "policies": {"zero-volume": "reject"}}), 200)
    assert run.state == "Failed"
    assert "prices.csv, line 7 has no volume" in run.message
    run = finished(client.ask(client.INGEST, {**asked, "policies": {"zero-volume": "quarantine"}}))
    [page] = [a for a in artifacts(run.id) if a["type"] == "markdown"]
    assert "| FLAWED/USD | error | zero volume | 1 |" in page["data"]
    assert "| FLAWED/USD | warning | gap | 3 |" in page["data"]


def test_a_secret_is_named_in_the_parameters_and_written_nowhere(served: Servers, tmp_path: Path) -> None:
    from prefect.blocks.system import Secret

    Secret(value="SECRETCOIN").save("pregao-test-secret", overwrite=True)
    path = tmp_path / "prices.csv"
    path.write_text("timestamp,open,high,low,close,volume\n1709287200,1,2,1,2,5\n1709287260,2,3,2,3,5\n")
    options = {"paths": [str(path)], "quote": {"secret": "pregao-test-secret"}}
    asked = {"source": "files", "symbols": ["HIDDEN"], "timeframe": "1m", "options": options}
    run = finished(client.ask(client.INGEST, asked))
    assert Store().instrument("HIDDEN").quote == "SECRETCOIN"
    tasks = client.request("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run.id]}}})
    logs = client.request("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run.id]}}})
    said = json.dumps([client.request("GET", f"/flow_runs/{run.id}"), tasks, logs, artifacts(run.id)])
    assert "pregao-test-secret" in said
    assert "SECRETCOIN" not in said

    plain = client.wait(client.ask(client.INGEST, {**asked, "options": {**options, "api_key": "abc"}}), 200)
    assert "must not be written into a run's parameters" in plain.message


def test_a_secret_that_is_not_there_is_named(served: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREGAO_TEST_KEY", "hidden")
    assert revealed({"api_key": {"env": "PREGAO_TEST_KEY"}, "bars": 5}) == {"api_key": "hidden", "bars": 5}
    with pytest.raises(UsageError, match="PREGAO_NOT_SET, which is not set"):
        revealed({"api_key": {"env": "PREGAO_NOT_SET"}})
    with pytest.raises(UsageError, match="Secret block 'no-such-block', which does not exist"):
        revealed({"api_key": {"secret": "no-such-block"}})


def test_on_its_schedule_it_goes_on_with_what_is_stored(served: Servers) -> None:
    run = finished(client.ask(client.INGEST, {}))
    assert "Nothing to go on with" in run.message
    deployment = client.request("GET", f"/deployments/name/{client.INGEST}")
    assert [s["schedule"]["cron"] for s in deployment["schedules"]] == ["2 * * * *"]
    assert client.request("PATCH", f"/deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}",
                           {"active": False}) is None  # fmt: skip


def test_on_its_schedule_it_brings_what_has_happened_since_of_every_venue(
    served: Servers, markets: tuple[Venue, YahooServer]
) -> None:
    venue, yahoo = markets
    yahoo.now = at("2026-11-14") / 1e9
    coins = ["BTC/USDT", "ETH/USDT"]
    ingest("ccxt", coins, "15m", start_ns=at("2024-02-20"))
    ingest("yfinance", ["AAPL"], start_ns=at("2026-01-01"))
    before = len(Versions().list())
    venue.requests.clear()
    venue.advance(minutes=95)
    yahoo.now = at("2026-11-21") / 1e9

    run = finished(client.ask(client.INGEST, {}))  # as the schedule asks it: without parameters
    report = client.report(run.id)
    assert {one["symbol"]: one["added"] for one in report["series"]} == {"BTC/USDT": 6, "ETH/USDT": 6, "AAPL": 5}
    assert sorted(task_run_names(run.id)) == [
        "fetch and check ccxt binance BTC/USDT 15m",
        "fetch and check ccxt binance ETH/USDT 15m",
        "fetch and check yfinance AAPL 1d",
        "store and record",
    ]
    assert client.request("GET", "/v2/concurrency_limits/venue-ccxt-binance")["limit"] == 2
    assert venue.counts()["klines"] == 2
    versions = Versions().list()
    assert len(versions) == before + 1
    assert versions[0].message == "Ingest from ccxt, yfinance: BTC/USDT 15m +6, ETH/USDT 15m +6, AAPL 1d +5"
    [page] = [a for a in artifacts(run.id) if a["type"] == "markdown"]
    assert "| BTC/USDT | 15m | 6 |" in page["data"]
    assert "| AAPL | 1d | 5 |" in page["data"]

    # A venue that refuses keeps nothing from the others, and is gone on with the next time.
    venue.advance(minutes=30)
    venue.fault(Status(418, retry_after=900), on="klines", times=30)
    yahoo.now = at("2026-11-25") / 1e9
    run = client.wait(client.ask(client.INGEST, {}), 200)
    assert run.state == "Failed"
    assert "AAPL" not in run.message.partition("failed: ")[2]
    assert "ccxt binance BTC/USDT 15m: binance refuses more requests from this address for 900 s." in run.message
    assert {one["symbol"]: one["added"] for one in client.report(run.id)["series"]} == {"AAPL": 2}
    tries = client.request("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run.id]}}})
    assert {task["run_count"] for task in tries} == {1}  # it is left alone for as long as it asks to be
    venue.mend()
    run = finished(client.ask(client.INGEST, {}))
    added = {one["symbol"]: one["added"] for one in client.report(run.id)["series"]}
    assert added == {"BTC/USDT": 2, "ETH/USDT": 2, "AAPL": 0}


def test_a_wrong_request_fails_at_once_with_its_sentence(served: Servers) -> None:
    run = client.wait(client.run_ingest("no-such-source", [EDGE]), 200)
    assert run.state == "Failed"
    assert "no-such-source" in run.message
    assert len(task_names(run.id)) == 1
    tries = client.request("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run.id]}}})
    assert [task["run_count"] for task in tries] == [1]  # wrong stays wrong: not tried again


@pytest.mark.slow
def test_retrain_runs_each_stage_as_a_task_and_what_has_not_changed_not_again(served: Servers) -> None:
    ingest("synthetic", [EDGE], "15m", OPTIONS)
    run = finished(client.run_retrain(KEY, "15m"), 300)
    assert task_names(run.id) == ["snapshot", "features", "evaluate", "train", "gate, register, promote"]
    report = client.report(run.id)
    assert report["created"]
    assert report["promoted"] == report["gate"]["passed"]
    [page] = [a for a in artifacts(run.id) if a["type"] == "markdown"]
    assert all(reason["text"] in page["data"] for reason in report["gate"]["reasons"])
    assert page["key"] == "gate-edge-usdt-15m"

    nightly = client.report(finished(client.ask(client.RETRAIN, {})).id)  # all that is registered
    assert (nightly["version"], nightly["created"]) == (report["version"], False)


def test_retrain_without_data_tells_the_mend(served: Servers) -> None:
    run = client.wait(client.run_retrain("synthetic/synthetic/EDGE-USDT", "4h"), 200)
    assert run.state == "Failed"
    assert "pregao ingest" in run.message
