"""Prefect's flows: runs, schedules, trainings, ingests. The panel stays useful while its server is away."""

from __future__ import annotations

from typing import Any

from pregao.core.errors import PregaoError
from pregao.sessions.journal import Journal
from pregao_ui.schemas.flows import RunDetails, RunOut, ScheduleOut, StepOut, status_of
from pregao_ui.schemas.sessions import Launched


class Flows:
    """The flows of the Prefect server; asked over HTTP, nothing is kept.

    Every method but `launch_session` raises `pregao_flows.client.ServerDownError` while the server is away.
    """

    def launch_session(self, session_id: str, journal: Journal) -> Launched:
        """Have a host run a session, or ask for a run of its own, unless one is already under way."""
        from pregao_flows import client, starting

        try:
            if not client.session_runs(session_id):
                starting.begin(session_id, journal)
        except client.ServerDownError:
            return Launched(session=session_id, launched=False)
        except PregaoError as error:
            return Launched(session=session_id, launched=False, message=str(error))
        return Launched(session=session_id, launched=True)

    def runs(self, limit: int, flows: list[str]) -> list[RunOut]:
        """The latest runs, the newest first; of some flows only, if any are named."""
        from pregao_flows import overview

        return [RunOut.of(run) for run in overview.runs(limit, flows)]

    def run(self, run_id: str) -> RunDetails:
        """One run with its progress, its steps, and its report once it has one."""
        from pregao_flows import client, overview

        run = client.get(run_id)
        steps = [StepOut(name=step.name, status=status_of(step.state_type)) for step in overview.steps(run_id)]
        report = client.report(run_id) if run.done else {}
        return RunDetails(**RunOut.of(run).model_dump(), progress=overview.progress(run_id), steps=steps, report=report)

    def cancel(self, run_id: str) -> RunOut:
        """Ask a run to end."""
        from pregao_flows import client

        client.cancel(run_id)
        return RunOut.of(client.get(run_id))

    def schedules(self) -> list[ScheduleOut]:
        """What runs by itself, and when."""
        from pregao_flows import overview

        return [ScheduleOut.of(schedule) for schedule in overview.schedules()]

    def switch(self, deployment: str, on: bool) -> list[ScheduleOut]:
        """Turn a schedule on or off; all of them as they are then."""
        from pregao_flows import overview

        overview.switch(deployment, on)
        return self.schedules()

    def retrain(self, instrument: str, timeframe: str) -> str:
        """Ask for a training; the run's id."""
        from pregao_flows import client

        return client.run_retrain(instrument, timeframe)

    def ingest(self, source: str, parameters: dict[str, Any], name: str) -> str:
        """Ask for market data, by the parameters of the flow ``ingest``; the run's id."""
        from pregao_flows import client

        return client.ask(client.INGEST, {"source": source, **parameters}, name=name[:100])
