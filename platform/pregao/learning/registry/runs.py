"""What a training leaves in MLflow: one run with params, metrics, dataset, report and model, and a version of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pregao.learning.gate import Verdict
from pregao.learning.lineage import flat, note
from pregao.learning.pipeline import Workspace
from pregao.learning.registry.aliases import challenge, registered, versions
from pregao.learning.registry.connection import failures, remote
from pregao.settings import settings

_FILES = (
    "evaluation.json",
    "pictures.json",
    "model.json",
    "params.yaml",
    "dvc.lock",
    "trades.parquet",
    "predictions.parquet",
    "trials.parquet",
)
"""What a run keeps of its workspace."""
PAGE = "report.html"
"""The report as one page, in the run's folder ``report``."""
_SAME = ("model_digest", "report_digest", "gate")
"""Versions with these tags alike are one."""


def log_run(
    client: Any,
    workspace: Workspace,
    verdict: Verdict,
    report: Mapping[str, Any],
    meta: Mapping[str, Any],
    tags: Mapping[str, str],
    classifier: Any,
) -> tuple[str, str]:
    """One MLflow run with params, metrics, dataset, report, plots and model; its id and the logged model's."""
    import mlflow.catboost
    from catboost import __version__ as catboost_version
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from pregao.learning.page import page
    from pregao.learning.plots import draw

    experiment = experiment_of(client, workspace.name)
    close_broken(client, experiment)
    run = client.create_run(
        experiment,
        run_name=f"{workspace.version.short} {str(meta['digest'])[:8]}",
        tags={"mlflow.note.content": note(verdict), **{k: tags[k] for k in ("data_version", "code_version")}},
    )
    run_id = str(run.info.run_id)
    status = "FAILED"
    try:
        log_dataset(client, run_id, workspace)
        # Before the metrics: MLflow would copy each of them to the model, a request for every one.
        inputs = Schema([ColSpec("double", feature) for feature in meta["features"]])
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.catboost.log_model(
                classifier,
                name="model",
                signature=ModelSignature(inputs=inputs),
                # Given, because MLflow would take seconds to infer it.
                pip_requirements=[f"catboost=={catboost_version}"],
                metadata={**meta, "data_version": workspace.version.md5},
            )
        log_figures(client, run, report, workspace.params.model_dump(mode="json"))
        with TemporaryDirectory() as folder:
            (Path(folder) / "plots").mkdir()
            pictures = workspace.document("pictures.json")
            draw(report, pictures, meta["importance"], Path(folder) / "plots")
            facts = {**tags, "name": workspace.name, "data": workspace.version.short}
            (Path(folder) / PAGE).write_text(page(report, pictures, meta, verdict, facts), encoding="utf-8")
            (Path(folder) / "gate.json").write_text(json.dumps(verdict.to_json(), indent=1))
            for file in _FILES:
                (Path(folder) / file).write_bytes((workspace.root / file).read_bytes())
            client.log_artifacts(run_id, folder, "report")
        status = "FINISHED"
        return run_id, str(logged.model_id)
    finally:
        # A registry that failed may fail at this too; the next training closes the run then.
        with suppress(*failures()):
            client.set_terminated(run_id, status)


def log_dataset(client: Any, run_id: str, workspace: Workspace) -> None:
    """What the run has learnt from, by the version that DVC keeps."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    series = {"instrument": workspace.instrument.key, "timeframe": workspace.timeframe.name}
    dataset = Dataset(
        name=" ".join(series.values()),
        digest=workspace.version.md5,
        source_type="dvc",
        source=json.dumps(series | {"rev": workspace.version.revision}),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def log_figures(client: Any, run: Any, report: Mapping[str, Any], knobs: Mapping[str, Any]) -> None:
    """The report's figures as metrics, those of the folds by step, and the knobs as params."""
    from mlflow.entities import Param

    params = [Param(key, str(value)) for key, value in flat(knobs).items()]
    client.log_batch(run.info.run_id, metrics=_metrics(report, run.info.start_time), params=params)


def register(
    client: Any, name: str, run_id: str, source: str, tags: Mapping[str, str], model_id: str | None = None
) -> str:
    """A version with all its tags in one write, then the challenger; its number.

    ``source`` is where the model's files are; ``model_id`` MLflow's own, where it has logged a model.

    A failure between the two leaves a whole version that nothing uses; `known` finds it again.
    """
    from mlflow.exceptions import MlflowException

    if registered(client, name) is None:
        try:
            client.create_registered_model(name, tags={key: tags[key] for key in ("instrument", "timeframe")})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    created = client.create_model_version(
        name, source, run_id, tags=dict(tags), model_id=model_id, await_creation_for=0
    )
    version = str(created.version)
    challenge(client, name, version)
    return version


def known(client: Any, name: str, tags: Mapping[str, str]) -> Any:
    """The newest version, if it is the very model of these tags, judged alike on the same report; else None."""
    if registered(client, name) is None:
        return None
    newest = next(iter(versions(client, name)), None)
    if newest is None or any(newest.tags.get(key) != tags[key] for key in _SAME):
        return None
    return newest


def close_broken(client: Any, experiment: str) -> int:
    """End the runs of trainings that broke off, and say how many; the caller holds the lock, so none still goes on."""
    broken = client.search_runs([experiment], "attributes.status = 'RUNNING'")
    for run in broken:
        client.set_terminated(run.info.run_id, "FAILED")
    return len(broken)


def _metrics(report: Mapping[str, Any], at_ms: int) -> list[Any]:
    from mlflow.entities import Metric

    sections = ("prediction", "trading", "doubled_costs", "buy_and_hold", "random")
    found = [
        Metric(f"{section}.{key}", float(value), at_ms, 0)
        for section in sections
        for key, value in report[section].items()
        if value is not None
    ]
    for fold in report["folds"]:
        for key in ("auc", "log_loss", "brier", "ic", "trees", "entries", "threshold"):
            if fold.get(key) is not None:
                found.append(Metric(f"fold.{key}", float(fold[key]), at_ms, int(fold["fold"])))
    return found


def experiment_of(client: Any, name: str) -> str:
    """The experiment of a model, made if need be; with a local database its artifacts lie beside it."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = None if remote() else (settings().mlruns / "artifacts").absolute().as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=local))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(name).experiment_id)
