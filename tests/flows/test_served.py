"""The deployments are served by a real Prefect server, and its own tools see them."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml
from free_ports import free_port

from pregao.core.errors import PregaoError
from pregao.operations.processes import Child, child_environment
from pregao.operations.servers import Servers
from pregao.settings import settings
from pregao_flows import client, overview
from pregao_flows.messages import said

pytestmark = pytest.mark.servers
ROOT = Path(__file__).parents[2]

SCHEDULED = """
from datetime import timedelta
from prefect import flow, serve
from prefect.schedules import Interval

@flow(name="clock")
def clock() -> str:
    return "tick"

if __name__ == "__main__":
    every = Interval(timedelta(seconds=2))
    serve(clock.to_deployment("clock", schedules=[every]), query_seconds=1, pause_on_shutdown=False)
"""


def prefect(servers: Servers, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        env=child_environment(
            {
                "PREFECT_API_URL": f"{servers.addresses['prefect']}/api",
                "PREFECT_HOME": str(servers.settings.var / "prefect"),
                "COLUMNS": "200",
            }
        ),
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    ).stdout


def test_all_deployments_are_served(served: Servers) -> None:
    assert all(client.served(name) for name in client.DEPLOYMENTS)
    listed = prefect(served, "deployment", "ls")
    assert all(name in listed for name in client.DEPLOYMENTS)


def test_the_concurrency_limit_is_there(served: Servers) -> None:
    assert "dvc" in prefect(served, "global-concurrency-limit", "ls")


def test_a_run_on_a_schedule_really_starts(served: Servers, tmp_path: Path) -> None:
    script = tmp_path / "clock.py"
    script.write_text(SCHEDULED)
    environment = {"PREFECT_API_URL": f"{served.addresses['prefect']}/api", "PREFECT_HOME": str(tmp_path / "home")}
    child = Child("clock", [sys.executable, str(script)], logs=tmp_path, environment=environment)
    child.start()
    try:
        deadline = time.monotonic() + 180
        while not any(run.flow == "clock" and run.state_type == "COMPLETED" for run in overview.runs(50)):
            assert child.running
            assert time.monotonic() < deadline, child.log.read_text()
            time.sleep(0.3)
    finally:
        child.end()
        client.crash_active(said("process_gone"))


def test_missed_runs_are_dropped_and_what_a_person_asked_for_is_not(served: Servers) -> None:
    flow = client.request("POST", "/flows/", {"name": "unserved"})["id"]
    hourly = {"interval": 3600, "anchor_date": "2020-01-01T00:00:00Z"}
    body = {"name": "unserved", "flow_id": flow, "schedules": [{"schedule": hourly, "active": True}]}
    deployment = client.request("POST", "/deployments/", body)["id"]
    span = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-03T00:00:00Z", "max_runs": 3}
    client.request("POST", f"/deployments/{deployment}/schedule", span)
    asked = client.request("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]

    def waiting() -> set[str]:
        wanted = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
        found = client.request("POST", "/flow_runs/filter", {"flow_runs": wanted})
        return {run["id"] for run in found if run["id"] == asked or run["expected_start_time"] < "2021"}

    assert len(waiting()) > 1
    client.drop_missed(datetime.now(UTC))
    assert waiting() == {asked}
    client.request("DELETE", f"/deployments/{deployment}")
    client.request("DELETE", f"/flow_runs/{asked}")


def just_starting() -> str:
    """A run whose process is being started: its runner may not know it yet."""
    asked = client.ask(client.INGEST, {"source": "nonsense", "symbols": ["A/B"], "timeframe": "1h"})
    deadline = time.monotonic() + 150
    while (run := client.get(asked)).state_type == "SCHEDULED":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert run.state_type == "PENDING"
    return asked


def test_a_run_that_is_cancelled_before_its_process_begins_does_nothing_and_ends(served: Servers) -> None:
    """The runner hears of it before it knows the process, and never comes back to it: supervision ends the run."""
    for _ in range(5):
        asked = just_starting()
        client.cancel(asked)
        deadline = time.monotonic() + 150
        supervised = client.ask(client.SUPERVISE, {})  # begins after it, so that one has had its time
        while not client.get(supervised).done:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        run = client.get(asked)
        if run.started is None:
            break
        assert run.state_type == "CANCELLED"  # its process was quicker, and the runner has ended it
    assert (run.state_type, run.started) in (("CANCELLING", None), ("CANCELLED", None))
    client.conclude_unbegun(after_s=3_600)
    assert client.get(asked) == run
    client.conclude_unbegun()
    assert client.get(asked).state_type == "CANCELLED"
    assert client.get(asked).message == "Cancelled by the person"


def test_all_are_cancelled_at_once_though_one_is_just_starting(served: Servers) -> None:
    asked = just_starting()
    assert client.cancel_all(90) == []
    assert client.get(asked).state_type == "CANCELLED"
    assert client.get(asked).message == client.SHUTDOWN.english


def test_another_site_cannot_use_the_api(served: Servers) -> None:
    api = f"{served.addresses['prefect']}/api/flow_runs/filter"
    headers = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    preflight = {**headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    with pytest.raises(HTTPError):
        urlopen(Request(api, method="OPTIONS", headers=preflight), timeout=90)
    own = {**preflight, "Origin": served.addresses["prefect"]}
    with urlopen(Request(api, method="OPTIONS", headers=own), timeout=90) as answer:
        assert answer.headers["access-control-allow-origin"] == served.addresses["prefect"]


def test_the_pages_are_those_without_banners(served: Servers) -> None:
    with urlopen(f"{served.addresses['prefect']}/ui-settings", timeout=90) as answer:
        said = yaml.safe_load(answer.read())
    assert said["default_ui"] == "v1"
    assert said["api_url"] == f"{served.addresses['prefect']}/api"


def test_prefect_yaml_says_what_is_served() -> None:
    from pregao_flows.deployments import deployments

    written = {d["name"]: d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
    for deployment in deployments():
        one = written.pop(deployment.name)
        path, _, function = one["entrypoint"].partition(":")
        assert (
            deployment.entrypoint == f"{path.removeprefix('flows/').removesuffix('.py').replace('/', '.')}.{function}"
        )
        assert (ROOT / path).exists()
        assert one.get("concurrency_limit", {}).get("limit") == deployment.concurrency_limit
        schedules = [schedule.schedule for schedule in deployment.schedules or []]
        assert [s.get("cron") for s in one.get("schedules", [])] == [getattr(s, "cron", None) for s in schedules]
        seconds = [getattr(s, "interval", None) for s in schedules]
        assert [s.get("interval") for s in one.get("schedules", [])] == [s and s.total_seconds() for s in seconds]
        triggers = [{k: getattr(t, k) for k in ("name", "type", "parameters")} for t in deployment.triggers]
        told = [{k: t[k] for k in ("name", "type", "parameters")} for t in one.get("triggers", [])]
        assert told == triggers
        for trigger, written_one in zip(deployment.triggers, one.get("triggers", []), strict=True):
            assert set(written_one["expect"]) == trigger.expect
            assert written_one["match"] == dict(trigger.match.root)
    assert written == {}


def test_without_a_server_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    settings.cache_clear()
    assert not client.server_alive()
    with pytest.raises(client.ServerDownError, match="does not answer") as caught:
        client.launch("no-such-session")
    assert "pregao up" in caught.value.mend
    settings.cache_clear()


def test_what_is_not_served_or_not_known_is_told(served: Servers) -> None:
    with pytest.raises(PregaoError, match="does not serve 'ingest/other'"):
        client.ask("ingest/other", {})
    with pytest.raises(PregaoError, match=r"status 409.*timeframe"):
        client.ask(client.INGEST, {"source": "sample", "timeframe": 15})
    with pytest.raises(PregaoError, match="knows no run"):
        client.get("00000000-0000-0000-0000-000000000000")
