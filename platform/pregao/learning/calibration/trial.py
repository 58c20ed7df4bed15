"""One market put through the whole of learning and the gate."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from pregao.core.errors import UsageError
from pregao.features.sets import feature_set
from pregao.learning.assess import assess
from pregao.learning.calibration.markets import Market
from pregao.learning.gate import judge
from pregao.learning.labels import examples
from pregao.learning.params import Params


@dataclass(frozen=True)
class Outcome:
    """What the gate said of one market.

    Attributes:
        failed: names of the reasons that refused it; overfitting only where it was computed.
        values: figure of each reason, where it has one.
        sharpe: annualised, out of sample, costs paid; None if it never traded.
        complaint: why nothing could be learnt, if so: that is a refusal too.
    """

    promoted: bool
    failed: list[str]
    values: dict[str, float]
    sharpe: float | None
    trades: int
    seconds: float
    complaint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)


def judged(market: Market, params: Params) -> Outcome:
    """Features, labels, walk-forward, report and gate, by the very functions that `pregao retrain` runs.

    The combinatorial folds are made only where all else has passed: the verdict is the same. There is no champion to
    be better than, so nothing but the other reasons stands between luck and promotion.
    """
    began = time.perf_counter()
    try:
        rows = examples(market.bars, market.plan, feature_set(params.features.set))
        report = assess(market.bars, market.plan, rows, params, combinations=False).report
    except UsageError as error:
        return Outcome(False, ["learning"], {}, None, 0, time.perf_counter() - began, str(error))
    verdict = judge(report, params.gate)
    return Outcome(
        promoted=verdict.passed,
        failed=sorted(verdict.failed - ({"overfitting"} if report["overfitting"] is None else set())),
        values={reason.name: reason.value for reason in verdict.reasons if reason.value is not None},
        sharpe=report["trading"]["sharpe"],
        trades=int(report["trading"]["trades"]),
        seconds=round(time.perf_counter() - began, 3),
    )
