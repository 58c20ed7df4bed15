"""The value of every feature of every set is what its formula says, evaluated by pandas (tests/support/expressions.py).

A new feature is covered by its formula; one in words that nobody knows fails here. `core25`, whose formulas are in
another notation, has its pandas in test_core25.py.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from expressions import evaluate, table

from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.features.conformance import made, market
from pregao.features.family import Family
from pregao.features.sets import FEATURE_SETS, FeatureSet

SHARED = Path(__file__).parents[3] / "shared"
FAMILIES = {
    family.name: family for features in FEATURE_SETS.values() for family in features.families if family.name != "core25"
}


def check(family: Family, bars: Bars) -> None:
    """Raise `AssertionError` naming the features that are not what their formulas say."""
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


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_equals_its_formula(family: Family, seed: int) -> None:
    check(family, market(2 * family.warmup + 300, seed))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_equals_its_formula_on_bitcoins_minutes(family: Family) -> None:
    path = SHARED / "data" / "crypto" / "BTC-PERP_1m_2022-01.parquet"
    if not path.exists():
        pytest.skip(f"real market data is not here: {path}")
    frame = pd.read_parquet(path).iloc[-3_000:].reset_index(drop=True)
    instrument = market(10).instrument.model_copy(update={"tick_size": Decimal(1)})
    check(family, Bars.from_frame(frame, instrument, Timeframe.parse("1m")))
