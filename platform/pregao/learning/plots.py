"""Pictures of a report, as PNG files for MLflow's pages; `pregao.learning.page` shows the same on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pregao.features.words import noun

_SIZE = (7.0, 3.6)
_MODEL, _OTHER, _LUCK = "#0b6e4f", "#8a8f98", "#c9a227"
PLOTS = ("equity", "drawdown", "calibration", "importance", "folds", "threshold")
"""Each becomes a file of this name."""


def draw(report: Mapping[str, Any], pictures: Mapping[str, Any], importance: Mapping[str, float], folder: Path) -> None:
    """Write a PNG for each of `PLOTS` into a folder that exists.

    Args:
        report: of `pregao.learning.report.report`.
        pictures: of `pregao.learning.pictures.pictures`.
        importance: feature -> weight in per cent, largest first.
    """
    _equity(pictures, folder / "equity.png")
    _drawdown(pictures, folder / "drawdown.png")
    _calibration(report["calibration"], folder / "calibration.png")
    _importance(importance, folder / "importance.png")
    _folds(report["folds"], folder / "folds.png")
    _threshold(pictures["thresholds"], report["folds"], folder / "threshold.png")


def _figure(title: str) -> tuple[Any, Any]:
    # No pyplot: it keeps figures alive and looks for a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left")
    return figure, axes


def _over_time(title: str) -> tuple[Any, Any]:
    from matplotlib import dates

    made: Any = dates  # its classes carry no types
    figure, axes = _figure(title)
    locator = made.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(made.ConciseDateFormatter(locator))
    return figure, axes


def _times(pictures: Mapping[str, Any]) -> list[datetime]:
    return [datetime.fromtimestamp(ns / 1e9, UTC) for ns in pictures["ts_ns"]]


def _equity(pictures: Mapping[str, Any], path: Path) -> None:
    figure, axes = _over_time("Equity out of sample")
    times = _times(pictures)
    if pictures["random"]:
        low, middle, high = pictures["random"]
        axes.fill_between(times, low, high, color=_LUCK, alpha=0.2, linewidth=0, label="random entries, 5 to 95 %")
        axes.plot(times, middle, color=_LUCK, linewidth=1, label="random entries, the middle run")
    axes.plot(times, pictures["buy_and_hold"], color=_OTHER, label="buy and hold")
    axes.plot(times, pictures["model"], color=_MODEL, label="model, costs paid")
    axes.legend(frameon=False)
    figure.savefig(path)


def _drawdown(pictures: Mapping[str, Any], path: Path) -> None:
    figure, axes = _over_time("Drawdown out of sample, per cent")
    times = _times(pictures)
    for name, color in (("buy_and_hold", _OTHER), ("model", _MODEL)):
        axes.plot(times, [100 * d for d in pictures["drawdown"][name]], color=color, label=name.replace("_", " "))
    axes.legend(frameon=False)
    figure.savefig(path)


def _calibration(bins: Sequence[Mapping[str, float]], path: Path) -> None:
    figure, axes = _figure("Calibration out of sample")
    predicted, won = [b["predicted"] for b in bins], [b["won"] for b in bins]
    reach = [0.0, max([*predicted, *won]) * 1.05 or 1.0]
    axes.plot(reach, reach, color=_OTHER, linestyle="--", label="perfect")
    axes.plot(predicted, won, color=_MODEL, marker="o", label="model, ten bins of equal size")
    axes.set(xlabel="predicted chance of a profit", ylabel="share that ended in profit")
    axes.legend(frameon=False)
    figure.savefig(path)


def _importance(importance: Mapping[str, float], path: Path) -> None:
    figure, axes = _figure("Weight of the features, per cent")
    first = list(importance.items())[:12][::-1]
    axes.barh([f"{noun(name)} ({name})" for name, _ in first], [weight for _, weight in first], color=_MODEL)
    axes.tick_params(axis="y", labelsize="small")
    figure.savefig(path)


def _folds(folds: Sequence[Mapping[str, Any]], path: Path) -> None:
    figure, axes = _figure("Each test block of the walk-forward: AUC, and trades entered")
    numbers = [fold["fold"] for fold in folds]
    axes.bar(numbers, [fold["auc"] or 0.5 for fold in folds], color=_MODEL, width=0.5)
    axes.axhline(0.5, color=_OTHER, linestyle="--")
    axes.set_xticks(numbers, [f"{fold['fold']}\n{fold['entries']} entries" for fold in folds])
    axes.set_ylim(bottom=min([0.45, *(fold["auc"] or 0.5 for fold in folds)]) - 0.01)
    figure.savefig(path)


def _threshold(points: Sequence[Mapping[str, float]], folds: Sequence[Mapping[str, Any]], path: Path) -> None:
    figure, axes = _figure("Mean net result of a trade by the least expected value asked for, per cent")
    kept = [point for point in points if point["low"] is not None]
    least = [100 * point["least"] for point in kept]
    axes.fill_between(
        least, [100 * p["low"] for p in kept], [100 * p["high"] for p in kept], color=_MODEL, alpha=0.15, linewidth=0
    )
    axes.plot(least, [100 * point["mean"] for point in kept], color=_MODEL, label="mean, two standard errors around")
    axes.axhline(0, color=_OTHER, linestyle="--")
    for i, fold in enumerate(folds):
        axes.axvline(100 * fold["threshold"], color=_LUCK, linewidth=1, label=None if i else "thresholds of the folds")
    axes.set(xlabel="least expected value, per cent")
    axes.legend(frameon=False)
    figure.savefig(path)
