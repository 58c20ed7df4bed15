"""How much each member counts: by the chance that its record is more than the luck of having looked at several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.simulation.significance import Flaw, Sample, Trials, deflated_sharpe

_SUREST = 1 - 2.0**-53
"""The largest float below 1, whose quantile is finite."""


class Standing(NamedTuple):
    """What a member's record is worth.

    Attributes:
        chance: its deflated Sharpe ratio, the chance that its true Sharpe ratio is above what the best of so many
            worthless members would show by luck; NaN where there is none.
        weight: its part of the vote, in [0, 1].
        why_not: why it has no weight; empty if it has.
    """

    chance: float
    weight: float
    why_not: str = ""


def weigh(records: Sequence[NDArray[np.float64]], window: int, confidence: float) -> list[Standing]:
    """The weights of members: 0 for all that do not reach the confidence, the others adding up to 1.

    A member that passes counts by ``Z(chance) / sum of Z(chance)`` with ``Z`` the normal quantile: by how many standard
    errors its Sharpe ratio lies above luck. The number of trials is that of all members, also of those that never
    traded. How far the Sharpe ratios of worthless members spread is taken from theory, a variance of
    ``1 / (window - 1)``, and not from the members: a few that differ, or one that loses much, would say little of luck.
    See `pregao.simulation.significance.deflated_sharpe` for the formula and its source.

    Args:
        records: net returns per bar of each member, the newest last; at most ``window`` of each are looked at.
        window: bars that a record must have before it is judged.
        confidence: least chance, at least 0.5.
    """
    whole = [record[-window:] if len(record) >= window else None for record in records]
    samples = [Sample.of(record) if record is not None else None for record in whole]
    trials = Trials(len(records), 1 / (window - 1))
    chances = [math.nan if sample is None else deflated_sharpe(sample, trials).value for sample in samples]
    strength = [
        NormalDist().inv_cdf(min(chance, _SUREST)) if chance >= confidence and chance > 0.5 else 0.0
        for chance in chances
    ]
    total = sum(strength)
    return [
        Standing(chance, part / total if part else 0.0, "" if part else _why(len(record), window, sample, chance))
        for record, sample, chance, part in zip(records, samples, chances, strength, strict=True)
    ]


def _why(bars: int, window: int, sample: Sample | None, chance: float) -> str:
    if sample is None:
        return f"{bars} of {window} bars seen"
    if sample.flaw is Flaw.NO_VARIANCE:
        return "never traded"
    return "no chance to tell" if math.isnan(chance) else f"{chance:.0%} sure"
