"""A small market for session tests, and the spec of a session of the test strategy ``probe`` on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions.control import spec_of
from pregao.sessions.spec import SessionSpec

INSTRUMENT = Instrument(
    symbol="TEST/USDT", source="synthetic", venue="bench", asset_class="crypto", base="TEST", quote="USDT",
    tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"), min_notional=Decimal(10), allow_short=True, synthetic=True,
)  # fmt: skip
MINUTE = Timeframe.parse("1m")
START_NS = 1_700_000_040_000_000_000


def of_grid(name: str, tick: str, lot: str, quote: str = "USDT") -> Instrument:
    """An instrument like that of the market, with a grid of its own."""
    asked = {"symbol": f"{name}/{quote}", "base": name, "quote": quote, "tick_size": tick, "lot_size": lot}
    return Instrument.model_validate(INSTRUMENT.to_json() | asked)


FINE, COARSE = of_grid("FINE", "0.01", "0.00000001"), of_grid("COARSE", "0.5", "0.01")


def random_walk(n: int, seed: int = 1) -> Bars:
    """A market that moves enough to reach exits of one or two per cent within some dozen bars."""
    rng = np.random.default_rng(seed)
    close = np.maximum(100_000 * np.exp(np.cumsum(rng.normal(0, 0.004, n))), 1_000).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]] + rng.integers(-20, 21, n)
    high = np.maximum(opened, close) + rng.integers(0, 300, n)
    low = np.minimum(opened, close) - rng.integers(0, 300, n)
    times = START_NS + np.arange(n, dtype=np.int64) * MINUTE.ns
    return Bars(INSTRUMENT, MINUTE, times, opened, high, low, close, rng.random(n).round(3) * 10)


def like(instrument: Instrument, seed: int, holes: slice, n: int = 300) -> Bars:
    """A market of an instrument, some of whose bars are missing."""
    b = random_walk(n, seed)
    kept = np.ones(n, bool)
    kept[holes] = False
    columns = (c[kept] for c in (b.open_ns, b.open, b.high, b.low, b.close, b.volume))
    return Bars(instrument, b.timeframe, *columns)  # type: ignore[arg-type]


def a_spec(**changes: Any) -> SessionSpec:
    values: dict[str, Any] = {
        "instrument": INSTRUMENT.key, "timeframe": "1m", "strategy": "probe", "feed": {"speed": 0}, "seed": 7,
        "isolated": False,
    }  # fmt: skip
    return spec_of(values | changes)
