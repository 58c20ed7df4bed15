"""Judging: policies learnt fold by fold, what they decided on bars that they had not seen, and all the gate's figures.

Folds, labels, engine, baselines, significance and gate are those of the platform's own models. What a policy does not
say is measured: which chance of a profitable entry its leaning stands for (`pregao_rl.chance`), on the bars on which
the seed is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pregao.core.bars import Bars
from pregao.features.sets import feature_set
from pregao.learning.bootstrap import annual, better, sharpe
from pregao.learning.decision import expected_value
from pregao.learning.folds import Fold, last_fold, walk_forward
from pregao.learning.gate import judge
from pregao.learning.labels import examples
from pregao.learning.params import Params
from pregao.learning.report import finite, statistics, trading_report
from pregao.learning.rivalry import DRAWS, LEAST_BLOCKS, Rivalry
from pregao.simulation.backtest import Result
from pregao.simulation.plan import Plan
from pregao.simulation.report import periods_per_year
from pregao.simulation.significance import Sample
from pregao_rl.chance import fitted
from pregao_rl.following import Ints, returns_on, traded
from pregao_rl.overfitting import Train, overfitting
from pregao_rl.policy import Policy
from pregao_rl.training import Knobs, train

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Judged:
    """What came of it.

    Attributes:
        report: as JSON, as `pregao.learning.assess.assess` has it, for `pregao.learning.gate.judge`.
        trading: the out-of-sample decisions, traded.
        policy: the one that is kept, learnt and chosen in the same way from all that may train.
    """

    report: dict[str, Any]
    trading: Result
    policy: Policy


class Learning:
    """One way of learning policies on one series.

    Args:
        bars: those that training may see.
        plan: the operation on them.
        seeds: policies of a fold; that which earns most on the newer part of what may train is taken.
        learn: how a policy is made; by default `pregao_rl.training.train`.
    """

    def __init__(
        self, bars: Bars, plan: Plan, params: Params, knobs: Knobs, seeds: int = 1, learn: Train | None = None
    ) -> None:
        self.bars, self.plan, self.params, self.seeds = bars, plan, params, seeds
        chosen = feature_set(params.features.set)
        self.learn: Train = learn or (lambda seen, rows, seed: train(seen, plan, chosen.name, knobs, seed, rows))
        self.rows = examples(bars, labelled(plan, params), chosen)
        self.warm = len(bars) - len(self.rows)

    def policies(self, fold: Fold) -> list[Policy]:
        """One of each seed, learnt from the older part of what the fold may train on, its chance from the newer."""
        found = []
        for seed in range(self.seeds):
            seen = self.bars[: self.warm + int(fold.fit[-1]) + 1]
            policy = self.learn(seen, self.warm + fold.fit, self.params.seed + seed)
            known = fold.stop[self.rows.known[fold.stop]]
            leaning = policy.leaning(policy.observe(self.rows.x[known], np.zeros((len(known), 2))))
            found.append(replace(policy, chance=fitted(leaning, self.rows.win[known])))
        return found

    def best(self, policies: Sequence[Policy], fold: Fold) -> int:
        """Which of them earns most on the newer part of what may train; the first of equals."""
        if len(policies) == 1:
            return 0
        newer = self.warm + fold.stop
        return int(np.argmax([np.prod(1 + returns_on(one, self.bars, self.plan, newer)) for one in policies]))

    def foretold(self, policy: Policy, number: int, fold: Fold) -> pd.DataFrame:
        """What a policy says of each bar of its test block beside what came of an entry there."""
        net = self.rows.net[fold.fit]
        win, loss = (float(part.mean()) if len(part) else 0.0 for part in (net[net > 0], net[net <= 0]))
        chance = policy.chances(self.rows.x[fold.test])
        return pd.DataFrame({
            "at_ns": self.rows.at_ns[fold.test], "fold": number, "probability": chance,
            "expected_value": expected_value(chance, win, loss), "net": self.rows.net[fold.test],
        })  # fmt: skip


def labelled(plan: Plan, params: Params) -> Plan:
    """The plan by which it is told whether an entry paid: where it has no exits, those of params.yaml."""
    if plan.take_profit_ppm and plan.stop_loss_ppm and plan.horizon_bars:
        return plan
    theirs = params.plan.plan(plan.instrument, plan.timeframe)
    return replace(
        plan, take_profit_ppm=theirs.take_profit_ppm, stop_loss_ppm=theirs.stop_loss_ppm,
        horizon_bars=theirs.horizon_bars,
    )  # fmt: skip


def assess(
    bars: Bars,
    plan: Plan,
    params: Params,
    knobs: Knobs,
    seeds: int = 1,
    *,
    learn: Train | None = None,
    attempts: Sequence[float | None] = (),
    combinations: bool = True,
    tell: Tell | None = None,
) -> Judged:
    """Walk forward, report on what was decided out of sample, and learn the policy that is kept.

    How each seed alone would have done is reported too, and all of them count as trials.

    Args:
        bars: those that training may see.
        learn: how a policy is made; by default `pregao_rl.training.train`.
        attempts: Sharpe ratios per bar of what was tried on this series before.
        combinations: False leaves the probability of overfitting out where the gate would refuse the policy without
            it: the verdict is the same, sooner.

    Raises:
        UsageError: if there is too little to learn from.
        PregaoError: if a library for training is missing.
    """
    say = tell or (lambda line: None)
    way = Learning(bars, plan, params, knobs, seeds, learn)
    rows, warm = way.rows, way.warm
    folds = walk_forward(rows.at_ns, rows.end_ns, params.folds)
    by_fold: list[list[Policy]] = []
    chosen: list[int] = []
    said: list[pd.DataFrame] = []
    told: list[dict[str, Any]] = []
    for number, fold in enumerate(folds, 1):
        say(f"fold {number} of {len(folds)}")
        by_fold.append(way.policies(fold))
        chosen.append(way.best(by_fold[-1], fold))
        said.append(way.foretold(by_fold[-1][chosen[-1]], number, fold))
        told.append(statistics(said[-1]))
    first = warm + int(folds[0].test[0])
    starts = [int(rows.at_ns[fold.test[0]]) for fold in folds]
    taken = [policies[number] for policies, number in zip(by_fold, chosen, strict=True)]
    document, trading = trading_report(
        bars[first:], plan, lambda asked: traded(taken, starts, bars, asked, first), params.seed, params.random_runs
    )
    alone = [
        _sharpe(traded([policies[seed] for policies in by_fold], starts, bars, plan, first)) for seed in range(seeds)
    ]
    trials = [document["significance"]["sharpe_per_bar"], *(alone if seeds > 1 else [])]
    document["significance"]["trials"] = trials
    document |= {
        "prediction": statistics(pd.concat(said, ignore_index=True)),
        "overfitting": None,
        "folds": [
            {"fold": i + 1, "start_ns": start, "seed": params.seed + chosen[i], "policy": taken[i].digest,
             **{key: told[i][key] for key in ("auc", "log_loss", "brier", "ic")}}
            for i, start in enumerate(starts)
        ],
    }  # fmt: skip
    document = finite(document)
    if combinations or judge(document, params.gate, None, attempts).failed == {"overfitting"}:
        found = overfitting(bars, plan, rows, params, seeds, way.learn, say)
        document["overfitting"] = finite(asdict(found))
    say("the policy that is kept")
    return Judged(document, trading, _kept(way, document))


def _kept(way: Learning, report: Mapping[str, Any]) -> Policy:
    fold = last_fold(way.rows.at_ns, way.rows.end_ns, way.params.folds)
    policies = way.policies(fold)
    number = way.best(policies, fold)
    # Seed and chance were chosen on the newest bars that training may see: it has seen them too.
    more = {
        "train_end_ns": int(way.bars.close_ns[-1]), "seeds": way.seeds, "trials": report["significance"]["trials"],
        "seed": way.params.seed + number,
    }  # fmt: skip
    return replace(policies[number], lineage={**policies[number].lineage, **more})


def beside_champion(bars: Bars, plan: Plan, one: Policy, champion: Policy, version: str, seed: int) -> Rivalry:
    """A new policy beside the champion of its series, on the bars that neither has seen.

    Args:
        bars: all there are, those held out of training too.
        version: of the champion.
    """
    if one.digest == champion.digest:
        return Rivalry(version, same=True)
    unseen_ns = max(int(one.lineage["train_end_ns"]), int(champion.lineage["train_end_ns"]))
    rows: Ints = np.arange(int(np.searchsorted(bars.close_ns, unseen_ns, side="right")), len(bars))
    if len(rows) < 3:
        return Rivalry(version, same=False, bars=len(rows))
    ours, theirs = (returns_on(policy, bars, plan, rows) for policy in (one, champion))
    block, per_year = max(plan.horizon_bars, 1), periods_per_year(bars[int(rows[0]) :])
    return Rivalry(
        version,
        same=False,
        bars=len(rows),
        start_ns=int(bars.open_ns[rows[0]]),
        sharpe=annual(float(sharpe(ours)), per_year),
        champion_sharpe=annual(float(sharpe(theirs)), per_year),
        p=better(ours, theirs, block, DRAWS, seed) if len(rows) >= LEAST_BLOCKS * block else None,
    )


def _sharpe(trading: Result) -> float | None:
    sample = Sample.of(np.diff(trading.money) / trading.money[:-1])
    return None if sample.flaw is not None else sample.sharpe
