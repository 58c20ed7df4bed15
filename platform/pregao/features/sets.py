"""Named feature sets: what a model or a strategy asks for, and what a session must be able to make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import unknown
from pregao.features import alpha158, core25
from pregao.features.family import Family
from pregao.features.stream import FeatureStream, Hours

__all__ = ["FEATURE_SETS", "FeatureSet", "FeatureStream", "feature_set"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """A set of features: one family, or several one after the other.

    Attributes:
        name: what a model or a strategy asks for.
        families: their features make the vector, in this order; no two share a feature's name.
    """

    name: str
    families: tuple[Family, ...]

    @cached_property
    def formulas(self) -> dict[str, str]:
        """Feature name -> formula, in the order of the vector."""
        return {name: formula for family in self.families for name, formula in family.formulas.items()}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of the vector, shape ``(k,)``."""
        return tuple(self.formulas)

    @cached_property
    def warmup(self) -> int:
        """Bars until no feature is missing for want of history; from then on no older bar has a part in them."""
        return max(family.warmup for family in self.families)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """What it needs beside the instrument's bars, see `pregao.features.family.INPUTS`."""
        return tuple(dict.fromkeys(name for family in self.families for name in family.inputs))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the definition: name, versions, warm-up and formulas in their order. Stored with each model."""
        versions = [[family.name, family.version] for family in self.families]
        version = self.families[0].version if len(versions) == 1 else versions
        definition = [self.name, version, self.warmup, list(self.formulas.items())]
        return hashlib.sha256(json.dumps(definition).encode()).hexdigest()

    def batch(self, bars: Bars, others: Mapping[str, Bars] | None = None, hours: Hours | None = None) -> Floats:
        """The features of every bar, shape ``(n, k)``; row ``i`` uses bars up to ``i`` only, NaN where missing.

        Args:
            others: the other instruments' bars, by input; of those, row ``i`` uses what has closed with bar ``i``.
            hours: when the instrument trades, for sets that ask for it.
        """
        return self.stream(bars.timeframe.seconds, hours).extend(bars, others)

    def stream(self, bar_seconds: int, hours: Hours | None = None) -> FeatureStream:
        """A stream at its beginning, for bars of this length. Errors as of `FeatureStream`."""
        return FeatureStream(self, bar_seconds, hours)


FEATURE_SETS = {
    features.name: features
    for features in (
        FeatureSet("core25", (core25.FAMILY,)),
        FeatureSet("alpha158", (alpha158.FAMILY,)),
    )
}
"""The sets that come with Pregão, by name. `core25` is the default."""


def feature_set(name: str) -> FeatureSet:
    """The set of this name. Raises `NotFoundError` listing the known ones."""
    if name not in FEATURE_SETS:
        raise unknown("feature set", name, list(FEATURE_SETS))
    return FEATURE_SETS[name]
