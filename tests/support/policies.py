"""Policies that cost nothing to make, and a market that one of them earns in."""

from __future__ import annotations

import numpy as np

from pregao.core.bars import Bars
from pregao.features.conformance import market
from pregao.features.sets import feature_set
from pregao_rl.policy import Policy

SET = feature_set("core25")
WIDTH = len(SET.names)


def of_bias(leaning: list[float]) -> Policy:
    """A policy that leans the same way whatever it sees."""
    return Policy(
        SET.name, SET.hash, np.zeros(WIDTH), np.ones(WIDTH),
        ((np.zeros((len(leaning), WIDTH + 2)), np.array(leaning)),), lineage={"instrument": "x", "timeframe": "1h"},
    )  # fmt: skip


def drawn(seed: int) -> Policy:
    """A policy of drawn weights: it trades often, and nobody trained it."""
    rng = np.random.default_rng(seed)
    layers = tuple((rng.normal(0, 0.6, (out, wide)), rng.normal(0, 0.1, out)) for wide, out in ((WIDTH + 2, 8), (8, 2)))
    return Policy(SET.name, SET.hash, np.zeros(WIDTH), np.full(WIDTH, 0.02), layers, lineage={})


def follower() -> Policy:
    """Wants to be long while the last four bars rose, out while they fell."""
    weight = np.zeros((2, WIDTH + 2))
    weight[1, SET.names.index("return_4")] = 1.0
    scale = np.ones(WIDTH)
    scale[SET.names.index("return_4")] = 0.002
    return Policy(SET.name, SET.hash, np.zeros(WIDTH), scale, ((weight, np.zeros(2)),), lineage={})


def waves(n: int = 4_000) -> Bars:
    """A market whose next bars follow from its last: it rises for twenty bars and falls for twenty."""
    bars, rng = market(n), np.random.default_rng(3)
    steps = np.where(np.arange(n) // 20 % 2 == 0, 100, -100) + rng.integers(-40, 41, n)
    close = 30_000 + np.cumsum(steps)
    opened = np.r_[close[:1], close[:-1]]
    return Bars(
        bars.instrument, bars.timeframe, bars.open_ns, opened, np.maximum(opened, close) + 5,
        np.minimum(opened, close) - 5, close, bars.volume,
    )  # fmt: skip
