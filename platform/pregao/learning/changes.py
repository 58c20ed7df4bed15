"""What a new model has learnt that the champion had not: the two side by side, small enough for a tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pregao.learning.gate import Verdict

TOP = 8
"""Features whose importance has changed most."""
_FIGURES = ("threshold", "base_rate", "trees", "examples", "train_end_ns")
_METRICS = {"prediction": ("auc",), "trading": ("net_return", "sharpe", "max_drawdown", "trades")}

Pair = list[Any]


def changes(
    champion: Mapping[str, Any], version: str, metrics: Mapping[str, Any], meta: Mapping[str, Any],
    report: Mapping[str, Any], verdict: Verdict,
) -> dict[str, Any]:  # fmt: skip
    """The champion and a new model, as JSON: each pair is ``[champion's, new]``.

    Args:
        champion: its meta, see `pregao.learning.stages`; ``version`` is its number.
        metrics: its headline figures, see `pregao.learning.lineage.ModelInfo`.
        meta, report: of the new model.

    Returns:
        ``champion``; ``model`` (threshold, base rate, trees, examples, end of training); ``payoff``; ``importance`` of
        the `TOP` features whose share of the decisions has changed most, per cent; ``out_of_sample``, each on the
        blocks of its own walk-forward; ``same_window``, what the gate found of both on bars that neither has seen;
        and ``refused``, why the new one was not promoted.
    """
    old, new = champion.get("importance", {}), meta["importance"]
    shift = {name: [old.get(name, 0.0), new.get(name, 0.0)] for name in {**old, **new}}
    ranked = sorted(shift, key=lambda name: (-abs(shift[name][1] - shift[name][0]), name))[:TOP]
    now = {key: report[section][key] for section, keys in _METRICS.items() for key in keys}
    rival = next((reason for reason in verdict.reasons if reason.name == "champion"), None)
    return {
        "champion": version,
        "model": {key: [champion.get(key), meta[key]] for key in _FIGURES},
        "payoff": {key: [champion["payoff"][key], meta["payoff"][key]] for key in ("win", "loss")},
        "importance": {name: [round(value, 2) for value in shift[name]] for name in ranked},
        "out_of_sample": {key: [metrics.get(key), now[key]] for key in now},
        "same_window": {"p": rival.value, "text": rival.text} if rival is not None else None,
        "refused": [reason.name for reason in verdict.reasons if not reason.passed],
    }


def told(found: Mapping[str, Any]) -> list[list[str]]:
    """The same as rows for a person: what, the champion's, the new one's."""
    rows = [
        ["importance of " + name, *(f"{value:.1f} %" for value in pair)] for name, pair in found["importance"].items()
    ]
    for section in ("out_of_sample", "payoff", "model"):
        rows += [
            [key.replace("_", " "), *map(_number, pair)] for key, pair in found[section].items() if key[-2:] != "ns"
        ]
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
