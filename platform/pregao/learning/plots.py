"""Pictures of a report, as PNG files: equity, calibration, importance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SIZE = (7.0, 3.6)
_MODEL, _OTHER = "#0b6e4f", "#8a8f98"


def draw(report: Mapping[str, Any], importance: Mapping[str, float], folder: Path) -> None:
    """Write ``equity.png``, ``calibration.png`` and ``importance.png`` into a folder that exists.

    Args:
        report: of `pregao.learning.report.report`.
        importance: feature -> weight in per cent, largest first.
    """
    _equity(report["curve"], folder / "equity.png")
    _calibration(report["calibration"], folder / "calibration.png")
    _importance(importance, folder / "importance.png")


def _figure() -> tuple[Any, Any]:
    # No pyplot: it keeps figures alive and looks for a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _equity(curve: Mapping[str, Any], path: Path) -> None:
    figure, axes = _figure()
    times = [datetime.fromtimestamp(ns / 1e9, UTC) for ns in curve["ts_ns"]]
    axes.plot(times, curve["buy_and_hold"], color=_OTHER, label="buy and hold")
    axes.plot(times, curve["model"], color=_MODEL, label="model, costs paid")
    axes.set_title("Equity out of sample", loc="left")
    axes.legend(frameon=False)
    figure.savefig(path)


def _calibration(bins: list[dict[str, float]], path: Path) -> None:
    figure, axes = _figure()
    predicted, won = [b["predicted"] for b in bins], [b["won"] for b in bins]
    reach = [0.0, max([*predicted, *won]) * 1.05 or 1.0]
    axes.plot(reach, reach, color=_OTHER, linestyle="--", label="perfect")
    axes.plot(predicted, won, color=_MODEL, marker="o", label="model, ten bins of equal size")
    axes.set(xlabel="predicted chance of a profit", ylabel="share that ended in profit")
    axes.set_title("Calibration out of sample", loc="left")
    axes.legend(frameon=False)
    figure.savefig(path)


def _importance(importance: Mapping[str, float], path: Path) -> None:
    figure, axes = _figure()
    first = list(importance.items())[:12][::-1]
    axes.barh([name for name, _ in first], [weight for _, weight in first], color=_MODEL)
    axes.set_title("Weight of the features, per cent", loc="left")
    figure.savefig(path)
