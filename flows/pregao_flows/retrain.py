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

from pregao.core.errors import NotFoundError
from pregao_flows.messages import Message, because, failing, of_gate, said, sentence
from pregao_flows.reports import ended_badly, ended_well, leave, table
from pregao_flows.retrain_many import Many, retrain_many

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
def retrain(
    instrument: str | None = None,
    timeframe: str | None = None,
    instruments: list[str] | None = None,
    cluster: str | None = None,
) -> State[Any]:
    """Retrain one model, many, or, as every night, all that are registered; what has not changed costs seconds.

    Args:
        instrument: key or unambiguous symbol.
        timeframe: such as 15m; without it, whatever timeframes of the instruments have a registered model, or, where
            there is none yet, the shortest.
        instruments: several; each is a task, and one that fails stops none of the others.
        cluster: address of a Dask scheduler whose workers share the work, such as tcp://10.0.0.5:8786.
    """
    asked = ([instrument] if instrument is not None else []) + (instruments or [])
    wanted = [(one, timeframe) for one in asked] if timeframe is not None and asked else _known(asked, timeframe)
    if not wanted:
        return ended_well(said("no_model"))
    if len(wanted) == 1 and cluster is None:
        return ended_well(_retrain(*wanted[0]))
    many = retrain_many(wanted, cluster)
    if not many.done and len(many.failed) == 1:
        raise next(iter(many.failed.values()))
    return _report(many)


def _known(asked: list[str], timeframe: str | None) -> list[tuple[str, str]]:
    """The series that have a registered model, of the instruments that are asked for or of all.

    An instrument that is asked for and has none is trained on its shortest timeframe, as by the command line.
    """
    from pregao.learning.registry import list_models
    from pregao.market.store import Store

    known = sorted({(model.instrument, model.timeframe) for model in list_models()})
    if not asked:
        return [one for one in known if timeframe in (None, one[1])]
    store, wanted = Store(), []
    for name in asked:
        try:
            instrument = store.instrument(name)
            shortest = next((length.name for length in store.timeframes(instrument)), "1d")
        except NotFoundError:
            wanted.append((name, "1d"))  # its own training says so, and stops none of the others
            continue
        wanted += [one for one in known if one[0] == instrument.key] or [(instrument.key, shortest)]
    return wanted


def _report(many: Many) -> State[Any]:
    """The report of all, and the gate's page of each."""
    from pregao.market.store import Store

    rows: list[list[object]] = []
    for label, report in many.done.items():
        verdict = _verdict(report["name"], report["version"], report["gate"])
        symbol = Store().instrument(report["instrument"]).symbol
        _gate_page(f"{symbol} {report['timeframe']}", report["gate"], report | {"summary": verdict.english}, verdict)
        became = "champion" if report["promoted"] else "passed" if report["gate"]["passed"] else "refused"
        rows.append([label, report["version"], "new" if report["created"] else "as before", became,
                     report["model_digest"][:12], verdict])  # fmt: skip
    promoted = sum(report["promoted"] for report in many.done.values())
    summary = said("trained", models=len(many.done), promoted=promoted)
    page = [f"# {summary}", table(["series", "version", "", "gate", "digest", "what the gate said"], rows)]
    if many.failed:
        page += ["## Failed", table(["series", "why"], [[k, sentence(v)] for k, v in many.failed.items()])]
    document = {"models": list(many.done.values()), "failed": {k: sentence(v) for k, v in many.failed.items()}}
    leave("retrain many", "\n\n".join(page), document, summary.english)
    if many.failed:
        return ended_badly(failing(summary, many.failed))
    return ended_well(summary)


def _retrain(instrument: str, timeframe: str) -> Message:
    registry = Thread(target=_open_registry, name="registry", daemon=True)
    registry.start()
    workspace = snapshot(instrument, timeframe)
    for stage in (features, evaluate, train):
        stage(workspace)
    registry.join()
    verdict, registered = register(workspace)
    gate = verdict.to_json()
    summary = _verdict(workspace.name, registered.version, gate)
    report = {
        "name": workspace.name,
        "instrument": workspace.instrument.key,
        "timeframe": str(workspace.timeframe),
        "version": registered.version,
        "run_id": registered.run_id,
        "created": registered.created,
        "promoted": registered.promoted,
        "data_version": workspace.version.md5,
        "gate": gate,
        "summary": summary.english,
    }
    _gate_page(f"{workspace.instrument.symbol} {workspace.timeframe}", gate, report, summary)
    return summary


def _gate_page(label: str, gate: dict[str, Any], report: dict[str, Any], summary: Message) -> None:
    from pregao.learning.changes import told

    rows: list[list[object]] = [
        ["passed" if reason["passed"] else "**refused**", reason["name"], reason["text"]] for reason in gate["reasons"]
    ]
    parts = [f"# {summary}", table(["", "reason", "figure"], rows)]
    learnt = _learnt(report["name"], report["version"])
    if learnt:
        columns = ["", f"champion, version {learnt['champion']}", "this version"]
        parts += ["## What it has learnt that the champion had not", table(columns, told(learnt))]
    leave(f"gate {label}", "\n\n".join(parts), report | {"changes": learnt}, summary.english)


def _learnt(name: str, version: str) -> dict[str, Any]:
    """What a version's tags tell of the champion of its day and itself."""
    from pregao.learning.registry import list_models

    return next((model.changes for model in list_models(name) if model.version == version), {})


def _open_registry() -> None:
    """Import MLflow, create its database if need be, and close what a killed training left open, while DVC's stages
    run: that takes as long as one of them."""
    from pregao.core.errors import PregaoError
    from pregao.learning.registry import close_broken, prepare

    # What is wrong with it is told by the task that needs it.
    with suppress(PregaoError):
        prepare()
        close_broken()


def _verdict(name: str, version: str | None, gate: dict[str, Any]) -> Message:
    if gate["passed"]:
        return said("passed", model=name, version=version)
    why = [of_gate(reason) for reason in gate["reasons"] if not reason["passed"]]
    return because(said("refused", model=name, version=version), why)
