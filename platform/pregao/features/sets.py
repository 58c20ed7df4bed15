"""Named feature sets: what a model or a strategy asks for, and what a session must be able to make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError, UsageError, unknown
from pregao.features import alpha158, clocks, core25, factor, recursive, rolling
from pregao.features.family import INPUTS, Family
from pregao.features.higher import higher
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

    def __post_init__(self) -> None:
        names = [name for family in self.families for name in family.formulas]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UsageError(f"The feature set {self.name!r} has the feature {twice[0]!r} twice.")
        unmade = [name for family in self.families for name in family.inputs if name not in INPUTS]
        if unmade:
            raise unknown("input of features", unmade[0], list(INPUTS))

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
    def others(self) -> tuple[str, ...]:
        """Which of its `inputs` are other instruments."""
        return tuple(name for name in self.inputs if name != "hours")

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

        Raises:
            UsageError: if the set looks at an instrument that is not given, or as of `FeatureStream`.
        """
        for name in self.others:
            if name not in (others or {}):
                raise UsageError(
                    f"The feature set {self.name!r} looks at the bars of another instrument, its {name}, which are not "
                    "given.",
                    "Choose another set, or give them by the Python API, see docs/reference/features.md.",
                )
        return self.stream(bars.timeframe.seconds, hours).extend(bars, others)

    def stream(self, bar_seconds: int, hours: Hours | None = None) -> FeatureStream:
        """A stream at its beginning, for bars of this length. Errors as of `FeatureStream`."""
        return FeatureStream(self, bar_seconds, hours)


_INDICATORS = (recursive.FAMILY, rolling.FAMILY, clocks.DAY)
_FULL = (alpha158.FAMILY, *_INDICATORS, clocks.SESSION, higher(4), higher(16))
FEATURE_SETS = {
    features.name: features
    for features in (
        FeatureSet("core25", (core25.FAMILY,)),
        FeatureSet("alpha158", (alpha158.FAMILY,)),
        FeatureSet("classic", _INDICATORS),
        FeatureSet("full", _FULL),
        FeatureSet("full-market", (*_FULL, factor.FAMILY)),
    )
}
"""The sets that come with Pregão, by name. `core25` is the default; ``full-market`` looks at another instrument too."""


GROUP = "pregao.features"
"""The entry points by which other distributions bring sets: the name of a set, and where the `FeatureSet` lies."""


def feature_set_names() -> list[str]:
    """The names of all sets, those of other distributions included, without importing them."""
    return [*FEATURE_SETS, *sorted({entry.name for entry in entry_points(group=GROUP)} - FEATURE_SETS.keys())]


def feature_set(name: str) -> FeatureSet:
    """The set of this name.

    Raises:
        NotFoundError: if there is none; lists the known ones.
        PregaoError: if it comes from another distribution and cannot be loaded, or is no set of that name.
    """
    if name in FEATURE_SETS:
        return FEATURE_SETS[name]
    for entry in entry_points(group=GROUP, name=name):
        try:
            found = entry.load()
        except Exception as error:  # the code is not ours: whatever it raises is the reason that the person needs
            raise PregaoError(f"The feature set {name!r} cannot be loaded: {type(error).__name__}: {error}.") from error
        if not isinstance(found, FeatureSet) or found.name != name:
            raise PregaoError(
                f"The feature set {name!r} cannot be loaded: {entry.value} is no FeatureSet of that name.",
                "See docs/reference/features.md.",
            )
        return found
    raise unknown("feature set", name, feature_set_names())
