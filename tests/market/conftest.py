"""What the tests of the market data share: bars, instruments, and an ingest of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe

START = 1_700_000_100_000_000_000 // 900_000_000_000 * 900_000_000_000


def an_instrument(symbol: str = "BTC/USDT", tick: str = "0.01", **rules: object) -> Instrument:
    given = {
        "source": "files",
        "venue": "local",
        "asset_class": "crypto",
        "base": symbol.partition("/")[0],
        "quote": "USDT",
        "lot_size": Decimal("0.00001"),
    }
    return Instrument.model_validate({"symbol": symbol, "tick_size": Decimal(tick), **given, **rules})


def some_bars(
    n: int,
    *,
    first: int = 0,
    seed: int = 0,
    timeframe: str = "15m",
    instrument: Instrument | None = None,
    start_ns: int = START,
) -> Bars:
    """Valid random bars, numbered from ``first`` after ``start_ns``."""
    rng = np.random.default_rng(seed)
    length = Timeframe.parse(timeframe)
    close = 1_000_000 + np.cumsum(rng.integers(-500, 501, n))
    open_ = np.r_[1_000_000, close[:-1]][:n]
    return Bars(
        instrument or an_instrument(),
        length,
        start_ns + (first + np.arange(n, dtype=np.int64)) * length.ns,
        open_,
        np.maximum(open_, close) + rng.integers(0, 100, n),
        np.minimum(open_, close) - rng.integers(0, 100, n),
        close,
        np.round(rng.random(n) * 10, 3),
    )


def same(a: Bars, b: Bars) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("open_ns", "open", "high", "low", "close", "volume")
    )


@pytest.fixture(scope="session")
def make_bars() -> Callable[..., Bars]:
    return some_bars


@pytest.fixture(scope="session")
def make_instrument() -> Callable[..., Instrument]:
    return an_instrument


@pytest.fixture(scope="session")
def equal() -> Callable[[Bars, Bars], bool]:
    return same
