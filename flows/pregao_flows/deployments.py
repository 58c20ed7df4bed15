"""The deployments: which flows are served, on which schedules, how many runs at once.

``prefect.yaml`` says the same for `prefect deploy` into a work pool; a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron, Interval

from pregao_flows.host_sessions import host_sessions
from pregao_flows.ingest import ingest
from pregao_flows.monitor import DRIFT, GROWN, monitor
from pregao_flows.paper_trade import paper_trade
from pregao_flows.retrain import retrain
from pregao_flows.supervise import supervise

SUPERVISE_SECONDS = 60
INGEST_CRON = "2 * * * *"
"""Without parameters it goes on with what is stored: soon after the full hour, when bars have closed."""
RETRAIN_CRON = "30 3 * * *"
MONITOR_CRON = "20 */6 * * *"
CALLED_FOR = DeploymentEventTrigger(
    name="retrain what has drifted or outgrown its model",
    expect={DRIFT, GROWN},
    match={"prefect.resource.id": "pregao.model.*"},
    parameters={"instrument": "{{ event.payload.instrument }}", "timeframe": "{{ event.payload.timeframe }}"},
)
"""The monitor's events start a training of the one model that they are about."""


def deployments() -> list[RunnerDeployment]:
    """All deployments, to be served by one runner. The flows are found by module, wherever the process runs."""
    module = EntrypointType.MODULE_PATH
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    skip = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    first = datetime.now(UTC) + timedelta(seconds=SUPERVISE_SECONDS)
    return [
        ingest.to_deployment(
            "ingest",
            entrypoint_type=module,
            concurrency_limit=one,
            schedules=[Cron(INGEST_CRON, timezone="UTC", slug="hourly")],
        ),
        retrain.to_deployment(
            "retrain",
            entrypoint_type=module,
            concurrency_limit=one,
            schedules=[Cron(RETRAIN_CRON, timezone="UTC", slug="nightly")],
            triggers=[CALLED_FOR],
        ),
        monitor.to_deployment(
            "monitor",
            entrypoint_type=module,
            concurrency_limit=one,
            schedules=[Cron(MONITOR_CRON, timezone="UTC", slug="every-six-hours")],
        ),
        supervise.to_deployment(
            "supervise",
            entrypoint_type=module,
            concurrency_limit=skip,
            schedules=[Interval(timedelta(seconds=SUPERVISE_SECONDS), anchor_date=first, slug="every-minute")],
        ),
        paper_trade.to_deployment("paper-trade", entrypoint_type=module),
        host_sessions.to_deployment("host-sessions", entrypoint_type=module),
    ]
