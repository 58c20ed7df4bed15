"""Policies kept: as files that trade, ``var/policies/<series>/<digest>.json``, and in MLflow with the gate's verdict.

In MLflow a series has a model of its own, ``pregao-rl.<series>``, apart from the platform's; the champion among its
versions is what the gate passed last, and no session trades by it unless it names the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError
from pregao.learning import pipeline
from pregao.learning.gate import Verdict, judge
from pregao.learning.judging import as_before
from pregao.learning.labels import seen_bars
from pregao.learning.pipeline import Workspace
from pregao.learning.registry import CHAMPION, Registered, files
from pregao.learning.rivalry import Rivalry
from pregao.market.atomic import exclusive
from pregao.market.store import Store
from pregao.settings import settings
from pregao_rl.judging import Judged, Tell, assess, beside_champion
from pregao_rl.overfitting import Train
from pregao_rl.policy import Policy, from_bytes, read
from pregao_rl.training import Knobs

Attempts = Sequence[float | None]
"""Sharpe ratios per bar of what was tried on a series before."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What came of a training: the policy and its file, the report, the verdict, and where it stands in MLflow."""

    policy: Policy
    path: Path
    report: dict[str, Any]
    verdict: Verdict
    name: str
    registered: Registered


def folder() -> Path:
    """Where the policies of all series are."""
    return settings().var / "policies"


def registered_name(series: str) -> str:
    """The name of the policies of a series in MLflow; a series is named as its workspace."""
    return f"pregao-rl.{series.removeprefix('pregao.')}"


def trained(
    instrument: str,
    timeframe: str,
    knobs: Knobs,
    seeds: int,
    tell: Tell,
    *,
    combinations: bool = False,
    learn: Train | None = None,
) -> Kept:
    """Train and judge policies on a pinned version of the data, store the one that is kept, and register it.

    What was tried on the series before, with other knobs or seeds, counts against it.

    Args:
        combinations, learn: see `pregao_rl.judging.assess`.

    Raises:
        UsageError, NotFoundError, PregaoError: as `pregao.learning.retraining.retrain`, or if a library is missing.
    """
    root = pipeline.workspace_folder(instrument, timeframe)
    with exclusive(root.parent / f".{root.name}.training.lock", timeout_s=1_800):
        workspace = pipeline.prepare(instrument, timeframe)
        bars = Store(workspace.root / "snapshot").bars(workspace.instrument, workspace.timeframe)
    params, here, name = workspace.params, folder() / workspace.name, registered_name(workspace.name)
    seen = seen_bars(bars, params.holdout)
    plan = params.plan.plan(workspace.instrument, workspace.timeframe)
    attempts = _attempts(here, knobs, seeds)
    tell(f"{workspace.name} on data version {workspace.version.short}")
    judged = assess(
        seen, plan, params, knobs, seeds, learn=learn, attempts=attempts, combinations=combinations, tell=tell
    )
    verdict = _verdict(name, bars, workspace, judged, attempts)
    lineage = {
        **judged.policy.lineage, "instrument": workspace.instrument.key, "timeframe": workspace.timeframe.name,
        "knobs": vars(knobs), "data_version": workspace.version.md5, "data_revision": workspace.version.revision,
        "code_version": pipeline.code_version(), "params_hash": params.hash,
    }  # fmt: skip
    policy = replace(judged.policy, lineage=lineage, verdict=verdict.to_json())
    path = policy.write(here)
    registered = files.register(
        name, path, policy.digest, workspace, verdict, judged.report, {**vars(knobs), "seeds": seeds}
    )
    return Kept(policy, path, judged.report, verdict, name, registered)


def fetched(instrument: str, timeframe: str, alias_or_version: str) -> Path:
    """A version of MLflow's as a file here, to trade by; raises `NotFoundError` if there is none."""
    series = pipeline.workspace_folder(instrument, timeframe).name
    name = registered_name(series)
    number, raw = files.read(name, alias_or_version)
    return from_bytes(raw, f"version {number} of {name}").write(folder() / series)


def kept() -> list[dict[str, Any]]:
    """The policies that there are, the oldest first: path, series, how much of the gate each passed, and which
    version it is in MLflow, with its aliases."""
    found = []
    versions: dict[str, dict[str, Any]] = {}
    for path in sorted(folder().glob("*/*.json"), key=lambda path: path.stat().st_mtime):
        policy, name = read(path), registered_name(path.parent.name)
        if name not in versions:
            versions[name] = {info.model_digest: info for info in reversed(files.versions(name))}
        info, reasons = versions[name].get(policy.digest), policy.verdict.get("reasons", [])
        found.append({
            "path": str(path), "digest": policy.digest, "instrument": policy.lineage["instrument"],
            "timeframe": policy.lineage["timeframe"], "passed": sum(reason["passed"] for reason in reasons),
            "asked": len(reasons), "version": info and info.version, "aliases": list(info.aliases) if info else [],
        })  # fmt: skip
    return found


def _verdict(name: str, bars: Bars, workspace: Workspace, judged: Judged, attempts: Attempts) -> Verdict:
    """Beside the champion of the series; the very same policy, judged alike, keeps what was said of it then."""
    cuts, digest = workspace.params.gate, judged.policy.digest
    known = next((info for info in files.versions(name) if info.model_digest == digest), None)
    stands = known and as_before(known.gate, judge(judged.report, cuts, None, attempts))
    return stands or judge(judged.report, cuts, _rivalry(name, bars, workspace, judged.policy), attempts)


def _rivalry(name: str, bars: Bars, workspace: Workspace, policy: Policy) -> Rivalry | None:
    """Beside the champion of the series; None if there is none."""
    try:
        version, raw = files.read(name, CHAMPION)
    except NotFoundError:
        return None
    try:
        champion = from_bytes(raw, f"version {version} of {name}")
    except PregaoError as error:
        return Rivalry(version, same=False, unusable=error.message)
    plan = workspace.params.plan.plan(workspace.instrument, workspace.timeframe)
    return beside_champion(bars, plan, policy, champion, version, workspace.params.seed)


def _attempts(here: Path, knobs: Knobs, seeds: int) -> Attempts:
    """Sharpe ratios per bar of what was tried with other knobs or seeds; a file that can be read no more is none."""
    earlier = {}
    for path in sorted(here.glob("*.json"), key=lambda path: path.stat().st_mtime):
        try:
            lineage = read(path).lineage
        except PregaoError:
            continue
        earlier[str(lineage["knobs"] | {"seeds": lineage["seeds"]})] = lineage["trials"]
    earlier.pop(str(vars(knobs) | {"seeds": seeds}), None)
    return [trial for trials in earlier.values() for trial in trials]
