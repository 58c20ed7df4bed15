"""``/flows``: runs, schedules, trainings."""

from __future__ import annotations

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request, status

from pregao.core.errors import NotFoundError
from pregao.core.timeframe import NAMES
from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.api.refusing import refuse, told
from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.refusals import refusal
from pregao_ui.schemas.flows import Asked, RetrainIn, RunDetails, RunOut, ScheduleOut, SwitchIn
from pregao_ui.services import Services
from pregao_ui.texts import language_of

Run = TypeVar("Run", bound=RunOut)


def router(services: Services) -> APIRouter:
    """Prefect's flows as far as the panel uses them; 503 while its server is away."""
    api = APIRouter(prefix="/flows", route_class=TaggedRoute, tags=["flows"])

    @api.get("/runs")
    def runs(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        flow: Annotated[list[str] | None, Query(max_length=10, description="Only runs of these flows")] = None,
    ) -> list[RunOut]:
        """The latest runs, the newest first."""
        return [_told(run, request) for run in services.flows.runs(limit, flow or [])]

    @api.get("/runs/{run_id}", responses=NOT_FOUND)
    def run(run_id: UUID, request: Request) -> RunDetails:
        """One run with its progress and its steps, and its report once it is done."""
        return _told(services.flows.run(str(run_id)), request)

    @api.post("/runs/{run_id}/cancel", responses=NOT_FOUND, status_code=status.HTTP_202_ACCEPTED)
    def cancel(run_id: UUID) -> RunOut:
        """Ask a run to end; what it has done until then stays."""
        return services.flows.cancel(str(run_id))

    @api.get("/schedules")
    def schedules() -> list[ScheduleOut]:
        """What runs by itself, and when next."""
        return services.flows.schedules()

    @api.post("/schedules", responses=NOT_FOUND)
    def switch(wanted: SwitchIn) -> list[ScheduleOut]:
        """Turn a schedule on or off; runs that are asked for start either way."""
        return services.flows.switch(wanted.deployment, wanted.on)

    @api.post("/retrains", status_code=status.HTTP_202_ACCEPTED, responses=NOT_FOUND)
    def retrain(wanted: RetrainIn, request: Request) -> Asked:
        """Ask for a training of the model of a series."""
        try:
            instrument = services.store.instrument(wanted.instrument)
        except NotFoundError:
            refuse("instrument", told(request, "err_gone"))
        have = [timeframe.name for timeframe in services.store.timeframes(instrument)]
        if wanted.timeframe not in have:
            refuse("timeframe", told(request, "err_choice", limit=", ".join(have or NAMES)))
        return Asked(run=services.flows.retrain(instrument.key, wanted.timeframe))

    return api


def _told(run: Run, request: Request) -> Run:
    """What a run says of itself, in the person's language as far as it is known there."""
    from pregao_flows import messages

    language = language_of(request.headers, request.cookies)
    told = messages.told(run.message, language, lambda words: refusal(language, words))
    return run.model_copy(update={"message": told})
