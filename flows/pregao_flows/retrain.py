"""Train, judge, register and promote a model: one Prefect task a DVC stage, then the gate and MLflow.

DVC holds the one graph and the one cache, so no task here is cached by Prefect: a stage that has nothing new to do
says so in its log. Registering and promoting are never DVC stages, since a cached stage would skip its effect.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from pregao_flows.reports import leave, table

if TYPE_CHECKING:
    from pregao.learning.gate import Verdict
    from pregao.learning.pipeline import Workspace
    from pregao.learning.registry import Registered


@task(name="snapshot", cache_policy=NO_CACHE, persist_result=False)
def snapshot(instrument: str, timeframe: str) -> Workspace:
    """Pin the current data version and copy the series out of it, into the model's workspace."""
    from pregao.learning.pipeline import prepare

    return prepare(instrument, timeframe)


def _stage(workspace: Workspace, name: str) -> bool:
    from pregao.learning import pipeline

    log = get_run_logger()
    ran = pipeline.run(workspace, name, log.info)
    log.info("Stage %s %s", name, "done" if ran else "is up to date")
    return ran


@task(name="features", cache_policy=NO_CACHE, persist_result=False)
def features(workspace: Workspace) -> bool:
    """Features and labels. Whether the stage had to run."""
    return _stage(workspace, "features")


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate(workspace: Workspace) -> bool:
    """The walk-forward and its report. Whether the stage had to run."""
    return _stage(workspace, "evaluate")


@task(name="train", cache_policy=NO_CACHE, persist_result=False)
def train(workspace: Workspace) -> bool:
    """The model that is kept. Whether the stage had to run."""
    return _stage(workspace, "train")


@task(name="gate, register, promote", cache_policy=NO_CACHE, persist_result=False)
def register(workspace: Workspace) -> tuple[Verdict, Registered]:
    """Judge the report, register the model with the verdict, and make it champion only if it passed."""
    from pregao.learning.judging import verdict_of
    from pregao.learning.registry import log_and_register

    verdict = verdict_of(workspace)
    return verdict, log_and_register(workspace, verdict)


@flow(name="retrain")
def retrain(instrument: str | None = None, timeframe: str | None = None) -> State[Any]:
    """Retrain one model, or, as every night, all that are registered; what has not changed costs seconds.

    Args:
        instrument: key or unambiguous symbol; none is every registered model.
        timeframe: such as 15m; given with the instrument.
    """
    if instrument is not None and timeframe is not None:
        return Completed(message=_retrain(instrument, timeframe))
    from pregao.learning.registry import list_models

    known = sorted({(model.instrument, model.timeframe) for model in list_models()})
    wanted = [one for one in known if instrument in (None, one[0]) and timeframe in (None, one[1])]
    return Completed(message="; ".join(_retrain(*one) for one in wanted) or "No model is registered yet.")


def _retrain(instrument: str, timeframe: str) -> str:
    registry = Thread(target=_open_registry, name="registry", daemon=True)
    registry.start()
    workspace = snapshot(instrument, timeframe)
    for stage in (features, evaluate, train):
        stage(workspace)
    registry.join()
    verdict, registered = register(workspace)
    summary = _summary(workspace, verdict, registered)
    report = {
        "name": workspace.name,
        "instrument": workspace.instrument.key,
        "timeframe": str(workspace.timeframe),
        "version": registered.version,
        "run_id": registered.run_id,
        "created": registered.created,
        "promoted": registered.promoted,
        "data_version": workspace.version.md5,
        "gate": verdict.to_json(),
        "summary": summary,
    }
    rows: list[list[object]] = [
        ["passed" if reason.passed else "**refused**", reason.name, reason.text] for reason in verdict.reasons
    ]
    page = f"# {summary}\n\n" + table(["", "reason", "figure"], rows)
    leave(f"gate {workspace.instrument.symbol} {workspace.timeframe}", page, report, summary)
    return summary


def _open_registry() -> None:
    """Import MLflow and create its database, if need be, while DVC's stages run: that takes as long as one of them."""
    from pregao.core.errors import PregaoError
    from pregao.learning.registry import prepare

    # What is wrong with it is told by the task that needs it.
    with suppress(PregaoError):
        prepare()


def _summary(workspace: Workspace, verdict: Verdict, registered: Registered) -> str:
    model = f"{workspace.name} version {registered.version}"
    if verdict.passed:
        return f"{model}: the gate passed it, so it is champion"
    return f"{model}: the gate refused it: " + "; ".join(r.text for r in verdict.reasons if not r.passed)
