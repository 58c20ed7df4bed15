"""The gate's verdict on a finished workspace: beside the champion, with everything that was tried before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pregao.core.errors import NotFoundError
from pregao.learning.gate import Reason, Verdict, judge, verdict_from
from pregao.learning.model import LoadedModel, UnusableError
from pregao.learning.others import keys_of
from pregao.learning.pipeline import Workspace
from pregao.learning.rivalry import Rivalry, compare
from pregao.market.atomic import write_atomic
from pregao.market.store import Store

ATTEMPTS = "attempts.json"
_JUDGING = {"gate", "random_runs", "dataset"}
"""Knobs that make no other model."""


def verdict_of(workspace: Workspace, *, beside_champion: bool = True) -> Verdict:
    """Judge what the stages made.

    The model is remembered as an attempt, by its knobs: each set of knobs that was ever judged on this series counts as
    a trial of those that come after. The same knobs on newer data are the same attempt.

    Args:
        beside_champion: False leaves the registry alone; the model is then compared with no champion.

    Raises:
        PregaoError: if the registry cannot be reached, or the champion cannot be used.
    """
    report = workspace.document("evaluation.json")
    others = _attempts(workspace, report)
    cuts = workspace.params.gate
    if not beside_champion:
        return judge(report, cuts, None, others)
    from pregao.learning import registry

    verdict = judge(report, cuts, None, others)
    digest = workspace.document("model.json")["digest"]
    known = next((info for info in registry.list_models(workspace.name) if info.model_digest == digest), None)
    stands = as_before(known.gate, verdict) if known is not None else None
    return stands or judge(report, cuts, _rivalry(workspace, digest), others)


def as_before(document: Mapping[str, Any], verdict: Verdict) -> Verdict | None:
    """The earlier verdict on the very same model, if it is judged alike now: what the champion of that day made of it
    stands. None if it is not.

    Args:
        document: the earlier verdict, see `Verdict.to_json`.
        verdict: that of now, beside no champion.
    """
    before = verdict_from(document)
    champion = any(reason.name == "champion" for reason in before.reasons)
    alike = _without_champion(before) == _without_champion(verdict)
    return before if champion and alike else None


def _without_champion(verdict: Verdict) -> list[Reason]:
    return [reason for reason in verdict.reasons if reason.name != "champion"]


def _rivalry(workspace: Workspace, digest: str) -> Rivalry | None:
    from catboost import CatBoostClassifier

    from pregao.learning import registry

    version = registry.champion(workspace.name)
    if version is None:
        return None
    try:
        champion = registry.load(workspace.name, version)
    except UnusableError as error:
        return Rivalry(version, same=False, unusable=error.message)
    if champion.meta["digest"] == digest:
        return Rivalry(version, same=True)
    classifier = CatBoostClassifier().load_model(str(workspace.root / "model.cbm"))
    candidate = LoadedModel(workspace.name, "candidate", workspace.document("model.json"), classifier)
    snapshot = Store(workspace.root / "snapshot")
    bars = snapshot.bars(workspace.instrument, workspace.timeframe)
    plan = workspace.params.plan.plan(workspace.instrument, workspace.timeframe)
    # What only the champion looks at is not in the snapshot of what the new one was learnt from.
    store = snapshot if keys_of(champion.meta) == keys_of(candidate.meta) else Store()
    try:
        return compare(bars, plan, candidate, champion, version, workspace.params.seed, store)
    except NotFoundError as error:
        return Rivalry(version, same=False, unusable=error.message)


def _attempts(workspace: Workspace, report: dict[str, Any]) -> list[float | None]:
    """Remember this attempt; the Sharpe ratios per bar of those that were first made before it."""
    knobs = workspace.params.model_dump(mode="json", exclude=_JUDGING)
    key = hashlib.sha256(json.dumps(knobs, sort_keys=True).encode()).hexdigest()[:16]
    file = workspace.root / ATTEMPTS
    known: dict[str, float | None] = json.loads(file.read_bytes()) if file.exists() else {}
    sharpe = report["significance"]["sharpe_per_bar"]
    if key not in known or known[key] != sharpe:
        known[key] = sharpe
        write_atomic(file, json.dumps(known, indent=1).encode(), workspace.root / ".tmp")
    earlier = list(known).index(key)
    return list(known.values())[:earlier]
