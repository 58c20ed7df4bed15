"""Asking the Prefect server for runs, over its REST API.

Prefect is not imported here: that takes two seconds and 150 MB in every process, and the command line and the panel
need six requests. The runs themselves use Prefect's own client.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pregao.core.errors import PregaoError
from pregao.settings import settings
from pregao_flows.messages import Message, said

INGEST = "ingest/ingest"
RETRAIN = "retrain/retrain"
PAPER_TRADE = "paper-trade/paper-trade"
MONITOR = "monitor/monitor"
HOST = "host-sessions/host-sessions"
SUPERVISE = "supervise/supervise"
DEPLOYMENTS = (INGEST, RETRAIN, MONITOR, PAPER_TRADE, HOST, SUPERVISE)

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})
ACTIVE = ("PENDING", "RUNNING", "CANCELLING", "PAUSED")
"""State types of runs that have a process, or had one."""

POLL_SECONDS = 0.3
"""Each look at a run costs the server some ten milliseconds of its one core."""

PATIENCE_S = 60.0
"""A server that does not answer for so long is away."""

BY_THE_PERSON = said("by_the_person")
SHUTDOWN = said("shutdown")
"""Message of the cancellation at shutdown: a session then stays to be resumed; any other cancellation stops it."""

HOST_TAG = "host"

REPORT = "report"
"""Type of the artifact that carries a flow's result as JSON."""

BUSY = frozenset({429, 502, 503})

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class FlowRun:
    """A run as Prefect tells it.

    Attributes:
        id, name, flow: of the run; ``flow`` is the flow's name, for example ``"ingest"``.
        state_type: SCHEDULED, PENDING, RUNNING, PAUSED, CANCELLING or one of `FINAL`.
        state, message: the state's name as shown, and what it says; ``changed`` is when it was taken, as below.
        started, ended: seconds since 1970, None if not yet.
    """

    id: str
    name: str
    flow: str
    state_type: str
    state: str
    message: str
    started: float | None
    ended: float | None
    changed: float | None

    @property
    def done(self) -> bool:
        """Whether it has reached its last state."""
        return self.state_type in FINAL


class ServerDownError(PregaoError):
    """No Prefect server answers."""


def request(method: str, path: str, body: object = None, timeout: float = 15.0) -> Any:
    """One request to the API; None for an empty answer or a 404. A server that is busy is asked again, as it wants."""
    url = settings().prefect_api + path
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    deadline = time.monotonic() + timeout
    while True:
        try:
            with _direct.open(asked, timeout=timeout) as answer:
                content = answer.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            # 503 is Prefect's word for its SQLite database being locked by another of its writers.
            if error.code in BUSY and time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            detail = error.read()[:300].decode(errors="replace")
            raise PregaoError(
                f"The Prefect server refused {method} {path} with status {error.code}: {detail}",
                "Read var/logs/prefect.log; a server of another version may be listening there.",
            ) from error
        except (OSError, ValueError) as error:
            raise ServerDownError(
                f"The Prefect server does not answer at {settings().prefect_api}.",
                "Start it with `pregao up`.",
            ) from error


def server_alive(timeout: float = 1.0) -> bool:
    """Whether the server answers."""
    try:
        return request("GET", "/health", timeout=timeout) is True
    except PregaoError:
        return False


def served(deployment: str = PAPER_TRADE) -> bool:
    """Whether a runner serves ``deployment`` ("flow/name") and has asked for work in the last minute."""
    found = request("GET", f"/deployments/name/{deployment}")
    return found is not None and found.get("status") == "READY"


def ask(deployment: str, parameters: dict[str, Any], name: str | None = None, tags: Sequence[str] = ()) -> str:
    """Schedule a run of ``deployment`` now; its id.

    Raises:
        ServerDownError: no server.
        PregaoError: the deployment is not there, or the parameters do not fit it.
    """
    found = request("GET", f"/deployments/name/{deployment}")
    if found is None:
        raise PregaoError(
            f"The Prefect server at {settings().prefect_api} does not serve {deployment!r}.",
            "Start the flows with `pregao up`.",
        )
    body: dict[str, Any] = {"parameters": parameters, "tags": list(tags)}
    if name:
        body["name"] = name
    return str(request("POST", f"/deployments/{found['id']}/create_flow_run", body)["id"])


def launch(session_id: str) -> str:
    """Run a paper session under Prefect; the flow run's id."""
    return ask(PAPER_TRADE, {"session_id": session_id}, name=session_id, tags=[_tag(session_id)])


def run_host(capacity: int) -> str:
    """Run a host of sessions under Prefect; the flow run's id."""
    return ask(HOST, {"capacity": capacity}, name=f"host of {capacity}", tags=[HOST_TAG])


def host_runs() -> list[FlowRun]:
    """The runs of hosts that are scheduled or active, the newest first."""
    return _runs(["SCHEDULED", *ACTIVE], tags=[HOST_TAG])


def run_ingest(
    source: str,
    symbols: Sequence[str] = (),
    timeframe: str | None = None,
    options: dict[str, Any] | None = None,
) -> str:
    """Bring market data into the store; the flow run's id. Arguments as of `pregao.market.ingest.ingest`."""
    parameters: dict[str, Any] = {"source": source, "symbols": list(symbols), "options": options or {}}
    if timeframe:
        parameters["timeframe"] = timeframe
    return ask(INGEST, parameters, name=" ".join([source, *symbols, timeframe or ""]).strip()[:100])


def run_retrain(instrument: str, timeframe: str) -> str:
    """Train, judge, register and promote the model of an instrument (key or symbol); the flow run's id."""
    return ask(RETRAIN, {"instrument": instrument, "timeframe": timeframe}, name=f"{instrument} {timeframe}")


