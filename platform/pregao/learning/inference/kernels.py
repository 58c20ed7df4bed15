"""The compiled part: the raw value of a row, the chance that it stands for, and its SHAP values.

An oblivious tree asks the same question on all nodes of a level, so a row's answers to the ``d`` questions, as bits,
are the number of its leaf. All trees lie one after the other in flat arrays:

- ``column``, ``border``: the questions, ``x[column] > border``, in float32; question ``j`` of a tree is bit ``j``;
- ``first``: where a tree's questions begin, shape ``(trees + 1,)``;
- ``leaf``: where its leaves begin, shape ``(trees + 1,)``; ``values`` and ``weights`` of the leaves are float64;
- ``high``: by column of ``x``, whether a missing value counts as above every border (else below).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pregao.core.compiled import compiled

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.int32]
Flags = NDArray[np.bool_]


@compiled
def narrow(x: Floats, high: Flags, out: Singles) -> None:
    """A row of float64 as CatBoost sees it: float32, a missing value above or below every border."""
    for i in range(len(x)):
        value = np.float32(x[i])
        # Compared with any border NaN is not above it: below needs no substitute.
        out[i] = np.float32(math.inf) if math.isnan(value) and high[i] else value


@compiled
def leaf_of(x: Singles, column: Indices, border: Singles, begin: int, end: int) -> int:
    """The number of a row's leaf in the tree whose questions are ``begin`` to ``end``."""
    at = 0
    for j in range(begin, end):
        if x[column[j]] > border[j]:
            at |= 1 << (j - begin)
    return at


@compiled
def raw(
    x: Floats, high: Flags, column: Indices, border: Singles, first: Indices, leaf: Indices, values: Floats,
    scale: float, bias: float,
) -> float:  # fmt: skip
    """The raw value of one row, shape ``(k,)``: ``scale`` times the sum of its leaves, plus ``bias``.

    The leaves are added in float64 in the order of the trees, as CatBoost adds them, so the result has its bits.
    """
    seen = np.empty(len(x), np.float32)
    narrow(x, high, seen)
    total = 0.0
    for tree in range(len(leaf) - 1):
        total += values[leaf[tree] + leaf_of(seen, column, border, first[tree], first[tree + 1])]
    return scale * total + bias


@compiled
def raw_batch(
    x: Floats, high: Flags, column: Indices, border: Singles, first: Indices, leaf: Indices, values: Floats,
    scale: float, bias: float, out: Floats,
) -> None:  # fmt: skip
    """`raw` of each row of ``x``, shape ``(n, k)``."""
    for i in range(len(x)):
        out[i] = raw(x[i], high, column, border, first, leaf, values, scale, bias)


@compiled
def chance(value: float) -> float:
    """``1 / (1 + exp(-value))``, never overflowing."""
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(value)
    return grown / (1.0 + grown)


@compiled
def chances(value: Floats, out: Floats) -> None:
    """`chance` of each value, shape ``(n,)``."""
    for i in range(len(value)):
        out[i] = chance(value[i])


@compiled
def shapley(
    x: Floats, high: Flags, column: Indices, border: Singles, first: Indices, leaf: Indices, values: Floats,
    weights: Floats, scale: float, out: Floats,
) -> None:  # fmt: skip
    """Add the SHAP values of one row to ``out``, shape ``(k,)``; exact, path-dependent, as CatBoost's are.

    For each tree: the value of a coalition is the mean of the leaves that agree with the row on the coalition's
    columns, each node's children weighted by the training rows that they held; a child that held none counts
    nothing. The values of all ``2**m`` coalitions of a tree's ``m`` columns come of folding the leaves level by
    level, once with the level's column known and once without: ``d 2**d`` steps a tree, no sum over paths. Then
    Shapley's formula: a column gets the mean of what it adds to the coalitions without it, a coalition of size
    ``s`` weighing ``s! (m - 1 - s)! / m!``.
    """
    seen = np.empty(len(x), np.float32)
    narrow(x, high, seen)
    for tree in range(len(leaf) - 1):
        begin, depth = first[tree], first[tree + 1] - first[tree]
        at = leaf_of(seen, column, border, begin, begin + depth)
        size = 1 << depth
        now, then = np.empty(size), np.empty(size)
        weight = np.empty(size)
        now[:] = values[leaf[tree] : leaf[tree] + size]
        weight[:] = weights[leaf[tree] : leaf[tree] + size]
        players = np.empty(depth, np.int64)
        count, coalitions, nodes = 0, 1, size
        for level in range(depth):
            nodes >>= 1
            asked = column[begin + level]
            player = 0
            while player < count and players[player] != asked:
                player += 1
            fresh = player == count
            if fresh:
                players[count] = asked
                count += 1
            side = (at >> level) & 1
            for who in range(coalitions):
                knows = not fresh and (who >> player) & 1 == 1
                for node in range(nodes):
                    left, right = 2 * node, 2 * node + 1
                    base = who * 2 * nodes
                    held = weight[left] + weight[right]
                    known = now[base + left + side] if weight[left + side] > 0.0 else 0.0
                    if knows:
                        then[who * nodes + node] = known
                        continue
                    mixed = 0.0
                    if held > 0.0:
                        mixed = (now[base + left] * weight[left] + now[base + right] * weight[right]) / held
                    then[who * nodes + node] = mixed
                    if fresh:
                        then[(who + coalitions) * nodes + node] = known
            for node in range(nodes):
                weight[node] = weight[2 * node] + weight[2 * node + 1]
            if fresh:
                coalitions *= 2
            now, then = then, now
        _share(now, players, count, scale, out)


@compiled
def _share(worth: Floats, players: NDArray[np.int64], count: int, scale: float, out: Floats) -> None:
    """Shapley's formula over the worth of every coalition, whose bits say who is in it."""
    share = np.empty(max(count, 1))
    share[0] = 1.0 / max(count, 1)
    for size in range(1, count):
        share[size] = share[size - 1] * size / (count - size)
    for player in range(count):
        bit = 1 << player
        total = 0.0
        for who in range(1 << count):
            if who & bit:
                continue
            size = 0
            for other in range(count):
                size += (who >> other) & 1
            total += share[size] * (worth[who | bit] - worth[who])
        out[players[player]] += scale * total
