"""The gate: what a model must pass to become champion, each reason with its figure, its cut and what could be done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pregao.learning.params import GateParams
from pregao.learning.rivalry import Rivalry
from pregao.simulation.significance import Sample, Trials, deflated_sharpe


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was asked.

    Attributes:
        value, limit: the figure and its cut; None where it has none.
        text: a sentence for the person with both.
        advice: what the failure means and what could be done; empty if it passed.
    """

    name: str
    passed: bool
    value: float | None
    limit: float | None
    text: str
    advice: str = ""


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
        _asked(
            "deflated_sharpe", deflated, "at least", cuts.min_deflated_sharpe,
            f"deflated Sharpe ratio {_number(deflated, 3)} (Sharpe ratio {_number(sharpe)}, {tried} tried)",
            "The gains are too small, too wild or over too short a time to tell them from luck. More history, or a "
            "bracket that suits the market better, can settle it; trying more settings raises what is asked.",
        ),
        _asked(
            "overfitting", overfit["probability"] if overfit else None, "at most", cuts.max_overfitting,
            "probability of backtest overfitting "
            + (
                f"{_percent(overfit['probability'])} of {overfit['splits']} combinations" if overfit
                else "not computed, since the model had failed already"
            ),
            "Trained on other parts of the history, the same way of learning loses too often on the rest. Fewer or "
            "simpler features, shallower trees or more history make it steadier.",
            percent=True,
        ),
        _champion(rivalry, cuts.max_champion_p),
        _asked(
            "random_entries", p, "under", cuts.max_random_p,
            f"random entries with the same brackets do as well with a chance of {_number(p, 3)}",
            "Entering at random, as often and with the same exits, does about as well: what was earned came from the "
            "exits or the market, not from when the model enters.",
        ),
        _asked(
            "buy_and_hold", trading["sharpe"], "over", held["sharpe"],
            f"Sharpe ratio {_number(trading['sharpe'])} against {_number(held['sharpe'])} of buy and hold",
            "For the risk taken, holding would have brought as much. In a market that only rose this is hard to beat.",
        ),
        _asked(
            "costs", net, "over", cuts.min_net_return, f"net return {_percent(net)}, costs paid",
            "After fees and slippage nothing is left. Wider exits trade less often and pay less.", percent=True,
        ),
        _asked(
            "doubled_costs", doubled, "over", cuts.min_net_return_doubled_costs,
            f"net return {_percent(doubled)} at doubled costs",
            "The gain would not survive worse fills or fees. Wider exits, or a venue with lower fees, leave more room.",
            percent=True,
        ),
        _asked(
            "drawdown", drawdown, "under", cuts.max_drawdown, f"largest drawdown {_percent(drawdown)}",
            "It lost too much on the way. A smaller entry value lowers it in proportion.", percent=True,
        ),
        _asked(
            "trades", trading["trades"], "at least", cuts.min_trades, f"{_number(trading['trades'], 0)} trades",
            "Too few trades to judge. More history, a shorter timeframe or nearer exits make more of them.", digits=0,
        ),
        _asked(
            "calibration", error, "at most", cuts.max_calibration_error,
            f"predicted chances are off by {_percent(error)} on average",
            "The chances that the model names do not come true as often as it says, so neither does the expected "
            "value by which it decides. More history, or stronger regularisation, helps.", percent=True,
        ),
        _asked(
            "skill", skill, "over", cuts.min_skill, f"skill {_percent(skill)}, by log loss against the base rate",
            "Always naming the average chance would have predicted better. There may be nothing to learn here.",
            percent=True,
        ),
    )  # fmt: skip
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


def _champion(rivalry: Rivalry | None, cut: float) -> Reason:
    name = "champion"
    if rivalry is None:
        return Reason(name, True, None, cut, "there is no champion yet to be better than")
    if rivalry.same:
        return Reason(name, True, None, cut, f"it is the champion itself, version {rivalry.champion}")
    if rivalry.p is None:
        return Reason(
            name, False, None, cut,
            f"only {rivalry.bars} bars that neither it nor champion {rivalry.champion} has seen: too few to compare",
            "Wait for more bars, or hold out more of them (params.yaml: holdout).",
        )  # fmt: skip
    return _asked(
        name, rivalry.p, "under", cut,
        f"Sharpe ratio {_number(rivalry.sharpe)} against {_number(rivalry.champion_sharpe)} of champion "
        f"{rivalry.champion} on {rivalry.bars} bars that neither has seen; chance of that by luck "
        f"{_number(rivalry.p, 3)}",
        "It is not clearly better than the champion on bars that neither has learnt from, so the champion stays; let "
        "it run in shadow and compare again on more bars.",
    )  # fmt: skip


_TESTS = {
    "over": lambda value, limit: value > limit,
    "under": lambda value, limit: value < limit,
    "at least": lambda value, limit: value >= limit,
    "at most": lambda value, limit: value <= limit,
}


def _asked(
    name: str, value: float | None, must: str, limit: float | None, text: str, advice: str,
    percent: bool = False, digits: int = 2,
) -> Reason:  # fmt: skip
    passed = value is not None and limit is not None and _TESTS[must](value, limit)
    shown = _percent(limit) if percent else _number(limit, digits)
    return Reason(name, passed, value, limit, f"{text}; must be {must} {shown}", "" if passed else advice)


def _percent(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.2%}"


def _number(value: float | None, digits: int = 2) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.{digits}f}"
