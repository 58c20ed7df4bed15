"""Skew: whether a model says again, on given bars, what it said live.

The features go through the same compiled step as live, from the same first bar, so the same bars give the same chance
to the last bit. A difference means that the bars, the features or the model are not those that were traded on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.features.sets import feature_set
from pregao.learning.labels import vectors
from pregao.learning.model import LoadedModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Skew:
    """How decisions compare with what is computed again.

    Attributes:
        compared: decisions whose bar is there.
        missing: decisions whose bar is not.
        differing: of those compared, how many have another chance, by a single bit.
        worst: the largest difference of a chance; 0 if nothing was compared.
        worst_ns: the decision that it belongs to; 0 without a difference.
        bars: bars of the session that are not the same; ``absent`` are not there at all.
    """

    compared: int
    missing: int
    differing: int
    worst: float
    worst_ns: int
    bars: int
    absent: int

    @property
    def skewed(self) -> bool:
        """Whether anything is not as it was. What was not ingested (yet) is no difference."""
        return bool(self.differing or self.bars)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self) | {"skewed": self.skewed}


def joined(*parts: Bars | None) -> Bars | None:
    """Bars one after the other; of parts that overlap in time the earlier one counts. None if there are none."""
    found: list[Bars] = []
    for part in parts:
        if part is not None and len(part):
            rest = part if not found else part.between(int(found[-1].open_ns[-1]) + 1, None)
            found += [rest] if len(rest) else []
    if not found:
        return None
    columns = (np.concatenate([getattr(p, name) for p in found]) for name in _COLUMNS)
    return Bars(found[0].instrument, found[0].timeframe, *columns)


_COLUMNS = ("open_ns", "open", "high", "low", "close", "volume")


def features_at(name: str, bars: Bars, at_ns: Ints, others: Mapping[str, Bars] | None = None) -> Floats:
    """The features of a set at these moments (closes of bars), shape ``(n, k)``; NaN where there is no such bar.

    Args:
        bars: from the first bar that the session was warmed up on.
        others: bars of the other instruments that the set looks at.
    """
    features = feature_set(name)
    every = vectors(bars, features, others)
    closes = bars.close_ns
    place = np.minimum(np.searchsorted(closes, at_ns), len(closes) - 1)
    found: Floats = np.where((closes[place] == at_ns)[:, None], every[place], np.nan)
    return found


def compare(
    model: LoadedModel,
    bars: Bars | None,
    lived: Bars,
    at_ns: Ints,
    probability: Floats,
    others: Mapping[str, Bars] | None = None,
) -> Skew:
    """Hold the chances that were logged against those of the same model on these bars.

    Args:
        bars: as they are stored now, from the first on which the session was warmed up; None if there are none.
        lived: the bars as the session saw them.
        at_ns, probability: of the decisions, shape ``(n,)``.
        others: bars of the other instruments that the model's features look at, as they are stored now.
    """
    if bars is None:
        return Skew(0, len(at_ns), 0, 0.0, 0, 0, len(lived))
    there = np.isin(at_ns, bars.close_ns)
    seen = features_at(model.meta["feature_set"], bars, at_ns[there], others) if there.any() else None
    again = model.probabilities(seen) if seen is not None else np.empty(0)
    off = np.abs(again - probability[there])
    both, mine, theirs = np.intersect1d(lived.open_ns, bars.open_ns, return_indices=True)
    other = np.zeros(len(both), bool)
    for name in _COLUMNS[1:]:
        other |= getattr(lived, name)[mine] != getattr(bars, name)[theirs]
    worst = int(np.argmax(off)) if len(off) else 0
    return Skew(
        compared=int(there.sum()),
        missing=int((~there).sum()),
        differing=int((off != 0).sum()),
        worst=float(off[worst]) if len(off) else 0.0,
        worst_ns=int(at_ns[there][worst]) if len(off) and off[worst] else 0,
        bars=int(other.sum()),
        absent=len(lived) - len(both),
    )
