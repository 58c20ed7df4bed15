"""Flow runs and schedules as the API tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pregao_flows.client import FlowRun
    from pregao_flows.overview import Schedule

Status = Literal["waiting", "running", "done", "failed", "cancelled"]
_STATUS: dict[str, Status] = {
    "SCHEDULED": "waiting", "PENDING": "waiting", "RUNNING": "running", "PAUSED": "waiting", "CANCELLING": "running",
    "COMPLETED": "done", "FAILED": "failed", "CRASHED": "failed", "CANCELLED": "cancelled",
}  # fmt: skip
Timeframe = Annotated[str, Field(max_length=8, examples=["15m"])]


class StepOut(BaseModel):
    """One task of a run."""

    name: str
    status: Status


class RunOut(BaseModel):
    """A run of a flow: ``message`` is what it says of itself, an error's sentence if it failed."""

    id: str
    flow: str
    name: str
    status: Status
    state: str = Field(description="Prefect's own word for it")
    message: str
    started: float | None
    ended: float | None

    @classmethod
    def of(cls, run: FlowRun) -> RunOut:
        """The shape for a run."""
        from pregao_flows.overview import plain

        return cls(
            id=run.id,
            flow=run.flow,
            name=run.name,
            status=_STATUS.get(run.state_type, "waiting"),
            state=run.state,
            message=plain(run.message),
            started=run.started,
            ended=run.ended,
        )


class RunDetails(RunOut):
    """A run with its progress (per cent, None if it does not say), its steps, and its report once it has one."""

    progress: float | None
    steps: list[StepOut]
    report: dict[str, Any]


class ScheduleOut(BaseModel):
    """When a flow runs by itself; ``cron`` is in UTC, empty if it runs every ``seconds``."""

    deployment: str
    flow: str
    cron: str
    seconds: float
    on: bool
    next: float | None
    served: bool = Field(description="Whether a runner takes its runs")

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleOut:
        """The shape for a schedule."""
        return cls(
            deployment=schedule.deployment,
            flow=schedule.deployment.partition("/")[0],
            cron=schedule.cron,
            seconds=schedule.seconds,
            on=schedule.on,
            next=schedule.next,
            served=schedule.served,
        )


class SwitchIn(BaseModel):
    """Turn a schedule on or off."""

    model_config = ConfigDict(extra="forbid")

    deployment: str = Field(max_length=80, examples=["ingest/ingest"])
    on: bool


class RetrainIn(BaseModel):
    """Train, judge, register and, if the gate passes it, promote the model of a series."""

    model_config = ConfigDict(extra="forbid")

    instrument: str = Field(min_length=1, max_length=200, description="Its key, or an unambiguous symbol")
    timeframe: Timeframe


class Asked(BaseModel):
    """A run that was asked for; follow it at ``/flows/runs/{run}``."""

    run: str


def status_of(state_type: str) -> Status:
    """The word for a type of state."""
    return _STATUS.get(state_type, "waiting")
