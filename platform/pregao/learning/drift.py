"""Drift: whether what a model sees, says and earns has left what it was, by bounds that the series sets itself.

Textbook limits (a population stability index over 0.2, a significant Kolmogorov-Smirnov test) take rows for
independent. Market features are not: a quiet month differs from the year around it without anything having changed, and
such limits alarm most of the time. So each figure is measured on consecutive windows of the reference, as long as those
that are watched, each against all the others; how much it differs from window to window *is* how much it may differ.
The bound is the one-sided prediction bound for one more window (G. J. Hahn, W. Q. Meeker, *Statistical Intervals*,
Wiley 1991, chapter 4): ``mean +- t(1 - alpha, k - 1) * sd * sqrt(1 + 1 / k)`` over ``k`` windows, of the logarithm for
distances, which are skewed. It holds where windows are long beside the memory of the series.

Five things are watched, those that cost money first. The chance of a false alarm, nominally `ALARMS` a month, is shared
out among all of them and among the checks of a month, so that it holds for any alarm at all
(docs/explanation/why-the-gate-says-no.md has what was measured):

1. ``prediction``: the distribution of the predicted chances (population stability index), 0.16 of it;
2. ``lost skill``: the rank correlation of expected value and net result has gone, cumulated over all that came since
   the training (`pregao.learning.lost_skill`), 0.42;
3. ``ic``: the same of the newest window alone has fallen, 0.16;
4. ``calibration``: predicted less actual share of wins, either way, 0.16;
5. ``feature NAME``: the distribution of a feature, 0.1 for all features together. A feature that drifts alone says why,
   and is no reason to retrain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.learning.lost_skill import LostSkill

Floats = NDArray[np.float64]
ALARMS = 0.05
LEAST_WINDOWS = 8
"""Fewer windows say too little of how much windows differ."""
_SHARES = {"prediction": 0.16, "lost skill": 0.42, "ic": 0.16, "calibration": 0.16, "feature": 0.1}
_BINS = 10


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model saw and said, and what came of it; rows in order of time.

    Attributes:
        probability, value: predicted chance and expected value, shape ``(n,)``.
        net: net result of a trade opened there, shape ``(n,)``, NaN where it is not known.
        x: features, shape ``(n, k)``; ``names`` names them.
    """

    probability: Floats
    value: Floats
    net: Floats
    x: Floats
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.probability)

    def __getitem__(self, rows: slice) -> Seen:
        return Seen(self.probability[rows], self.value[rows], self.net[rows], self.x[rows], self.names)


@dataclass(frozen=True)
class Finding:
    """One thing that was watched: its figure in the newest window, and between which bounds it may be (None: any)."""

    name: str
    value: float
    low: float | None
    high: float | None

    @property
    def drifted(self) -> bool:
        """Whether it is outside; a figure without a value is not."""
        return (self.low is not None and self.value < self.low) or (self.high is not None and self.value > self.high)

    @property
    def retrain(self) -> bool:
        """Whether that is a reason to retrain: features alone are none."""
        return self.drifted and not self.name.startswith("feature ")


@dataclass(frozen=True, eq=False)
class Watch:
    """Bounds learnt from a reference, see `watch`."""

    window: int
    reference: Seen
    bounds: dict[str, tuple[float | None, float | None]]
    skill: LostSkill

    def check(self, recent: Seen) -> list[Finding]:
        """What is outside its bounds, in the order of what matters.

        Args:
            recent: all that came since the training; what is not cumulated is measured on the newest ``window`` rows.

        Raises:
            UsageError: if there are fewer rows, or other features.
        """
        if recent.names != self.reference.names:
            raise UsageError("What is watched has other features than its reference.", "Learn the bounds anew.")
        if len(recent) < self.window:
            raise UsageError(f"{len(recent)} rows are fewer than the window of {self.window} that is watched.")
        figures = _figures(recent[slice(len(recent) - self.window, None)], self.reference)
        found = [Finding(name, figures[name], *self.bounds[name]) for name in figures]
        found.insert(1, Finding("lost skill", self.skill.of(recent.value, recent.net), None, self.skill.high))
        return found


