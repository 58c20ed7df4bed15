"""The gate: what a model must pass to become champion, each reason with its figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pregao.learning.params import GateParams


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was asked: its figure, its limit, and a sentence for the person. Figures may be None."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says: passed only if every reason did."""

    passed: bool
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        """``{"passed": …, "reasons": [{name, passed, value, limit, text}]}``."""
        return {"passed": self.passed, "reasons": [asdict(reason) for reason in self.reasons]}


def judge(report: Mapping[str, Any], cuts: GateParams) -> Verdict:
    """Judge a report of `pregao.learning.report.report`; a figure without a value never passes."""
    trading, held, luck = report["trading"], report["buy_and_hold"], report["random"]
    net, doubled = trading["net_return"], report["doubled_costs"]["net_return"]
    skill, p, drawdown = report["prediction"]["skill"], luck["p"], trading["max_drawdown"]
    reasons = (
        _over("costs", net, cuts.min_net_return, f"net return {_percent(net)}, costs paid", percent=True),
        _over(
            "doubled_costs",
            doubled,
            cuts.min_net_return_doubled_costs,
            f"net return {_percent(doubled)} at doubled costs",
            percent=True,
        ),
        _over(
            "buy_and_hold",
            trading["sharpe"],
            held["sharpe"],
            f"Sharpe ratio {_number(trading['sharpe'])} against {_number(held['sharpe'])} of buy and hold",
        ),
        _under(
            "random_entries",
            p,
            cuts.max_random_p,
            f"random entries do as well with a chance of {_number(p, 3)}",
        ),
        _least("trades", trading["trades"], cuts.min_trades),
        _under("drawdown", drawdown, cuts.max_drawdown, f"largest drawdown {_percent(drawdown)}", percent=True),
        _over(
            "skill", skill, cuts.min_skill, f"skill {_percent(skill)}, by log loss against the base rate", percent=True
        ),
    )
    return Verdict(all(reason.passed for reason in reasons), reasons)


def _over(name: str, value: float | None, limit: float | None, text: str, percent: bool = False) -> Reason:
    passed = value is not None and limit is not None and value > limit
    return Reason(name, passed, value, limit, f"{text}; must be over {_shown(limit, percent)}")


def _under(name: str, value: float | None, limit: float, text: str, percent: bool = False) -> Reason:
    passed = value is not None and value < limit
    return Reason(name, passed, value, limit, f"{text}; must be under {_shown(limit, percent)}")


def _least(name: str, value: float, limit: int) -> Reason:
    return Reason(name, value >= limit, value, limit, f"{value:.0f} {name}; must be at least {limit}")


def _shown(limit: float | None, percent: bool) -> str:
    return _percent(limit) if percent else _number(limit)


def _percent(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.2%}"


def _number(value: float | None, digits: int = 2) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.{digits}f}"
