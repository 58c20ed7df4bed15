"""What a registered version says of itself: where it came from, what the gate said, what it is for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pregao.learning.gate import Verdict
from pregao.learning.pipeline import Workspace

LABEL = ("side", "take_profit_ppm", "stop_loss_ppm", "horizon_bars", "fee_ppm", "slippage_ppm")
"""What a label is made of: the bracket and its costs, in millionths; the horizon in bars."""
_HEADLINE = ("net_return", "sharpe", "max_drawdown", "trades", "hit_rate", "profit_factor")


@dataclass(frozen=True)
class ModelInfo:
    """One registered version.

    Attributes:
        version: its number, as text.
        aliases: such as ``champion``.
        created_ns: ns since 1970 UTC.
        gate: ``{"passed": bool, "reasons": [{name, passed, value, limit, text}]}``.
        metrics: headline figures of the report (out of sample, costs paid), ``auc``, ``random_p``.
        data_version: DVC md5 of the market data; ``data_revision`` its git commit.
        label: what the model learnt to foresee: side, take profit, stop loss, horizon and costs, see `LABEL`.
        inference: how it is evaluated live, see `pregao.learning.model.LoadedModel`.
        promotion: ``{"by": "gate" | "person", "ns": …, "before": version}`` of the last promotion, with the person's
            ``reason`` if one was given; empty if never promoted.
        changes: what it had learnt that the champion of its day had not, see `pregao.learning.changes`; empty without
            one.
        shadow: how it has done in shadow of the champion's sessions when the monitor looked last, see
            `pregao.sessions.duel.duel`.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    created_ns: int
    instrument: str
    timeframe: str
    gate: dict[str, Any]
    metrics: dict[str, float | None]
    data_version: str
    data_revision: str
    run_id: str
    params_hash: str
    feature_set: str
    feature_hash: str
    label: dict[str, Any]
    seed: str
    thread_count: str
    model_digest: str
    code_version: str
    inference: str
    promotion: dict[str, Any]
    changes: dict[str, Any]
    shadow: list[dict[str, Any]] = field(default_factory=list)


def tags_of(
    workspace: Workspace, verdict: Verdict, report: Mapping[str, Any], meta: Mapping[str, Any]
) -> dict[str, str]:
    """Lineage and judgement of a version, as tags; `ModelInfo` reads them."""
    return {
        "instrument": str(meta["instrument"]),
        "timeframe": str(meta["timeframe"]),
        "data_version": workspace.version.md5,
        "data_revision": workspace.version.revision,
        "params_hash": workspace.params.hash,
        "feature_set": str(meta["feature_set"]),
        "feature_hash": str(meta["feature_hash"]),
        "label": json.dumps({key: meta[key] for key in LABEL}),
        "model_digest": str(meta["digest"]),
        "code_version": workspace.dataset.code,
        "seed": str(meta["seed"]),
        "thread_count": str(meta["thread_count"]),
        "catboost": str(meta["catboost"]),
        **judgement(verdict, report),
    }


def judgement(verdict: Verdict, report: Mapping[str, Any]) -> dict[str, str]:
    """The tags that say how a version was judged, and on what report."""
    headline = {key: report["trading"][key] for key in _HEADLINE}
    headline |= {"auc": report["prediction"]["auc"], "random_p": report["random"]["p"]}
    text = json.dumps(report, sort_keys=True).encode()
    return {
        "report_digest": hashlib.sha256(text).hexdigest(),
        "gate_passed": str(verdict.passed).lower(),
        "gate": json.dumps(verdict.to_json()),
        "metrics": json.dumps(headline),
        **{f"gate.{r.name}": f"{'passed' if r.passed else 'failed'}: {r.text}" for r in verdict.reasons},
    }


def flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with its keys joined by dots: ``{"plan": {"fee": 1}}`` is ``{"plan.fee": 1}``."""
    found: dict[str, Any] = {}
    for key, value in section.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def note(verdict: Verdict) -> str:
    """The gate's reasons in Markdown, for MLflow's page of the run."""
    head = "The gate **passed** this model." if verdict.passed else "The gate **refused** this model."
    lines = [f"- {'passed' if r.passed else '**failed**'}: {r.text}. {r.advice}".rstrip() for r in verdict.reasons]
    return "\n".join([head, "", *lines])


def info_of(version: Any, aliases: Mapping[str, Any], last: str | None) -> ModelInfo:
    """A version as MLflow gives it, with the aliases of its model (MLflow's search leaves them out).

    Args:
        last: the version that was promoted last by Pregão; a champion that is another was made by a person in MLflow.
    """
    tags = version.tags
    promotion = json.loads(tags.get("promotion", "{}"))
    if str(aliases.get("champion")) == str(version.version) != last:
        promotion = {"by": "person", "ns": int(version.last_updated_timestamp) * 1_000_000, "before": last}
    return ModelInfo(
        name=version.name,
        version=str(version.version),
        aliases=tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(version.version))),
        created_ns=int(version.creation_timestamp) * 1_000_000,
        instrument=tags.get("instrument", ""),
        timeframe=tags.get("timeframe", ""),
        gate=json.loads(tags.get("gate", '{"passed": false, "reasons": []}')),
        metrics=json.loads(tags.get("metrics", "{}")),
        data_version=tags.get("data_version", ""),
        data_revision=tags.get("data_revision", ""),
        run_id=version.run_id or "",
        params_hash=tags.get("params_hash", ""),
        feature_set=tags.get("feature_set", ""),
        feature_hash=tags.get("feature_hash", ""),
        label=json.loads(tags.get("label", "{}")),
        seed=tags.get("seed", ""),
        thread_count=tags.get("thread_count", ""),
        model_digest=tags.get("model_digest", ""),
        code_version=tags.get("code_version", ""),
        inference=tags.get("inference", ""),
        promotion=promotion,
        changes=json.loads(tags.get("changes", "{}")),
        shadow=json.loads(tags.get("shadow", "[]")),
    )
