"""Training from the store to the registry in one call. The flow does the same, a task for each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from pregao.core.errors import PregaoError
from pregao.learning import pipeline
from pregao.learning.gate import Verdict
from pregao.learning.judging import verdict_of
from pregao.learning.pipeline import Workspace
from pregao.market.atomic import exclusive

T = TypeVar("T")
Progress = Callable[[str], None]
Overrides = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class RetrainReport:
    """What came of a training.

    Attributes:
        name: of the registered model.
        data_version: DVC md5 of the market data; ``data_revision`` its git commit.
        stages: ``"ran"`` or ``"unchanged"`` by stage.
        gate: `pregao.learning.gate.Verdict` as JSON.
        report: of `pregao.learning.report.report`, without the curve, the folds, the calibration and the trials.
        train_end_ns: the first moment that the model has not seen.
        seconds: by step.
        version: in the registry; None if it was not asked to register.
        created: whether that version is new; False if the newest one was this very model already.
        promoted: whether it became champion now.
        champion: the champion's version afterwards; None if there is none.
        run_id: MLflow's.
    """

    name: str
    instrument: str
    timeframe: str
    data_version: str
    data_revision: str
    model_digest: str
    stages: dict[str, str]
    gate: dict[str, Any]
    report: dict[str, Any]
    train_end_ns: int
    seconds: dict[str, float]
    version: str | None = None
    created: bool = False
    promoted: bool = False
    champion: str | None = None
    run_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)


def train(
    instrument: str,
    timeframe: str,
    *,
    version: str | None = None,
    overrides: Overrides | None = None,
    progress: Progress | None = None,
) -> RetrainReport:
    """Train and judge a model without the registry; arguments and errors as in `retrain`."""
    return _run(instrument, timeframe, version, overrides, progress, register=False)


def retrain(
    instrument: str,
    timeframe: str,
    *,
    version: str | None = None,
    overrides: Overrides | None = None,
    progress: Progress | None = None,
) -> RetrainReport:
    """Train a model on a pinned version of the data, judge it, register it, and promote it if the gate passes.

    What has not changed since the last time is not computed again, and the very same model is not registered twice.
    Two trainings of one series take turns.

    Args:
        instrument: key or unambiguous symbol.
        timeframe: such as ``"15m"``.
        version: of the data; None is the current one.
        overrides: knobs that win over ``params.yaml``, by section.
        progress: gets lines about the work.

    Raises:
        UsageError, NotFoundError: for an unknown series, no data, bad knobs, or data that nothing can be learnt from.
        PregaoError: if a stage or the registry fails. In every case the champion stays.
    """
    return _run(instrument, timeframe, version, overrides, progress, register=True)


def _run(
    instrument: str,
    timeframe: str,
    version: str | None,
    overrides: Overrides | None,
    progress: Progress | None,
    *,
    register: bool,
) -> RetrainReport:
    tell = progress or (lambda line: None)
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], T]) -> T:
        start = time.monotonic()
        result = work()
        seconds[step] = round(time.monotonic() - start, 3)
        return result

    root = pipeline.workspace_folder(instrument, timeframe)
    if register:
        _close_broken(tell)
    with exclusive(root.parent / f".{root.name}.training.lock", timeout_s=1_800):
        workspace = timed(
            "prepare", lambda: pipeline.prepare(instrument, timeframe, version=version, overrides=overrides)
        )
        tell(f"{workspace.name} on data version {workspace.version.short}")
        stages: dict[str, str] = {}
        for stage in pipeline.STAGES:
            ran = timed(stage, partial(pipeline.run, workspace, stage, tell))
            stages[stage] = "ran" if ran else "unchanged"
            tell(f"{stage}: {stages[stage]}, {seconds[stage]:.1f} s")
        report, meta = workspace.document("evaluation.json"), workspace.document("model.json")
        verdict = timed("gate", lambda: verdict_of(workspace, beside_champion=register))
        registered = timed("register", lambda: _register(workspace, verdict)) if register else {}
        if register:
            tell(f"register: version {registered['version']}, {seconds['register']:.1f} s")
        return RetrainReport(
            name=workspace.name,
            instrument=workspace.instrument.key,
            timeframe=workspace.timeframe.name,
            data_version=workspace.version.md5,
            data_revision=workspace.version.revision,
            model_digest=meta["digest"],
            stages=stages,
            gate=verdict.to_json(),
            report={
                key: value for key, value in report.items() if key not in ("curve", "folds", "calibration", "trials")
            },
            train_end_ns=meta["train_end_ns"],
            seconds=seconds,
            **registered,
        )


def _close_broken(tell: Progress) -> None:
    """What a training that was killed has left open; a registry that is away is told where it is needed."""
    from pregao.learning import registry

    with suppress(PregaoError):
        for name in registry.close_broken():
            tell(f"a run of {name} that a killed training had left open was closed")


def _register(workspace: Workspace, verdict: Verdict) -> dict[str, Any]:
    from pregao.learning import registry

    return asdict(registry.log_and_register(workspace, verdict)) | {"champion": registry.champion(workspace.name)}
