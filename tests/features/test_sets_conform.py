"""Every feature set of ours keeps the contract: a new set, or a new feature in one, needs no test of its own."""

from __future__ import annotations

from pregao.features.conformance import FeatureConformance
from pregao.features.sets import FEATURE_SETS

for _name in FEATURE_SETS:
    globals()[f"Test_{_name.replace('-', '_')}"] = type(f"Test_{_name}", (FeatureConformance,), {"features": _name})
del FeatureConformance
