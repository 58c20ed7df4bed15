"""The meta-model vetoes where there is something to know, not where there is nothing, and is off with few trades."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pregao.core.errors import UsageError
from pregao.learning.meta import LEAST_TRADES, apart, judge, luck, signals_of
from pregao.learning.params import Params

BAR = 900 * 10**9


def outcomes(count: int, seed: int, edge: float, apart_bars: int = 2) -> pd.DataFrame:
    """Signals ``apart_bars`` bars apart, each open for four; ``edge`` is how surely the feature ``calm`` decides."""
    rng = np.random.default_rng(seed)
    at_ns = np.arange(count) * apart_bars * BAR
    # What is seen lasts for a while, as markets do.
    calm = np.sin(np.arange(count) / 15 + seed) + rng.normal(0, 0.3, count)
    wins = rng.random(count) < 0.4 + edge * np.where(calm > 0, 1, -1)
    return pd.DataFrame({
        "at_ns": at_ns, "end_ns": at_ns + 4 * BAR, "net": np.where(wins, 0.0176, -0.0124),
        "probability": rng.uniform(0.5, 0.6, count), "expected_value": 0.004, "threshold": 0.001, "unseen": True,
        "reproduced": True, "f:calm": calm, "f:other": rng.normal(size=count),
    })  # fmt: skip


def test_it_vetoes_where_what_was_seen_tells_the_end(params: Params) -> None:
    found = judge(outcomes(1_500, 1, edge=0.3), params.folds, params.model, 7)
    assert found.helps
    assert found.net_kept is not None
    assert found.net_kept > found.net_all + 0.004
    assert 0.2 < found.kept < 0.8
    assert found.signals == 900  # all but the first training part, each once


def test_where_there_is_nothing_to_know_it_helps_no_more_than_chance_allows(params: Params) -> None:
    helped = [judge(outcomes(1_000, seed, edge=0.0), params.folds, params.model, seed).helps for seed in range(10)]
    assert sum(helped) <= 2


def test_luck_counts_the_shifts_of_the_vetoes_that_do_as_well() -> None:
    rng = np.random.default_rng(3)
    net, keep = rng.normal(size=301), rng.random(301) < 0.4
    shifted = [net[np.roll(keep, shift)].sum() for shift in range(301)]
    assert luck(net, keep) == sum(one >= shifted[0] - 1e-9 for one in shifted) / 301
    assert luck(net, net > 0.2) == 1 / 301
    assert luck(net, np.ones(301, bool)) == luck(net, np.zeros(301, bool)) == 1.0


def test_it_is_off_under_three_hundred_trades_that_do_not_overlap(params: Params) -> None:
    few = outcomes(500, 1, edge=0.3)
    assert apart(few["at_ns"].to_numpy(), few["end_ns"].to_numpy()) == 250
    with pytest.raises(UsageError, match=f"250 signals that do not overlap; .* under {LEAST_TRADES}"):
        judge(few, params.folds, params.model, 7)
    with pytest.raises(UsageError, match="0 signals"):
        judge(pd.DataFrame(), params.folds, params.model, 7)


def test_only_signals_that_can_be_trusted_teach() -> None:
    frame = outcomes(10, 1, edge=0.0)
    frame.loc[0, "expected_value"] = 0.0
    frame.loc[1, "unseen"] = False
    frame.loc[2, "reproduced"] = False
    frame.loc[3, "net"] = np.nan
    assert list(signals_of(frame)["at_ns"]) == list(frame["at_ns"][4:])
