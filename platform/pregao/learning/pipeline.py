"""The workspace of one model: a folder where DVC runs the stages on a snapshot of one data version.

``var/pipelines/<model>/`` holds copies of the project's ``dvc.yaml`` and ``params.yaml`` (with a ``dataset``
section), ``snapshot/`` (a store of the one series, its panel and what the features look at besides, outside the data
repository), and what the stages make: ``examples.parquet``, ``evaluation.json``, ``pictures.json``,
``predictions.parquet``, ``trades.parquet``, ``trials.parquet``, ``model.cbm``, ``model.json``.
A stage whose bars, knobs and code have not changed is not run again.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pregao import __version__
from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.sets import feature_set
from pregao.learning import others
from pregao.learning.naming import model_name
from pregao.learning.params import Dataset, Params, read_params
from pregao.market import stages
from pregao.market.atomic import write_atomic
from pregao.market.store import Store
from pregao.market.versions import Version, Versions
from pregao.settings import settings

STAGES = ("features", "evaluate", "train")
ERROR_FILE = "error.json"
"""Where a stage leaves the one sentence for the person when it fails."""
_DVC_CHATTER = ("> ", "ERROR: ", "Generating lock file", "Updating lock file", "Use `dvc push`")
_RESULT_MAKING = ("core", "features", "simulation", "learning")
"""Layers whose code decides what the stages make."""

Progress = Callable[[str], None]


def code_version() -> str:
    """The platform's version and a digest of the code that makes features, labels, models and reports."""
    hasher = hashlib.sha256()
    for layer in _RESULT_MAKING:
        folder = Path(str(importlib.import_module(f"pregao.{layer}").__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            hasher.update(f"{layer}/{path.relative_to(folder).as_posix()}".encode() + path.read_bytes())
    return f"{__version__}+{hasher.hexdigest()[:12]}"


@dataclass(frozen=True, eq=False)
class Workspace:
    """A prepared folder: whose bars, of which version, with which knobs."""

    root: Path
    name: str
    instrument: Instrument
    timeframe: Timeframe
    version: Version
    params: Params

    @property
    def dataset(self) -> Dataset:
        """The dataset section of the params."""
        assert self.params.dataset is not None
        return self.params.dataset

    def document(self, name: str) -> dict[str, Any]:
        """A JSON document that a stage made."""
        document: dict[str, Any] = json.loads((self.root / name).read_bytes())
        return document


def prepare(
    instrument_name: str,
    timeframe_name: str,
    *,
    version: str | None = None,
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> Workspace:
    """Make the workspace of a series ready: snapshot, params and pipeline in place, nothing run.

    Args:
        instrument_name: key or unambiguous symbol.
        timeframe_name: such as ``"15m"``.
        version: of the data; None is the current one.
        overrides: knobs that win over ``params.yaml``, by section.

    Raises:
        UsageError, NotFoundError: for an unknown instrument, timeframe or version, no data yet, or bad params.
    """
    instrument, timeframe = _series(instrument_name, timeframe_name)
    home = settings().home
    params = read_params(home / "params.yaml", overrides)
    params.plan.plan(instrument, timeframe)
    others.named(feature_set(params.features.set), params.features.others)
    root = workspace_folder(instrument_name, timeframe_name)
    stages.init_pipeline(root)
    peers = [_series(peer, timeframe_name)[0].key for peer in params.panel]
    if instrument.key in peers or len(set(peers)) < len(peers):
        raise UsageError(
            f"The panel of {instrument.key} names it or another instrument twice.",
            "List each other instrument once (params.yaml: panel).",
        )
    beside = _beside(params.features.others, timeframe_name)
    update = {"panel": tuple(peers), "features": params.features.model_copy(update={"others": beside})}
    params = params.model_copy(update=update)
    series = dict.fromkeys((instrument.key, *peers, *beside.values()))
    pinned = Versions().snapshot(version, root / "snapshot", [(key, timeframe) for key in series])
    dataset = Dataset(instrument=instrument.key, timeframe=timeframe.name, version=pinned.md5, code=code_version())
    params = params.model_copy(update={"dataset": dataset})
    try:
        pipeline = (home / "dvc.yaml").read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"There is no dvc.yaml in {home}.", "Run from the project's folder, or set PREGAO_HOME to it."
        ) from None
    knobs = yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False).encode()
    for file, content in (("dvc.yaml", pipeline), ("params.yaml", knobs)):
        if not (root / file).exists() or (root / file).read_bytes() != content:
            write_atomic(root / file, content, root / ".tmp")
    return Workspace(root, root.name, instrument, timeframe, pinned, params)


def _beside(named: Mapping[str, str], timeframe_name: str) -> dict[str, str]:
    """The keys of the instruments that the features look at; raises like `prepare` if the store lacks one."""
    others.bars_of(named, Timeframe.parse(timeframe_name), Store())
    return {name: Store().instrument(key).key for name, key in named.items()}


def workspace_folder(instrument_name: str, timeframe_name: str) -> Path:
    """Where the workspace of a series is; raises like `prepare` if there is no such series."""
    return settings().var / "pipelines" / model_name(*_series(instrument_name, timeframe_name))


def _series(instrument_name: str, timeframe_name: str) -> tuple[Instrument, Timeframe]:
    """A series that the store has."""
    timeframe = Timeframe.parse(timeframe_name)
    store = Store()
    instrument = store.instrument(instrument_name)
    store.coverage(instrument, timeframe)
    return instrument, timeframe


def run(workspace: Workspace, stage: str, progress: Progress | None = None) -> bool:
    """Bring one stage up to date; True if it ran, False if nothing that it depends on has changed.

    Raises:
        PregaoError: the stage's own sentence if it failed for a reason that a person can mend.
    """
    complaint = workspace.root / ERROR_FILE
    complaint.unlink(missing_ok=True)

    def tell(line: str) -> None:
        if progress is not None and not line.startswith(_DVC_CHATTER):
            progress(line)

    try:
        return stages.reproduce(workspace.root, stage, tell)
    except PregaoError:
        if not complaint.exists():
            raise
        said = json.loads(complaint.read_bytes())
        kind = UsageError if said["exit_status"] == UsageError.exit_status else PregaoError
        raise kind(said["message"], said["mend"]) from None
