"""The registry of models: MLflow, by default on SQLite in ``mlruns/``. The only package that imports MLflow.

Each series has one registered model (`model_name`). Its versions carry tags that say what made them and what the
gate said; aliases say what they are for: ``champion`` trades, ``challenger`` is the newest that does not, ``previous``
is the way back. A version is created with all its tags once everything else is stored, and a promotion is one move of
``champion``: whatever breaks before leaves the old champion in place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pregao.core.errors import NotFoundError, PregaoError
from pregao.learning.changes import changes
from pregao.learning.gate import Verdict, verdict_from
from pregao.learning.lineage import ModelInfo as ModelInfo
from pregao.learning.lineage import info_of, tags_of
from pregao.learning.model import LoadedModel as LoadedModel
from pregao.learning.model import UnusableError, inference_of
from pregao.learning.naming import model_name as model_name
from pregao.learning.pipeline import Workspace
from pregao.learning.registry import aliases, connection, runs
from pregao.learning.registry.aliases import CHALLENGER as CHALLENGER
from pregao.learning.registry.aliases import CHAMPION as CHAMPION
from pregao.learning.registry.aliases import PREVIOUS as PREVIOUS
from pregao.learning.registry.connection import STAYS
from pregao.settings import settings

PREFIX = "pregao."
"""How the names of the platform's own models begin."""


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
    with connection.talking():
        connection.client(progress)


def champion(name: str) -> str | None:
    """The champion's version of a registered model; None if there is no such model or no champion."""
    return aliased(name, CHAMPION)


def aliased(name: str, alias: str) -> str | None:
    """The version that an alias of a registered model points to; None if there is none."""
    if not connection.exists():
        return None
    with connection.talking():
        return aliases.alias(connection.client(), name, alias)


def newest(name: str) -> str:
    """The newest version of a registered model; raises `NotFoundError` if there is no such model."""
    if not connection.exists():
        raise aliases.no_model(name)
    with connection.talking():
        known = aliases.versions(connection.client(), name)
    if not known:
        raise aliases.no_model(name)
    return str(known[0].version)


def load(name: str, alias_or_version: str = CHAMPION) -> LoadedModel:
    """A version by alias or number, through MLflow's native flavour; each version is read once per process.

    Raises:
        NotFoundError: if there is no such model, alias or version.
        PregaoError: if it was trained on other features, is damaged, was not registered by Pregão, or the registry
            cannot be reached.
    """
    if not connection.exists():
        raise aliases.no_model(name)
    with connection.talking():
        client = connection.client()
        version = aliases.resolve(client, name, alias_or_version)
        return _load(settings().tracking_uri, name, version)


def list_models(name: str | None = None) -> list[ModelInfo]:
    """All versions of all models, or of one, newest first; empty if nothing was ever registered."""
    if not connection.exists():
        return []
    with connection.talking():
        client = connection.client()
        found: list[ModelInfo] = []
        for model in client.search_registered_models(filter_string=f"name LIKE '{PREFIX}%'", max_results=1000):
            if name in (None, model.name):
                known = aliases.versions(client, model.name)
                last = aliases.last_promoted(known)
                found += [info_of(version, model.aliases, last) for version in known]
        return sorted(found, key=lambda m: (m.created_ns, int(m.version)), reverse=True)


def report_page(name: str, alias_or_version: str, language: str = "en") -> str:
    """The report on a version as one HTML page, see `pregao.learning.page`: as it was kept, or in another language.

    Raises:
        NotFoundError: if there is no such model, version or language, or it was registered without one.
        PregaoError: if the registry cannot be reached.
    """
    if language == "en":
        return _kept(name, alias_or_version, runs.PAGE, "report").decode()
    from pregao.learning.page import page

    kept = documents(name, alias_or_version)
    with connection.talking():
        client = connection.client()
        tags = dict(client.get_model_version(name, aliases.resolve(client, name, alias_or_version)).tags)
    verdict = verdict_from(json.loads(tags["gate"]))
    facts = {**tags, "name": name, "data": tags["data_version"][:10]}
    return page(kept["evaluation"], kept["pictures"], kept["model"], verdict, facts, language)


def predictions(name: str, alias_or_version: str = CHAMPION) -> bytes:
    """The out-of-sample predictions of a version as Parquet, see `pregao.learning.evaluate.walk`.

    Raises as `report_page`.
    """
    return _kept(name, alias_or_version, "predictions.parquet", "predictions")


def documents(name: str, alias_or_version: str = CHAMPION) -> dict[str, dict[str, Any]]:
    """What a version's run keeps as JSON: ``evaluation`` (`pregao.learning.report.report`), ``pictures``
    (`pregao.learning.pictures.pictures`) and ``model`` (`pregao.learning.stages`).

    Raises as `report_page`.
    """
    files = {what: f"{what}.json" for what in ("evaluation", "pictures", "model")}
    return {what: json.loads(_kept(name, alias_or_version, file, what)) for what, file in files.items()}


