"""Ingest and retrain as the servers run them: real data, real DVC, real MLflow."""

from __future__ import annotations

from typing import Any

import pytest

from pregao.operations.servers import Servers
from pregao_flows import client

pytestmark = pytest.mark.servers

OPTIONS = {"bars": 6_000}
EDGE, KEY = "EDGE/USDT", "synthetic/synthetic/EDGE-USDT"


def finished(run_id: str, seconds: float = 120) -> client.FlowRun:
    run = client.wait(run_id, seconds)
    assert run.state == "Completed", run
    return run


def artifacts(run_id: str) -> list[dict[str, Any]]:
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    found: list[dict[str, Any]] = client._request("POST", "/artifacts/filter", wanted)
    return found


def task_names(run_id: str) -> list[str]:
    body = {"flow_runs": {"id": {"any_": [run_id]}}, "sort": "EXPECTED_START_TIME_ASC"}
    return [task["name"].rpartition("-")[0] for task in client._request("POST", "/task_runs/filter", body)]


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


def test_a_wrong_request_fails_at_once_with_its_sentence(served: Servers) -> None:
    run = client.wait(client.run_ingest("no-such-source", [EDGE]), 60)
    assert run.state == "Failed"
    assert "no-such-source" in run.message
    assert len(task_names(run.id)) == 1
    tries = client._request("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run.id]}}})
    assert [task["run_count"] for task in tries] == [1]  # wrong stays wrong: not tried again


@pytest.mark.slow
def test_retrain_runs_each_stage_as_a_task_and_what_has_not_changed_not_again(served: Servers) -> None:
    finished(client.run_ingest("synthetic", [EDGE], "15m", OPTIONS))
    run = finished(client.run_retrain(KEY, "15m"))
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
    run = client.wait(client.run_retrain("synthetic/synthetic/EDGE-USDT", "4h"), 60)
    assert run.state == "Failed"
    assert "pregao ingest" in run.message
