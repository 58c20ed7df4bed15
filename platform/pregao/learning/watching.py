"""A registered champion watched on the newest bars: whether it has drifted, and how far the data has grown past it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError
from pregao.core.timeframe import Timeframe
from pregao.learning import drift, registry
from pregao.learning.decision import expected_value
from pregao.learning.drift import Seen
from pregao.learning.labels import seen_bars
from pregao.learning.model import LoadedModel
from pregao.learning.others import bars_of, keys_of
from pregao.learning.params import read_params
from pregao.learning.skew import features_at
from pregao.market.store import Store
from pregao.settings import settings
from pregao.simulation.outcomes import bracket_outcomes
from pregao.simulation.plan import Plan, simple_terms

WINDOWS = 12
"""A window is as long as this part of the champion's own out-of-sample predictions: that many to learn bounds from."""
ENOUGH = 5_000
"""With fewer predictions out of sample the bounds are wide, and that is told."""
LEAST_ROWS = 30
"""A shorter window measures nothing."""
_DAY_NS = 86_400 * 10**9
_MONTH_NS = 30 * _DAY_NS


@dataclass(frozen=True)
class Watched:
    """What was found of one model.

    Attributes:
        champion: the version that was watched for drift; None if there is none.
        findings: of `pregao.learning.drift`; empty if it could not be watched, and ``note`` says why.
        window: newest bars that were judged, none of which the champion had learnt from.
        grown: by which part the bars that training may see have grown since the newest version was trained.
    """

    name: str
    instrument: str
    timeframe: str
    champion: str | None
    findings: tuple[drift.Finding, ...]
    window: int
    grown: float
    note: str

    @property
    def drifted(self) -> tuple[drift.Finding, ...]:
        """The findings that are a reason to retrain."""
        return tuple(finding for finding in self.findings if finding.retrain)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON; a figure without a value is null."""
        document = asdict(self)
        document["findings"] = [
            asdict(f) | {"value": f.value if np.isfinite(f.value) else None, "drifted": f.drifted}
            for f in self.findings
        ]
        return document


def watch(name: str, instrument_key: str, timeframe_name: str, store: Store | None = None) -> Watched:
    """Watch one registered model on the bars as they are stored now.

    Its reference are the champion's own out-of-sample predictions, kept with its run; what is judged are the newest
    bars after the last that it learnt from, each labelled by the engine as far as its trade has ended.

    Raises:
        NotFoundError: if the store has no such series, or there is no such model.
        PregaoError: if the registry cannot be reached, or the champion cannot be used.
    """
    store = store or Store()
    instrument, timeframe = store.instrument(instrument_key), Timeframe.parse(timeframe_name)
    bars = store.bars(instrument, timeframe)
    params = read_params(settings().home / "params.yaml")
    newest = registry.load(name, registry.newest(name))
    then = int(np.searchsorted(bars.close_ns, newest.meta["train_end_ns"], side="right"))
    grown = len(seen_bars(bars, params.holdout)) / max(then, 1) - 1.0

    def watched(version: str | None, note: str, found: tuple[drift.Finding, ...] = (), window: int = 0) -> Watched:
        return Watched(name, instrument.key, timeframe.name, version, found, window, grown, note)

    version = registry.champion(name)
    if version is None:
        return watched(None, "there is no champion to watch")
    champion = registry.load(name, version)
    try:
        kept = pd.read_parquet(io.BytesIO(registry.predictions(name, version)))
    except NotFoundError as error:
        return watched(version, error.message)
    try:
        beside = bars_of(keys_of(champion.meta), timeframe, store)
    except NotFoundError as error:
        return watched(version, error.message)
    reference = _reference(champion, bars, kept, beside)
    window = len(reference) // WINDOWS
    recent = _recent(champion, bars, params.plan.plan(instrument, timeframe), beside)
    if window < LEAST_ROWS:
        return watched(
            version,
            f"too little history to watch it: {len(reference)} predictions out of sample, and bounds need "
            f"{WINDOWS * LEAST_ROWS}; ingest more, or train on a shorter timeframe",
        )
    if len(recent) < window:
        return watched(
            version,
            f"too little has come since the training: {len(recent)} bars, and a check needs {window} "
            f"({(window - len(recent)) * timeframe.ns / _DAY_NS:.1f} days more)",
        )
    per_month = _MONTH_NS / (window * timeframe.ns)
    learnt = drift.watch(reference, window, per_month)
    return watched(version, _short(learnt, reference), tuple(learnt.check(recent)), window)


def _short(learnt: drift.Watch, reference: Seen) -> str:
    """What cannot be seen yet, and what it would take; empty if all can."""
    if learnt.skill.high is None:
        return "its predictions out of sample showed no rank correlation, so none can be seen to be lost"
    windows = learnt.skill.high / (learnt.skill.correlation / 2) / learnt.window
    told = f"a skill that is lost at once is seen after about {windows:.1f} windows of {learnt.window} bars"
    if len(reference) < ENOUGH:
        told = f"little history ({len(reference)} predictions, {ENOUGH} would do): only a collapse is seen; {told}"
    return told


def _reference(model: LoadedModel, bars: Bars, kept: pd.DataFrame, beside: Mapping[str, Bars]) -> Seen:
    """What the models of the walk-forward said out of sample, with the features that they saw."""
    at_ns = kept["at_ns"].to_numpy()
    x = features_at(str(model.meta["feature_set"]), bars, at_ns, beside)
    chance, value, net = (kept[name].to_numpy(np.float64) for name in ("probability", "expected_value", "net"))
    return Seen(chance, value, net, x, tuple(model.meta["features"]))


def _recent(model: LoadedModel, bars: Bars, plan: Plan, beside: Mapping[str, Bars]) -> Seen:
    """What the model says of the bars that it has not learnt from, and what came of a trade opened there.

    Of those whose trade has not ended only the chance and the features are known; they are no reason to wait.
    """
    meta = model.meta
    own = replace(
        plan,
        take_profit_ppm=int(meta["take_profit_ppm"]),
        stop_loss_ppm=int(meta["stop_loss_ppm"]),
        horizon_bars=int(meta["horizon_bars"]),
        terms=simple_terms(int(meta["fee_ppm"]), int(meta["slippage_ppm"])),
    )
    first = int(np.searchsorted(bars.close_ns, meta["train_end_ns"], side="right"))
    newest = bars[first:]
    x = np.ascontiguousarray(features_at(str(meta["feature_set"]), bars, newest.close_ns, beside))
    probability = model.probabilities(x) if len(x) else np.empty(0)
    value = expected_value(probability, meta["payoff"]["win"], meta["payoff"]["loss"])
    net = bracket_outcomes(newest, own).net if len(x) else np.empty(0)
    return Seen(probability, value, net, x, tuple(meta["features"]))
