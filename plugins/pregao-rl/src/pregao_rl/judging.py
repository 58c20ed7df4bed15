"""Judging: policies trained fold by fold, what they decided on bars that they had not seen, and what the gate says.

The folds, the engine, the baselines and the gate are those of the platform's own models. What differs is told: a policy
names no chance of profit, so there is nothing to calibrate, and the gate refuses it for want of the figures, whatever
it earned. That, and `NEVER`, keep every policy from being anyone's default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pregao.core.bars import Bar, Bars
from pregao.features.sets import feature_set
from pregao.learning.folds import Fold, walk_forward
from pregao.learning.gate import Reason, Verdict, judge
from pregao.learning.params import Params
from pregao.learning.report import finite, trading_report
from pregao.simulation.backtest import Result
from pregao.simulation.plan import Plan
from pregao.simulation.significance import Sample
from pregao.strategies.backtest import backtest
from pregao.strategies.contract import Context, Intent, JsonDict
from pregao_rl.policy import Policy
from pregao_rl.strategy import stand
from pregao_rl.training import Knobs, train

Train = Callable[[Bars, int], Policy]
Tell = Callable[[str], None]
NEVER = Reason(
    "never_default", False, None, None, "a policy of reinforcement learning is never promoted",
    "Name its file in a session's settings if you want to watch it: it trades there, and nowhere by itself.",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Judged:
    """What came of it.

    Attributes:
        report: as `pregao.learning.report.trading_report` has it, with the trials and the folds, as JSON.
        verdict: of the gate, with `NEVER` in the place of the comparison with a champion.
        trading: the out-of-sample decisions, traded.
    """

    report: dict[str, Any]
    verdict: Verdict
    trading: Result


class Following:
    """Trades by the policy of the fold that a bar lies in.

    Args:
        policies: one a fold.
        starts: close of the first bar of each fold, ns, ascending.
    """

    only_signals = False

    def __init__(self, policies: Sequence[Policy], starts: Sequence[int]) -> None:
        self._policies, self._starts = policies, np.array(starts, np.int64)
        self.feature_set = policies[0].feature_set

    def warmup(self) -> int:
        """The bars that the features need."""
        return feature_set(self.feature_set).warmup

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """Ask the policy whose fold it is, which has learnt from older bars alone."""
        fold = int(np.searchsorted(self._starts, bar.close_ns, side="right")) - 1
        return stand(self._policies[max(fold, 0)], ctx)

    def save(self) -> JsonDict:
        """It keeps nothing."""
        return {}

    def load(self, state: JsonDict) -> None:
        """It keeps nothing."""


def assess(
    bars: Bars,
    plan: Plan,
    params: Params,
    knobs: Knobs,
    seeds: int = 1,
    *,
    learn: Train | None = None,
    attempts: Sequence[float | None] = (),
    tell: Tell | None = None,
) -> Judged:
    """Walk forward, and let the gate judge what was decided out of sample.

    In each fold ``seeds`` policies learn from the older part of what may train, and that which earns most on the newer
    part is taken; the test block is seen by none. How each seed alone would have done is reported, and all of them
    count as trials.

    Args:
        bars: those that training may see.
        learn: how a policy is made from bars and a seed; by default `pregao_rl.training.train`.
        attempts: Sharpe ratios per bar of what was tried on this series before.

    Raises:
        UsageError: if the bars are too few.
        PregaoError: if a library for training is missing.
    """
    say = tell or (lambda line: None)
    learn = learn or (lambda seen, seed: train(seen, plan, params.features.set, knobs, seed))
    warm = feature_set(params.features.set).warmup - 1
    at_ns = bars.close_ns[warm:]
    folds = walk_forward(at_ns, at_ns, params.folds)
    by_seed: list[list[Policy]] = [[] for _ in range(seeds)]
    chosen: list[int] = []
    for number, fold in enumerate(folds, 1):
        for seed in range(seeds):
            say(f"fold {number} of {len(folds)}, seed {seed + 1} of {seeds}")
            by_seed[seed].append(learn(bars[: warm + int(fold.fit[-1]) + 1], params.seed + seed))
        chosen.append(_best([policies[-1] for policies in by_seed], bars, plan, warm, fold))
    first = warm + int(folds[0].test[0])
    scored, before = bars[first:], bars[:first]
    starts = [int(at_ns[fold.test[0]]) for fold in folds]

    def traded(policies: Sequence[Policy], asked: Plan) -> Result:
        return backtest(Following(policies, starts), scored, asked, before=before)

    taken = [by_seed[seed][i] for i, seed in enumerate(chosen)]
    document, trading = trading_report(
        scored, plan, lambda asked: traded(taken, asked), params.seed, params.random_runs
    )
    alone = [_sharpe(traded(policies, plan)) for policies in by_seed] if seeds > 1 else []
    document["significance"]["trials"] = [document["significance"]["sharpe_per_bar"], *alone]
    document |= {
        "prediction": {"skill": None, "calibration_error": None},
        "overfitting": None,
        "folds": [
            {"fold": i + 1, "start_ns": start, "seed": params.seed + chosen[i], "policy": taken[i].digest}
            for i, start in enumerate(starts)
        ],
    }
    report = finite(document)
    said = judge(report, params.gate, None, attempts)
    reasons = tuple(NEVER if reason.name == "champion" else reason for reason in said.reasons)
    return Judged(report, Verdict(False, reasons), trading)


def final(
    bars: Bars,
    plan: Plan,
    params: Params,
    knobs: Knobs,
    judged: Judged,
    lineage: dict[str, Any],
    learn: Train | None = None,
) -> Policy:
    """The policy that is kept, learnt from all that training may see, with what the gate said of such learning."""
    learn = learn or (lambda seen, seed: train(seen, plan, params.features.set, knobs, seed))
    policy = learn(bars, params.seed)
    return replace(
        policy,
        lineage={**policy.lineage, **lineage, "trials": judged.report["significance"]["trials"]},
        verdict=judged.verdict.to_json(),
    )


def _best(policies: Sequence[Policy], bars: Bars, plan: Plan, warm: int, fold: Fold) -> int:
    """Which of the policies earns most on the newest part of what may train; the first of equals."""
    if len(policies) == 1:
        return 0
    first, last = warm + int(fold.stop[0]), warm + int(fold.stop[-1]) + 1
    earned = [
        int(backtest(Following([policy], [0]), bars[first:last], plan, before=bars[:first]).equity[-1])
        for policy in policies
    ]
    return int(np.argmax(earned))


def _sharpe(trading: Result) -> float | None:
    sample = Sample.of(np.diff(trading.money) / trading.money[:-1])
    return None if sample.flaw is not None else sample.sharpe