def _kept(name: str, alias_or_version: str, file: str, what: str) -> bytes:
    """What a version's run keeps of its workspace."""
    if not connection.exists():
        raise aliases.no_model(name)
    with connection.talking():
        client = connection.client()
        number = aliases.resolve(client, name, alias_or_version)
        run_id = client.get_model_version(name, number).run_id
        kept = client.list_artifacts(run_id, "report") if run_id else []
        if f"report/{file}" not in {entry.path for entry in kept}:
            raise NotFoundError(
                f"Version {number} of {name} has no {what}.", "Train it again with `pregao retrain`, which makes one."
            )
        with TemporaryDirectory() as folder:
            return Path(client.download_artifacts(run_id, f"report/{file}", folder)).read_bytes()


def promote(name: str, version: str, by: str = "person", reason: str = "") -> ModelInfo:
    """Make a version the champion; the champion before it becomes ``previous``. Recorded with who did it, and why.

    Raises:
        NotFoundError: if there is no such model or version.
        PregaoError: if the version could not be used (see `load`), or MLflow fails.
    """
    if not connection.exists():
        raise aliases.no_model(name)
    with connection.alone(name), connection.talking(STAYS):
        client = connection.client()
        aliases.settle(client, name)
        number = aliases.resolve(client, name, version)
        _load(settings().tracking_uri, name, number)
        aliases.promote(client, name, number, by, reason)
        return info_of(client.get_model_version(name, number), client.get_registered_model(name).aliases, number)


def note_shadow(name: str, version: str, duels: list[dict[str, Any]]) -> None:
    """Keep with a version how it has done in shadow; raises `PregaoError` if the registry cannot be reached."""
    with connection.talking():
        connection.client().set_model_version_tag(name, version, "shadow", json.dumps(duels))


def log_and_register(workspace: Workspace, verdict: Verdict) -> Registered:
    """Store what the stages made as a run, register the model, and promote it if the gate passed.

    If the newest version is this very model, judged alike on the same report, no new one is made: what broke off the
    last time is finished, and what a person decided since then stands.

    Raises:
        PregaoError: if the registry cannot be reached; the champion is as it was then, and no version without its
            tags, report or model is left behind.
    """
    from catboost import CatBoostClassifier

    report, meta = workspace.document("evaluation.json"), workspace.document("model.json")
    name = workspace.name
    tags = tags_of(workspace, verdict, report, meta)
    with connection.alone(name), connection.talking(STAYS):
        client = connection.client()
        aliases.settle(client, name)
        known = runs.known(client, name, tags)
        if known is not None:
            version, run_id = str(known.version), known.run_id
            if version not in (aliases.alias(client, name, alias) for alias in (CHALLENGER, CHAMPION)):
                aliases.challenge(client, name, version)
            promoted = verdict.passed and "promotion" not in known.tags
        else:
            classifier = CatBoostClassifier().load_model(str(workspace.root / "model.cbm"))
            tags["inference"] = inference_of(classifier, len(meta["features"]))
            tags["changes"] = json.dumps(_changes(client, name, meta, report, verdict))
            run_id, model_id = runs.log_run(client, workspace, verdict, report, meta, tags, classifier)
            version = runs.register(client, name, run_id, f"models:/{model_id}", tags, model_id)
            promoted = verdict.passed
        if promoted and aliases.alias(client, name, CHAMPION) != version:
            aliases.promote(client, name, version, "gate")
        return Registered(version, run_id, created=known is None, promoted=promoted)


def _changes(client: Any, name: str, meta: dict[str, Any], report: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """A new model beside the champion of now; empty if there is none, or none that can be used."""
    version = aliases.alias(client, name, CHAMPION)
    if version is None:
        return {}
    try:
        champion = _load(settings().tracking_uri, name, version)
    except UnusableError:
        return {}
    metrics = json.loads(client.get_model_version(name, version).tags.get("metrics", "{}"))
    return changes(champion.meta, version, metrics, meta, report, verdict)


def close_broken() -> list[str]:
    """End the runs that trainings left open when they were killed; the models that they were of, one for each run.

    A training that goes on holds its model's lock, and is left alone.

    Raises:
        PregaoError: if the registry cannot be reached.
    """
    closed: list[str] = []
    if not connection.exists():
        return closed
    with connection.talking():
        client = connection.client()
        for experiment in client.search_experiments(filter_string=f"name LIKE '{PREFIX}%'"):
            with suppress(PregaoError), connection.alone(experiment.name, timeout_s=0.0):
                closed += [experiment.name] * runs.close_broken(client, experiment.experiment_id)
    return closed


@lru_cache(maxsize=16)
def _load(uri: str, name: str, version: str) -> LoadedModel:
    """Read one version; ``uri`` is part of the key, since another registry has other models of the same name."""
    import mlflow.artifacts
    import mlflow.catboost
    from mlflow.models import Model

    with TemporaryDirectory() as folder:  # MLflow's own would stay behind
        found = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=folder)
        stored = Model.load(found)
        if "catboost" not in stored.flavors:
            raise PregaoError(
                f"Version {version} of {name} is no CatBoost model, but {' and '.join(stored.flavors) or 'empty'}.",
                "Train one with `pregao retrain`.",
            )
        classifier = mlflow.catboost.load_model(found)
    return LoadedModel(name, version, dict(stored.metadata or {}), classifier)
