"""Which setting did best, and whether that may be luck: the more were tried, the better the best looks by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pregao.core.errors import UsageError
from pregao.simulation.report import periods_per_year
from pregao.simulation.significance import (
    Estimate,
    Sample,
    Trials,
    deflated_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
)
from pregao.strategies.sweeping.runs import Row, Sweep

BY = {"sharpe": 1, "net_return": 1, "max_drawdown": -1, "hit_rate": 1}
"""What to rank by, and whether more (1) or less (-1) is better."""
_SURE = 0.95


def ranked(rows: Sequence[Row], by: str) -> list[Row]:
    """The rows, best first; those without the figure last, equal ones in the order of their runs."""
    sign = BY[by]

    def key(row: Row) -> tuple[bool, float, int]:
        value = float(getattr(row[1], by))
        return math.isnan(value), 0.0 if math.isnan(value) else -sign * value, row[0]

    return sorted(rows, key=key)


class Verdict(NamedTuple):
    """The winner, and what its Sharpe ratio is worth. Sharpe ratios are annualised.

    Attributes:
        run: the winner's number.
        trials: runs that were made.
        spread: standard deviation of their Sharpe ratios; NaN if fewer than two have one.
        by_luck: the best Sharpe ratio to expect of so many worthless settings; NaN without a spread.
        probabilistic: the chance that the winner's true Sharpe ratio is above 0, had it been the only one tried.
        deflated: the deflated Sharpe ratio: the chance that it is above ``by_luck``.
        sentence: the same in words.
    """

    run: int
    trials: int
    spread: float
    by_luck: float
    probabilistic: Estimate
    deflated: Estimate
    sentence: str


def judge(sweep: Sweep, rows: Sequence[Row], by: str) -> Verdict:
    """The winner by one of `BY`, run once more, and its deflated Sharpe ratio among all runs.

    All runs count as independent of one another. Similar settings are not, so the true chance of luck is a bit smaller
    than it is told here.

    Raises:
        UsageError: if there are no rows.
    """
    if not rows:
        raise UsageError("No run was made, so there is none to judge.")
    run, figures = ranked(rows, by)[0]
    result = sweep.single(run)
    equity = result.equity.astype(np.float64) * float(result.plan.instrument.quantum)
    before = equity[:-1]
    sample = Sample.of(np.diff(equity) / np.where(before > 0, before, np.nan))
    trials = Trials.of([f.bar_sharpe for _, f in rows])
    year = math.sqrt(periods_per_year(result.bars))
    luck = expected_maximum_sharpe(trials) * year
    deflated = deflated_sharpe(sample, trials)
    return Verdict(
        run, len(rows), math.sqrt(trials.variance) * year, luck, probabilistic_sharpe(sample), deflated,
        _sentence(len(rows), luck, figures.sharpe, deflated),
    )  # fmt: skip


def _sentence(trials: int, luck: float, sharpe: float, deflated: Estimate) -> str:
    if deflated.flaw is not None:
        return f"Whether this is luck cannot be told: {deflated.flaw}."
    if sharpe <= 0:
        return f"Even the best of {trials:,} has a Sharpe ratio of {sharpe:.2f}: there is no gain to explain by luck."
    if trials == 1:
        chance = f"the chance that its true Sharpe ratio is above 0 is {deflated.value:.1%}"
        return f"It was the only one tried; {chance}."
    told = (
        f"The best of {trials:,} worthless settings would be expected to show a Sharpe ratio of {luck:.2f}; this one "
        f"shows {sharpe:.2f}, and the chance that it is truly better than luck is {deflated.value:.1%}."
    )
    if deflated.value >= _SURE:
        return f"Probably not luck. {told}"
    return f"This may well be luck. {told}"
