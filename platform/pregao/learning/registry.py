"""The registry of models: MLflow, by default on SQLite in ``mlruns/``. The only module that imports MLflow.

Each series has one registered model (`model_name`). Its versions carry tags that say what made them and what the
gate said; aliases say what they are for: ``champion`` trades, ``challenger`` is the newest, ``previous`` is the
way back. A version is created with all its tags once everything else is stored, and a promotion is one move of
``champion``: whatever breaks before leaves the old champion in place.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pregao.core.errors import NotFoundError, PregaoError, unknown
from pregao.learning.gate import Verdict
from pregao.learning.lineage import ModelInfo as ModelInfo
from pregao.learning.lineage import flat, info_of, note, tags_of
from pregao.learning.model import LoadedModel as LoadedModel
from pregao.learning.model import inference_of
from pregao.learning.model import model_name as model_name
from pregao.learning.pipeline import Workspace
from pregao.market.atomic import exclusive
from pregao.settings import keep_quiet, settings

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_PREFIX = "pregao."
_QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""A server that is gone is said to be gone within seconds; standard output is for results."""
_FILES = (
    "evaluation.json",
    "model.json",
    "params.yaml",
    "dvc.lock",
    "trades.parquet",
    "predictions.parquet",
    "trials.parquet",
)
"""What a run keeps of its workspace."""
_ready: set[str] = set()
"""Addresses of databases whose tables this process knows to be there."""


@dataclass(frozen=True)
class Registered:
    """What `log_and_register` did: ``created`` is False if the newest version was this very model already."""

    version: str
    run_id: str
    created: bool
    promoted: bool


def prepare(progress: Callable[[str], None] | None = None) -> None:
    """Make the registry ready; the first time its SQLite database is created, which takes some seconds.

    Safe when several processes do it at once: they take turns.

    Raises:
        PregaoError: if the registry cannot be reached or created.
    """
    with _talking():
        _client(progress)


def champion(name: str) -> str | None:
    """The champion's version of a registered model; None if there is no such model or no champion."""
    if not _exists():
        return None
    with _talking():
        return _alias(_client(), name, CHAMPION)


def load(name: str, alias_or_version: str = CHAMPION) -> LoadedModel:
    """A version by alias or number, through MLflow's native flavour; each version is read once per process.

    Raises:
        NotFoundError: if there is no such model, alias or version.
        PregaoError: if it was trained on other features, is damaged, or the registry cannot be reached.
    """
    if not _exists():
        raise _no_model(name)
    with _talking():
        client = _client()
        version = _resolve(client, name, alias_or_version)
        return _load(settings().tracking_uri, name, version)


def list_models(name: str | None = None) -> list[ModelInfo]:
    """All versions of all models, or of one, newest first; empty if nothing was ever registered."""
    if not _exists():
        return []
    with _talking():
        client = _client()
        found: list[ModelInfo] = []
        for model in client.search_registered_models(filter_string=f"name LIKE '{_PREFIX}%'", max_results=1000):
            if name in (None, model.name):
                found += [info_of(v, model.aliases) for v in client.search_model_versions(f"name = '{model.name}'")]
        return sorted(found, key=lambda m: (m.created_ns, int(m.version)), reverse=True)


def promote(name: str, version: str, by: str = "person") -> ModelInfo:
    """Make a version the champion; the champion before it becomes ``previous``. Recorded with who did it.

    Raises:
        NotFoundError: if there is no such model or version.
    """
    if not _exists():
        raise _no_model(name)
    with _talking():
        client = _client()
        _promote(client, name, _resolve(client, name, version), by)
        number = _resolve(client, name, CHAMPION)
        return info_of(client.get_model_version(name, number), client.get_registered_model(name).aliases)


def log_and_register(workspace: Workspace, verdict: Verdict) -> Registered:
    """Store what the stages made as a run, register the model, and promote it if the gate passed.

    If the newest version is this very model, judged alike on the same report, no new one is made; it is promoted
    only if its own promotion once broke off, so that what a person decided since then stands.

    Raises:
        PregaoError: if the registry cannot be reached; nothing is promoted then, and no version without its tags,
            report or model is left behind.
    """
    from catboost import CatBoostClassifier

    report, meta = workspace.document("evaluation.json"), workspace.document("model.json")
    name = workspace.name
    tags = tags_of(workspace, verdict, report, meta)
    with _talking():
        client = _client()
        newest = _alias(client, name, CHALLENGER)
        if newest is not None:
            known = client.get_model_version(name, newest)
            if all(known.tags.get(key) == tags[key] for key in ("model_digest", "report_digest", "gate")):
                promoted = verdict.passed and "promotion" not in known.tags
                if promoted:
                    _promote(client, name, newest, "gate")
                return Registered(newest, known.run_id, created=False, promoted=promoted)
        classifier = CatBoostClassifier().load_model(str(workspace.root / "model.cbm"))
        tags["inference"] = inference_of(classifier, len(meta["features"]))
        run_id, model_id = _log_run(client, workspace, verdict, report, meta, tags, classifier)
        version = _register(client, name, run_id, model_id, tags)
        if verdict.passed:
            _promote(client, name, version, "gate")
        return Registered(version, run_id, created=True, promoted=verdict.passed)


