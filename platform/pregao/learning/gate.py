"""The gate: what a model must pass to become champion, each reason with its figure, its cut and what could be done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pregao.learning.gate_words import told
from pregao.learning.params import GateParams
from pregao.learning.rivalry import Rivalry
from pregao.simulation.significance import Sample, Trials, deflated_sharpe


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was asked.

    Attributes:
        value, limit: the figure and its cut; None where it has none.
        text: a sentence for the person with both, in English; `pregao.learning.gate_words.told` has other languages.
        advice: what the failure means and what could be done; empty if it passed.
        code: which sentence it is; ``figures`` what else stands in it; ``must`` how value and limit are compared.
    """

    name: str
    passed: bool
    value: float | None
    limit: float | None
    text: str
    advice: str = ""
    code: str = ""
    must: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says: passed only if every reason did."""

    passed: bool
    reasons: tuple[Reason, ...]

    @property
    def failed(self) -> frozenset[str]:
        """Names of the reasons that failed."""
        return frozenset(reason.name for reason in self.reasons if not reason.passed)

    def to_json(self) -> dict[str, Any]:
        """``{"passed": …, "reasons": [{name, passed, value, limit, text, advice}]}``."""
        return {"passed": self.passed, "reasons": [asdict(reason) for reason in self.reasons]}


def verdict_from(document: Mapping[str, Any]) -> Verdict:
    """A verdict from the JSON of `Verdict.to_json`, also of an older Pregão."""
    return Verdict(bool(document["passed"]), tuple(Reason(**reason) for reason in document["reasons"]))


def judge(
    report: Mapping[str, Any],
    cuts: GateParams,
    rivalry: Rivalry | None = None,
    attempts: Sequence[float | None] = (),
) -> Verdict:
    """Judge a report of `pregao.learning.assess.assess`; a figure without a value never passes.

    Args:
        rivalry: how the model does beside the champion; None if there is no champion.
        attempts: Sharpe ratio per bar of what was tried on this series before, with other knobs; None for one that
            never traded. They count as trials: whoever turns the knobs until the gate opens has searched too.
    """
    trading, held, luck = report["trading"], report["buy_and_hold"], report["random"]
    net, doubled = trading["net_return"], report["doubled_costs"]["net_return"]
    skill, p, drawdown = report["prediction"]["skill"], luck["p"], trading["max_drawdown"]
    overfit, error = report["overfitting"], report["prediction"]["calibration_error"]
    deflated, sharpe, tried = _deflated(report["significance"], attempts)
    reasons = (
        _asked("deflated_sharpe", deflated, "at least", cuts.min_deflated_sharpe, sharpe=sharpe, tried=tried),
        _asked("overfitting", overfit["probability"], "at most", cuts.max_overfitting, splits=overfit["splits"])
        if overfit
        else _asked("overfitting", None, "at most", cuts.max_overfitting, "overfitting.none"),
        champion_reason(rivalry, cuts.max_champion_p),
        _asked("random_entries", p, "under", cuts.max_random_p),
        _asked("buy_and_hold", trading["sharpe"], "over", held["sharpe"], held=held["sharpe"]),
        _asked("costs", net, "over", cuts.min_net_return),
        _asked("doubled_costs", doubled, "over", cuts.min_net_return_doubled_costs),
        _asked("drawdown", drawdown, "under", cuts.max_drawdown),
        _asked("trades", trading["trades"], "at least", cuts.min_trades),
        _asked("calibration", error, "at most", cuts.max_calibration_error),
        _asked("skill", skill, "over", cuts.min_skill),
    )
    return Verdict(all(reason.passed for reason in reasons), reasons)


def _deflated(figures: Mapping[str, Any], attempts: Sequence[float | None]) -> tuple[float | None, float | None, int]:
    """The deflated Sharpe ratio, the annualised Sharpe ratio, and how many trials it was deflated by."""
    # What never traded earned nothing, neither more nor less.
    sharpes = [0.0 if s is None else float(s) for s in (*figures["trials"], *attempts)]
    if figures["sharpe_per_bar"] is None:
        return None, None, len(sharpes)
    sample = Sample(figures["bars"], figures["sharpe_per_bar"], figures["skew"], figures["kurtosis"])
    found = deflated_sharpe(sample, Trials.of(sharpes)).value
    return (None if math.isnan(found) else found), figures["sharpe"], len(sharpes)


def champion_reason(rivalry: Rivalry | None, cut: float) -> Reason:
    """What the gate says of a model beside the champion; None if there is none. Passed if it is surely better."""
    if rivalry is None:
        return _told("champion", True, None, cut, "champion.none")
    version = rivalry.champion
    if rivalry.same:
        return _told("champion", True, None, cut, "champion.same", champion=version)
    if rivalry.unusable:
        return _told("champion", True, None, cut, "champion.unusable", champion=version, why=rivalry.unusable)
    if rivalry.p is None:
        return _told("champion", False, None, cut, "champion.few", champion=version, bars=rivalry.bars)
    return _asked(
        "champion", rivalry.p, "under", cut,
        champion=version, sharpe=rivalry.sharpe, champion_sharpe=rivalry.champion_sharpe, bars=rivalry.bars,
    )  # fmt: skip


_TESTS = {
    "over": lambda value, limit: value > limit,
    "under": lambda value, limit: value < limit,
    "at least": lambda value, limit: value >= limit,
    "at most": lambda value, limit: value <= limit,
}


def _asked(name: str, value: float | None, must: str, limit: float | None, code: str = "", **figures: Any) -> Reason:
    passed = value is not None and limit is not None and _TESTS[must](value, limit)
    return _told(name, passed, value, limit, code or name, must, **figures)


def _told(
    name: str, passed: bool, value: float | None, limit: float | None, code: str, must: str = "", **figures: Any
) -> Reason:
    reason = Reason(name, passed, value, limit, "", "", code, must, figures)
    text, advice = told(reason.to_json())
    return replace(reason, text=text, advice=advice)
