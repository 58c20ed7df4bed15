"""Policies on disk: ``var/policies/<series>/<digest>.json``, beside MLflow's registry and never in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pregao.core.errors import PregaoError
from pregao.learning import pipeline
from pregao.learning.labels import seen_bars
from pregao.market.atomic import exclusive
from pregao.market.store import Store
from pregao.settings import settings
from pregao_rl.judging import Judged, Tell, assess, final
from pregao_rl.policy import Policy, read
from pregao_rl.training import Knobs


def folder() -> Path:
    """Where the policies of all series are."""
    return settings().var / "policies"


def trained(instrument: str, timeframe: str, knobs: Knobs, seeds: int, tell: Tell) -> tuple[Policy, Path, Judged]:
    """Train and judge policies on a pinned version of the data, and store the one that is kept, its lineage with it.

    What was tried on the series before, with other knobs or seeds, counts against it.

    Raises:
        UsageError, NotFoundError, PregaoError: as `pregao.learning.retraining.retrain`, or if a library is missing.
    """
    root = pipeline.workspace_folder(instrument, timeframe)
    with exclusive(root.parent / f".{root.name}.training.lock", timeout_s=1_800):
        workspace = pipeline.prepare(instrument, timeframe)
        bars = Store(workspace.root / "snapshot").bars(workspace.instrument, workspace.timeframe)
    params = workspace.params
    seen = seen_bars(bars, params.holdout)
    plan = params.plan.plan(workspace.instrument, workspace.timeframe)
    here = folder() / workspace.name
    earlier = {str(p.lineage["knobs"] | {"seeds": p.lineage.get("seeds")}): p.lineage for p in _readable(here)}
    earlier.pop(str(vars(knobs) | {"seeds": seeds}), None)
    attempts = [trial for lineage in earlier.values() for trial in lineage["trials"]]
    tell(f"{workspace.name} on data version {workspace.version.short}")
    judged = assess(seen, plan, params, knobs, seeds, attempts=attempts, tell=tell)
    lineage = {
        "data_version": workspace.version.md5, "data_revision": workspace.version.revision,
        "code_version": pipeline.code_version(), "params_hash": params.hash, "seeds": seeds,
    }  # fmt: skip
    policy = final(seen, plan, params, knobs, judged, lineage)
    return policy, policy.write(here), judged


def kept() -> list[dict[str, Any]]:
    """The policies that there are, the newest last: path, series, and how much of the gate each passed."""
    found = []
    for path in sorted(folder().glob("*/*.json"), key=lambda path: path.stat().st_mtime):
        policy = read(path)
        reasons = policy.verdict.get("reasons", [])
        found.append({
            "path": str(path), "digest": policy.digest, "instrument": policy.lineage["instrument"],
            "timeframe": policy.lineage["timeframe"], "passed": sum(reason["passed"] for reason in reasons),
            "asked": len(reasons),
        })  # fmt: skip
    return found


def _readable(here: Path) -> list[Policy]:
    """The policies of a series; one that can be read no more is passed over."""
    found = []
    for path in sorted(here.glob("*.json"), key=lambda path: path.stat().st_mtime):
        try:
            found.append(read(path))
        except PregaoError:
            continue
    return found