def _log_run(
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
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from pregao.learning.plots import draw

    run = client.create_run(
        _experiment(client, workspace.name),
        run_name=f"{workspace.version.short} {str(meta['digest'])[:8]}",
        tags={"mlflow.note.content": note(verdict), **{k: tags[k] for k in ("data_version", "code_version")}},
    )
    run_id = str(run.info.run_id)
    done = False
    try:
        client.log_batch(
            run_id,
            metrics=_metrics(report, run.info.start_time),
            params=[Param(key, str(value)) for key, value in flat(workspace.params.model_dump(mode="json")).items()],
        )
        source = {"instrument": meta["instrument"], "timeframe": meta["timeframe"], "rev": workspace.version.revision}
        dataset = Dataset(
            name=f"{meta['instrument']} {meta['timeframe']}",
            digest=workspace.version.md5,
            source_type="dvc",
            source=json.dumps(source),
        )
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        with TemporaryDirectory() as folder:
            (Path(folder) / "plots").mkdir()
            draw(report, meta["importance"], Path(folder) / "plots")
            (Path(folder) / "gate.json").write_text(json.dumps(verdict.to_json(), indent=1))
            for file in _FILES:
                (Path(folder) / file).write_bytes((workspace.root / file).read_bytes())
            client.log_artifacts(run_id, folder, "report")
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
        done = True
        return run_id, str(logged.model_id)
    finally:
        client.set_terminated(run_id, "FINISHED" if done else "FAILED")


def _register(client: Any, name: str, run_id: str, model_id: str, tags: Mapping[str, str]) -> str:
    """A version with all its tags in one write, then the challenger; both or neither."""
    from mlflow.exceptions import MlflowException

    if _registered(client, name) is None:
        try:
            client.create_registered_model(name, tags={key: tags[key] for key in ("instrument", "timeframe")})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    source = f"models:/{model_id}"
    created = client.create_model_version(
        name, source, run_id, tags=dict(tags), model_id=model_id, await_creation_for=0
    )
    version = str(created.version)
    try:
        client.set_registered_model_alias(name, CHALLENGER, version)
    except MlflowException:
        # A registry that fails here may fail at this too; a version without an alias is never used.
        with suppress(MlflowException):
            client.delete_model_version(name, version)
        raise
    return version


def _promote(client: Any, name: str, version: str, by: str) -> None:
    """The champion of before becomes previous, then one move of the alias is the promotion."""
    before = _alias(client, name, CHAMPION)
    if before is not None and before != version:
        client.set_registered_model_alias(name, PREVIOUS, before)
    client.set_registered_model_alias(name, CHAMPION, version)
    client.set_model_version_tag(name, version, "promotion", json.dumps({"by": by, "ns": time.time_ns()}))


def _metrics(report: Mapping[str, Any], at_ms: int) -> list[Any]:
    """The report's figures as MLflow metrics; those of the folds by step."""
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
            if fold[key] is not None:
                found.append(Metric(f"fold.{key}", float(fold[key]), at_ms, int(fold["fold"])))
    return found


def _experiment(client: Any, name: str) -> str:
    """The experiment of a model, made if need be; with a local database its artifacts lie beside it."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = None if _remote() else (settings().mlruns / "artifacts").absolute().as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=local))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(name).experiment_id)


def _registered(client: Any, name: str) -> Any:
    """The registered model, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _alias(client: Any, name: str, alias: str) -> str | None:
    """The version that an alias points to, as text; None if it points nowhere."""
    model = _registered(client, name)
    version = model.aliases.get(alias) if model is not None else None
    return str(version) if version is not None else None


def _resolve(client: Any, name: str, alias_or_version: str) -> str:
    model = _registered(client, name)
    if model is None:
        raise _no_model(name)
    if alias_or_version in model.aliases:
        return str(model.aliases[alias_or_version])
    versions = [str(v.version) for v in client.search_model_versions(f"name = '{name}'")]
    if alias_or_version in versions:
        return alias_or_version
    if alias_or_version == CHAMPION:
        raise NotFoundError(
            f"{name} has no champion: the gate has passed none of its {len(versions)} versions.",
            "`pregao models` says why; `pregao promote` makes one champion by hand.",
        )
    raise unknown("version or alias", alias_or_version, [*model.aliases, *versions])


def _no_model(name: str) -> NotFoundError:
    return NotFoundError(f"There is no model {name} yet.", "Train one with `pregao retrain`.")


@lru_cache(maxsize=16)
def _load(uri: str, name: str, version: str) -> LoadedModel:
    """Read one version; ``uri`` is part of the key, since another registry has other models of the same name."""
    import mlflow.artifacts
    import mlflow.catboost
    from mlflow.models import Model

    folder = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}")
    meta = Model.load(folder).metadata or {}
    return LoadedModel(name, version, dict(meta), mlflow.catboost.load_model(folder))


def _remote() -> bool:
    return settings().tracking_uri.startswith(("http://", "https://"))


def _exists() -> bool:
    """Whether there can be a model at all: asking must not create the database."""
    uri = settings().tracking_uri
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()


@contextmanager
def _talking() -> Iterator[None]:
    """Turn MLflow's errors into a `PregaoError`."""
    keep_quiet()
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        said = " ".join(str(error).split())
        reason = "it does not answer" if "Max retries exceeded" in said else said[:300]
        raise PregaoError(
            f"MLflow at {settings().tracking_uri} failed: {reason}.",
            "The champion is as it was. Check that MLflow runs (`pregao doctor`), then do it again.",
        ) from error


def _client(progress: Callable[[str], None] | None = None) -> Any:
    """A client of the registry, its database made if there is none yet."""
    import mlflow
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    uri = settings().tracking_uri
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if _remote() or (uri in _ready and _exists()):
        return MlflowClient()
    if not _exists() and progress is not None:
        progress("Creating the registry's database; this takes some seconds, once")
    with exclusive(settings().mlruns / ".database.lock"):
        client = MlflowClient()
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    _ready.add(uri)
    return client
