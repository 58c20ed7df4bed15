"""Markets and a project folder that the tests of learning share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pregao.core.bars import Bars
from pregao.core.timeframe import Timeframe
from pregao.learning.params import Params, read_params
from pregao.market.sources import Request
from pregao.market.sources.synthetic import Synthetic, SyntheticOptions

ROOT = Path(__file__).parents[2]


@cache
def synthetic(symbol: str = "EDGE/USDT", bars: int = 6_000, seed: int = 7, edge: float = 2.0) -> Bars:
    """A synthetic market of 15-minute bars; its edge is twice the demo's, so that fewer bars do."""
    options = SyntheticOptions(seed=seed, bars=bars, edge=edge)
    request = Request((symbol,), Timeframe.parse("15m"), None, None, options)
    series = next(iter(Synthetic().fetch(request)))
    return Bars.from_frame(series.frame, series.instrument, series.timeframe)


@pytest.fixture(scope="session")
def market() -> Callable[..., Bars]:
    return synthetic


@pytest.fixture(scope="session")
def params() -> Params:
    """The project's own knobs, with fewer trees and fewer draws of luck."""
    return read_params(
        ROOT / "params.yaml", {"model": {"iterations": 60, "learning_rate": 0.1}, "gate": {"min_trades": 20}}
    )
