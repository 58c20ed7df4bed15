"""What the Prefect server tells a person: the latest runs with their steps and progress, and the schedules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pregao.core.errors import unknown
from pregao_flows import client
from pregao_flows.client import ACTIVE, FINAL, FlowRun

SCHEDULED = (client.INGEST, client.RETRAIN, client.MONITOR, client.SUPERVISE)
"""The deployments that run by themselves, in the order in which they are shown."""
_RAISED = re.compile(r"^(?:Flow run encountered an exception: )?\w+(?:Error|Exception): ")


@dataclass(frozen=True)
class Schedule:
    """When a deployment runs by itself.

    Attributes:
        deployment: ``"flow/name"``.
        cron: in UTC, empty if it runs every ``seconds`` (0 with a cron).
        on: whether it plans runs; a run that is asked for starts either way.
        next: of its next planned run, seconds since 1970; None if there is none.
        served: whether a runner has asked for its work in the last minute.
    """

    deployment: str
    cron: str
    seconds: float
    on: bool
    next: float | None
    served: bool


@dataclass(frozen=True)
class Step:
    """A task of a run: its name and the type of its state, as of `pregao_flows.client.FlowRun`."""

    name: str
    state_type: str


def runs(limit: int, flows: Sequence[str] = ()) -> list[FlowRun]:
    """The latest runs that have begun or were asked for by somebody, the newest first; of some flows only, if named."""
    body: dict[str, Any] = {
        "flow_runs": {
            "operator": "or_",
            "state": {"type": {"any_": [*ACTIVE, *FINAL]}},
            "tags": {"is_null_": True},
        },
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": limit,
    }
    if flows:
        body["flows"] = {"name": {"any_": list(flows)}}
    return [client.flow_run(found) for found in client.request("POST", "/flow_runs/filter", body) or []]


def plain(message: str) -> str:
    """What a run's state says, without Prefect's words around the sentence of an error."""
    return _RAISED.sub("", message)


def progress(run_id: str) -> float | None:
    """How far a run says it is, per cent; None if it does not say."""
    wanted = {"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["progress"]}}
    found = client.request("POST", "/artifacts/filter", {"artifacts": wanted, "limit": 1, "sort": "UPDATED_DESC"})
    return float(found[0]["data"]) if found else None


def steps(run_id: str) -> list[Step]:
    """The tasks of a run so far, in the order in which they began."""
    body = {"flow_runs": {"id": {"any_": [run_id]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 100}
    found = client.request("POST", "/task_runs/filter", body) or []
    return [Step(re.sub(r"-[0-9a-f]{3,}$", "", task["name"]), task.get("state_type") or "") for task in found]


def schedules() -> list[Schedule]:
    """The schedules of the deployments that are served; those that the server does not know are left out."""
    found = [(name, client.request("GET", f"/deployments/name/{name}")) for name in SCHEDULED]
    return [_schedule(name, one) for name, one in found if one is not None]


def switch(deployment: str, on: bool) -> None:
    """Let a deployment plan runs by itself, or not; what it had planned is dropped when it is turned off.

    Raises `NotFoundError` for a deployment without a schedule, or one that the server does not know.
    """
    known = client.request("GET", f"/deployments/name/{deployment}") if deployment in SCHEDULED else None
    if known is None:
        raise unknown("schedule", deployment, list(SCHEDULED))
    client.request("POST", f"/deployments/{known['id']}/{'resume' if on else 'pause'}_deployment")


def _schedule(name: str, found: dict[str, Any]) -> Schedule:
    active = [one["schedule"] for one in found["schedules"] if one["active"]]
    every = active or [one["schedule"] for one in found["schedules"]]
    on = bool(active) and not found["paused"]
    return Schedule(
        deployment=name,
        cron=str(every[0].get("cron", "")) if every else "",
        seconds=float(every[0].get("interval", 0)) if every else 0.0,
        on=on,
        next=_next(found["id"]) if on else None,
        served=found.get("status") == "READY",
    )


def _next(deployment_id: str) -> float | None:
    wanted = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    body = {
        "flow_runs": wanted,
        "deployments": {"id": {"any_": [deployment_id]}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": 1,
    }
    found = client.request("POST", "/flow_runs/filter", body)
    return datetime.fromisoformat(found[0]["expected_start_time"]).timestamp() if found else None
