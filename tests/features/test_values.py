"""The value of every feature of every set is what its formula says, evaluated by pandas (tests/support/expressions.py).

A new feature is covered by its formula; one in words that nobody knows fails here. `core25`, whose formulas are in
another notation, has its pandas in test_core25.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from expressions import evaluate, table

from pregao.features.conformance import made, market
from pregao.features.family import Family
from pregao.features.sets import FEATURE_SETS, FeatureSet

FAMILIES = {
    family.name: family for features in FEATURE_SETS.values() for family in features.families if family.name != "core25"
}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_equals_its_formula(family: Family, seed: int) -> None:
    bars = market(2 * family.warmup + 300, seed)
    columns = table(bars)
    got = made(FeatureSet(family.name, (family,)), bars)
    wrong = []
    for j, (name, formula) in enumerate(family.formulas.items()):
        want = np.asarray(evaluate(formula, columns), dtype=float)
        try:
            np.testing.assert_allclose(got[:, j], want, rtol=1e-8, atol=1e-10, equal_nan=True)
        except AssertionError as error:
            wrong.append(f"{name} = {formula}: {error}")
    assert not wrong, f"{len(wrong)} of {len(family.formulas)} differ, the first: {wrong[0]}"