def watch(reference: Seen, window: int, checks_per_month: float = 1.0, alarms: float = ALARMS) -> Watch:
    """Learn from consecutive windows of the reference how much each figure may differ.

    Args:
        reference: out-of-sample predictions of a time when the model was as it should be.
        window: rows of a check.
        checks_per_month: how often will be checked, each time on new rows.
        alarms: chance of any false alarm in a month.

    Raises:
        UsageError: if the reference has fewer than `LEAST_WINDOWS` windows.
    """
    count = len(reference) // window
    if count < LEAST_WINDOWS:
        raise UsageError(
            f"{len(reference)} rows are {count} windows of {window}; {LEAST_WINDOWS} show how much they differ.",
            "Take shorter windows or a longer reference.",
        )
    start = len(reference) - count * window
    found = []
    for i in range(count):
        inside = np.zeros(len(reference), bool)
        inside[start + i * window : start + (i + 1) * window] = True
        kept = ~inside
        others = Seen(
            reference.probability[kept], reference.value[kept], reference.net[kept], reference.x[kept], reference.names
        )
        found.append(_figures(reference[slice(start + i * window, start + (i + 1) * window)], others))
    alpha = alarms / max(checks_per_month, 1.0)
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for name in found[0]:
        kind = name.split(" ")[0]
        share = alpha * _SHARES[kind] / (len(reference.names) if kind == "feature" else 1)
        bounds[name] = _bounds(kind, np.array([figures[name] for figures in found]), share)
    month = round(window * max(checks_per_month, 1.0))
    share = alarms * _SHARES["lost skill"]
    skill = LostSkill.learnt(reference.value, reference.net, month, max(window // 2, 1), share)
    return Watch(window, reference, bounds, skill)


def stability(recent: Floats, reference: Floats) -> float:
    """Population stability index over ten bins of equally many reference values, missing values a bin of their own.

    ``sum((a - b) * ln(a / b))`` over the shares ``a`` of the recent and ``b`` of the reference values, each count half
    a row larger, so that an empty bin is finite.
    """
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS)) if len(known) else np.empty(0)
    shares = []
    for values in (recent, reference):
        missing = np.isnan(values)
        counts = np.bincount(np.searchsorted(edges, values[~missing], side="right"), minlength=len(edges) + 1)
        filled = np.append(counts, missing.sum()) + 0.5
        shares.append(filled / filled.sum())
    a, b = shares
    return float(np.sum((a - b) * np.log(a / b)))


def _figures(recent: Seen, reference: Seen) -> dict[str, float]:
    known = ~np.isnan(recent.net)
    value, net = recent.value[known], recent.net[known]
    ic = math.nan
    if len(net) > 2 and np.ptp(value) > 0 and np.ptp(net) > 0:
        ic = float(np.corrcoef(pd.Series(value).rank(), pd.Series(net).rank())[0, 1])
    found = {
        "prediction": stability(recent.probability, reference.probability),
        "ic": ic,
        "calibration": float((recent.probability[known] - (net > 0)).mean()) if len(net) else math.nan,
    }
    for j, name in enumerate(recent.names):
        found[f"feature {name}"] = stability(recent.x[:, j], reference.x[:, j])
    return found


def _bounds(kind: str, figures: Floats, alpha: float) -> tuple[float | None, float | None]:
    figures = figures[np.isfinite(figures)]
    if len(figures) < LEAST_WINDOWS:
        return None, None
    if kind in ("prediction", "feature"):
        return None, math.exp(_beyond(np.log(np.maximum(figures, 1e-12)), alpha))
    if kind == "ic":
        return -_beyond(-figures, alpha), None
    return -_beyond(-figures, alpha / 2), _beyond(figures, alpha / 2)


def _beyond(figures: Sequence[float] | Floats, alpha: float) -> float:
    """The upper prediction bound for one more figure."""
    from scipy.stats import t

    values = np.asarray(figures, np.float64)
    k = len(values)
    return float(values.mean() + t.ppf(1 - alpha, k - 1) * values.std(ddof=1) * math.sqrt(1 + 1 / k))