def get(run_id: str) -> FlowRun:
    """The run as it stands now."""
    found = request("GET", f"/flow_runs/{run_id}")
    if found is None:
        raise PregaoError(f"The Prefect server knows no run {run_id}.", "It may have been deleted in Prefect's pages.")
    return flow_run(found)


def wait(run_id: str, timeout: float, on_state: Callable[[FlowRun], None] = lambda run: None) -> FlowRun:
    """Poll until the run has reached its last state, or ``timeout`` seconds have passed.

    ``on_state`` is called at each change of its state. A server that is away for less than `PATIENCE_S` is waited for:
    the run itself does not need it.

    Raises:
        ServerDownError: if it stays away longer.
    """
    deadline = time.monotonic() + timeout
    seen, heard = "", time.monotonic()
    while True:
        try:
            run = get(run_id)
        except ServerDownError:
            if time.monotonic() - heard > PATIENCE_S:
                raise
            time.sleep(POLL_SECONDS)
            continue
        heard = time.monotonic()
        if run.state != seen:
            seen = run.state
            on_state(run)
        if run.done or time.monotonic() > deadline:
            return run
        time.sleep(POLL_SECONDS)


def report(run_id: str) -> dict[str, Any]:
    """What the run's flow reported (its last report artifact); empty if nothing."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": [REPORT]}}}
    found = request("POST", "/artifacts/filter", {**wanted, "limit": 1, "sort": "CREATED_DESC"})
    data = found[0]["data"] if found else {}
    return json.loads(data) if isinstance(data, str) else dict(data)


def cancel(run_id: str, message: Message = BY_THE_PERSON) -> None:
    """Ask a run to end: SIGTERM reaches its flow within a fraction of a second."""
    state = {"type": "CANCELLING", "message": message.english}
    request("POST", f"/flow_runs/{run_id}/set_state", {"state": state, "force": False})


def session_runs(session_id: str) -> list[FlowRun]:
    """The runs of a session that are scheduled or active, the newest first."""
    return _runs(["SCHEDULED", *ACTIVE], tags=[_tag(session_id)])


def was_cancelled(session_id: str) -> bool:
    """Whether somebody cancelled the session's latest run: the session is to be stopped then, not gone on with."""
    latest = _runs(["SCHEDULED", *ACTIVE, *FINAL], tags=[_tag(session_id)], limit=1)
    return bool(latest) and latest[0].state_type == "CANCELLED" and latest[0].message != SHUTDOWN.english


def active_runs() -> list[FlowRun]:
    """Runs that have a process, the newest first. A suspended one has none: it waits to be scheduled again."""
    return [run for run in _runs(ACTIVE) if run.state != "Suspended"]


def cancel_all(timeout: float) -> list[FlowRun]:
    """Cancel every active run and wait; those that have not ended after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    asked: set[str] = set()
    while True:
        left = active_runs()
        conclude_unbegun(left)
        for run in left:
            if run.id not in asked and run.state_type != "CANCELLING":
                cancel(run.id, SHUTDOWN)
            asked.add(run.id)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def conclude_unbegun(runs: Sequence[FlowRun] | None = None, after_s: float = 0.0) -> None:
    """Mark runs as cancelled that were cancelled before they began, ``after_s`` seconds ago or more; by default any.

    A runner that hears of the cancelling before it knows the run's process never comes back to it, and the run would
    say Cancelling for ever. The process, once it is there, is not allowed to begin.
    """
    for run in runs if runs is not None else _runs(["CANCELLING"]):
        if run.state_type == "CANCELLING" and run.started is None and time.time() - (run.changed or 0.0) >= after_s:
            state = {"type": "CANCELLED", "message": run.message}
            request("POST", f"/flow_runs/{run.id}/set_state", {"state": state, "force": True})


def crash_active(message: Message) -> None:
    """Mark every run that looks active as crashed, whatever it says itself. For a runner that knows it is alone."""
    for run in active_runs():
        state = {"type": "CRASHED", "message": message.english}
        request("POST", f"/flow_runs/{run.id}/set_state", {"state": state, "force": True})


def drop_missed(before: datetime) -> None:
    """Delete the runs that a schedule (not a person) had planned ``before`` this time and that never began."""
    wanted = {
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "expected_start_time": {"before_": before.isoformat()},
    }
    while found := request("POST", "/flow_runs/filter", {"flow_runs": wanted, "limit": 200}) or []:
        missed = [run["id"] for run in found if run.get("auto_scheduled")]
        for run_id in missed:
            request("DELETE", f"/flow_runs/{run_id}")
        if len(missed) < 200:
            return


def _tag(session_id: str) -> str:
    return f"session:{session_id}"


def _runs(state_types: Sequence[str], tags: Sequence[str] = (), limit: int = 200) -> list[FlowRun]:
    wanted: dict[str, Any] = {"state": {"type": {"any_": list(state_types)}}}
    if tags:
        wanted["tags"] = {"all_": list(tags)}
    body = {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_DESC", "limit": limit}
    return [flow_run(found) for found in request("POST", "/flow_runs/filter", body) or []]


def flow_run(found: dict[str, Any]) -> FlowRun:
    """A run from the API's own JSON."""
    state = found.get("state") or {}
    return FlowRun(
        id=found["id"],
        name=found["name"],
        flow=_flow_name(found["flow_id"]),
        state_type=found.get("state_type") or "",
        state=found.get("state_name") or "",
        message=state.get("message") or "",
        started=_seconds(found.get("start_time")),
        ended=_seconds(found.get("end_time")),
        changed=_seconds(state.get("timestamp")),
    )


@cache
def _flow_name(flow_id: str) -> str:
    return str((request("GET", f"/flows/{flow_id}") or {}).get("name", ""))


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
