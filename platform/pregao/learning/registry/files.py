"""Models that are a file of a plugin's own: in MLflow with data, figures, lineage and the gate's verdict, as any model.

Their names begin otherwise than those of the platform's models, so that no session, flow or page takes one for a model
that it could use. Their aliases mean the same, and nothing trades by them unless someone names what is in them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pregao.core.errors import PregaoError
from pregao.learning.gate import Verdict
from pregao.learning.lineage import ModelInfo, info_of, judgement, note
from pregao.learning.pipeline import Workspace
from pregao.learning.registry import PREFIX, Registered, aliases, connection, runs

_FOLDER = "model"


def register(
    name: str,
    path: Path,
    digest: str,
    workspace: Workspace,
    verdict: Verdict,
    report: Mapping[str, Any],
    knobs: Mapping[str, Any],
) -> Registered:
    """Store a file as a run and a version of its own model, and promote it if the gate passed.

    If the newest version is this very file, judged alike on the same report, no new one is made.

    Args:
        name: of the registered model, not one of the platform's.
        digest: of all that decides in the file.
        report: with what `pregao.learning.report.trading_report` has, ``prediction`` and ``folds``.
        knobs: how it was learnt, beside the workspace's own.

    Raises:
        PregaoError: if the name is one of the platform's, or the registry cannot be reached; the champion is as it was
            then.
    """
    if name.startswith(PREFIX):
        raise PregaoError(f"{name} is a name for the platform's own models.", f"Choose one without {PREFIX!r}.")
    features, label = workspace.params.features.set, {"file": path.name}
    tags = {
        "instrument": workspace.instrument.key, "timeframe": workspace.timeframe.name,
        "data_version": workspace.version.md5, "data_revision": workspace.version.revision,
        "params_hash": workspace.params.hash, "feature_set": features, "label": json.dumps(label),
        "model_digest": digest, "code_version": workspace.dataset.code, "seed": str(workspace.params.seed),
        **judgement(verdict, report),
    }  # fmt: skip
    with connection.alone(name), connection.talking(connection.STAYS):
        client = connection.client()
        aliases.settle(client, name)
        known = runs.known(client, name, tags)
        if known is not None:
            version, run_id = str(known.version), str(known.run_id)
            promoted = verdict.passed and "promotion" not in known.tags
        else:
            run_id, source = _log(client, name, path, workspace, verdict, report, knobs)
            version, promoted = runs.register(client, name, run_id, source, tags), verdict.passed
        if promoted and aliases.alias(client, name, aliases.CHAMPION) != version:
            aliases.promote(client, name, version, "gate")
        return Registered(version, run_id, created=known is None, promoted=promoted)


def read(name: str, alias_or_version: str) -> tuple[str, bytes]:
    """The number of a version and its file; raises `NotFoundError` (`pregao.core.errors`) if there is none."""
    if not connection.exists():
        raise aliases.no_model(name)
    with connection.talking():
        client = connection.client()
        number = aliases.resolve(client, name, alias_or_version)
        version = client.get_model_version(name, number)
        file = json.loads(version.tags["label"])["file"]
        with TemporaryDirectory() as folder:
            return number, Path(client.download_artifacts(version.run_id, f"{_FOLDER}/{file}", folder)).read_bytes()


def versions(name: str) -> list[ModelInfo]:
    """The versions of a model, newest first; empty if there is none."""
    if not connection.exists():
        return []
    with connection.talking():
        client = connection.client()
        model = aliases.registered(client, name)
        known = aliases.versions(client, name) if model is not None else []
        return [info_of(version, model.aliases, aliases.last_promoted(known)) for version in known]


def _log(
    client: Any,
    name: str,
    path: Path,
    workspace: Workspace,
    verdict: Verdict,
    report: Mapping[str, Any],
    knobs: Mapping[str, Any],
) -> tuple[str, str]:
    """A run with dataset, figures, the report and the file; its id, and where the file is."""
    experiment = runs.experiment_of(client, name)
    runs.close_broken(client, experiment)
    run = client.create_run(experiment, run_name=path.stem, tags={"mlflow.note.content": note(verdict)})
    run_id, status = str(run.info.run_id), "FAILED"
    try:
        runs.log_dataset(client, run_id, workspace)
        runs.log_figures(client, run, report, {**workspace.params.model_dump(mode="json"), "knobs": dict(knobs)})
        client.log_dict(run_id, dict(report), "report/evaluation.json")
        client.log_dict(run_id, verdict.to_json(), "report/gate.json")
        client.log_artifact(run_id, str(path), _FOLDER)
        status = "FINISHED"
        return run_id, f"{run.info.artifact_uri}/{_FOLDER}"
    finally:
        # As in `runs.log_run`: a registry that failed may fail at this too.
        with suppress(*connection.failures()):
            client.set_terminated(run_id, status)
