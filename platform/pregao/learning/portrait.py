"""A registered version as plain data: what the panel draws, and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pregao.core.errors import unknown
from pregao.features.words import noun
from pregao.learning import registry
from pregao.learning.lineage import ModelInfo

FIGURES = (
    ("prediction", "auc", 1, "number"), ("prediction", "log_loss", -1, "number"),
    ("prediction", "brier", -1, "number"), ("prediction", "skill", 1, "percent"),
    ("prediction", "calibration_error", -1, "percent"), ("prediction", "ic", 1, "number"),
    ("prediction", "rank_ic", 1, "number"), ("trading", "net_return", 1, "percent"),
    ("trading", "volatility", -1, "percent"), ("trading", "sharpe", 1, "number"), ("trading", "sortino", 1, "number"),
    ("trading", "calmar", 1, "number"), ("trading", "max_drawdown", -1, "percent"), ("trading", "trades", 0, "count"),
    ("trading", "hit_rate", 1, "percent"), ("trading", "profit_factor", 1, "number"),
    ("trading", "exposure", 0, "percent"), ("trading", "turnover", 0, "number"),
    ("doubled_costs", "net_return", 1, "percent"), ("buy_and_hold", "net_return", 0, "percent"),
    ("buy_and_hold", "sharpe", 0, "number"), ("random", "p", -1, "number"),
)  # fmt: skip
"""Section and key of the report, whether more (1) or less (-1) is better or it says nothing of that (0), and its form:
``percent`` is a fraction."""
_FOLD = (
    "fold", "start_ns", "end_ns", "fit_rows", "test_rows", "trees", "auc", "log_loss", "brier", "ic", "threshold",
    "entries",
)  # fmt: skip
_ALIKE = ("instrument", "timeframe", "data_version", "label")
"""What two versions must have in common for their figures to be of the same thing."""


def portrait(name: str, alias_or_version: str = registry.CHAMPION) -> dict[str, Any]:
    """A version with all that its report has to draw, as JSON; a figure without a value is None.

    Returns:
        ``info`` (`ModelInfo`); ``figures``, each ``section``, ``key``, ``form`` (number, percent, count) and ``value``;
        ``folds`` of the walk-forward; ``curve``: ``ts_ns``, equity of the ``model``, of ``buy_and_hold``, the
        ``random`` band, and ``drawdown`` of both; ``calibration``: ten bins, ``predicted``, ``won``, ``rows``;
        ``thresholds``: ``least``, ``bars``, ``mean``, ``low``, ``high``; ``importance``: ``name``, ``words``, ``share``
        in per cent, the weightiest first; ``span`` of the bars that were scored; ``train_end_ns``.

    Raises:
        NotFoundError: if there is no such model or version, or its run keeps no report.
        PregaoError: if the registry cannot be reached.
    """
    documents = registry.documents(name, alias_or_version)
    report, pictures, meta = (documents[what] for what in ("evaluation", "pictures", "model"))
    return {
        "info": (info := asdict(_info(name, alias_or_version))) | {"aliases": list(info["aliases"])},
        "figures": [
            {"section": section, "key": key, "form": form, "better": better, "value": report[section].get(key)}
            for section, key, better, form in FIGURES
        ],
        "folds": [{key: fold[key] for key in _FOLD} for fold in report["folds"]],
        "curve": {key: pictures[key] for key in ("ts_ns", "model", "buy_and_hold", "random", "drawdown")},
        "calibration": report["calibration"],
        "thresholds": pictures["thresholds"],
        "importance": [
            {"name": feature, "words": noun(feature), "share": share} for feature, share in meta["importance"].items()
        ],
        "span": report["span"],
        "train_end_ns": meta["train_end_ns"],
    }


def side_by_side(one: tuple[str, str], other: tuple[str, str]) -> dict[str, Any]:
    """Two versions, each a registered name and a version or alias, as JSON. Each pair is ``[one's, other's]``.

    Returns:
        ``models``: `portrait` of both; ``differ``: what of instrument, timeframe, data version and label is not alike
        (figures of other markets or other brackets are not of the same thing), and ``span`` if they were scored on
        other bars; ``figures``: ``section``, ``key``, ``form``, ``values``, and ``better``, the place of the one that
        is better (None if equal, unknown, or neither is better); ``importance``: ``name``, ``words``, ``shares``, by
        the larger share; ``gate``: ``name`` and ``reasons``, None where it was not asked; ``shadow``: how one did in
        shadow of the other's sessions, see `pregao.sessions.duel.duel`; ``lineage``: what differs of how they were
        made.

    Raises as `portrait`.
    """
    both = [portrait(*one), portrait(*other)]
    infos = [found["info"] for found in both]
    differ = [key for key in _ALIKE if infos[0][key] != infos[1][key]]
    if both[0]["span"] != both[1]["span"]:
        differ.append("span")
    return {
        "models": both,
        "differ": differ,
        "figures": [_figure(*pair) for pair in zip(both[0]["figures"], both[1]["figures"], strict=True)],
        "importance": _importance(both),
        "gate": _gate(infos),
        "shadow": _duels(infos) if one[0] == other[0] else [],
        "lineage": {
            key: [info[key] for info in infos]
            for key in ("data_version", "code_version", "params_hash", "feature_set", "feature_hash", "seed", "label")
            if infos[0][key] != infos[1][key]
        },
    }


def _info(name: str, alias_or_version: str) -> ModelInfo:
    found = registry.list_models(name)
    for info in found:
        if alias_or_version == info.version or alias_or_version in info.aliases:
            return info
    raise unknown("version or alias", alias_or_version, [info.version for info in found])


def _figure(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    values = [one["value"], other["value"]]
    better = None
    if one["better"] and None not in values and values[0] != values[1]:
        better = 0 if (values[0] - values[1]) * one["better"] > 0 else 1
    return {"section": one["section"], "key": one["key"], "form": one["form"], "values": values, "better": better}


def _importance(both: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shares = [{row["name"]: row["share"] for row in found["importance"]} for found in both]
    words = {row["name"]: row["words"] for found in both for row in found["importance"]}
    rows = [{"name": name, "words": words[name], "shares": [own.get(name) for own in shares]} for name in words]
    return sorted(rows, key=lambda row: (-max(share or 0.0 for share in row["shares"]), row["name"]))


def _duels(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is kept with either version of the two beside each other, on the same bars."""
    numbers = {info["version"] for info in infos}
    return [duel for info in infos for duel in info["shadow"] if {duel["champion"], duel["challenger"]} == numbers]


def _gate(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = [{reason["name"]: reason for reason in info["gate"]["reasons"]} for info in infos]
    names = dict.fromkeys([*said[0], *said[1]])
    return [{"name": name, "reasons": [own.get(name) for own in said]} for name in names]
