"""Markets of which it is known whether there is anything to learn.

- ``garch``: a random walk, a martingale, with GARCH(1, 1) volatility, jumps, a season over the day and fat volumes.
  Reaction and persistence are drawn anew for each market from what is estimated on daily and hourly returns of stocks
  and currencies: alpha from 0.03 to 0.12, alpha + beta from 0.95 to 0.995.
- ``shuffled``: real bars in another order. Blocks of `BLOCK` bars are permuted, none is used twice, and the mean return
  is taken away; what remains is real: sizes, fat tails, gaps, the shape of bars, volumes, and what lasts no longer than
  a block. Nothing beyond a block's end can be told from what went before.
- ``edge1``, ``edge2``: the random walk of ``garch`` with a planted edge, of net Sharpe ratio 1 and 2: see
  `pregao.learning.calibration.oracle`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import COLUMNS, Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.learning.params import PlanParams
from pregao.market.sources.synthetic import BAR_SIGMA, Nature, course
from pregao.simulation.plan import Plan

BLOCK = 24
ALPHAS, PERSISTENCES = (0.03, 0.12), (0.95, 0.995)
_QUARTER_S = 900


class Kind(StrEnum):
    """Kinds of markets."""

    GARCH = "garch"
    SHUFFLED = "shuffled"
    EDGE1 = "edge1"
    EDGE2 = "edge2"

    @property
    def sharpe(self) -> float:
        """Net Sharpe ratio of the planted edge; 0 is a null market."""
        return {"edge1": 1.0, "edge2": 2.0}.get(self.value, 0.0)


@dataclass(frozen=True, eq=False)
class Market:
    """Bars, the operation on them, and what an oracle knows at the close of each bar (None where there is nothing)."""

    bars: Bars
    plan: Plan
    known: NDArray[np.float64] | None = None


def walked(bars: int, timeframe: Timeframe, seed: Sequence[int], plan: PlanParams, reversion: float = 0.0) -> Market:
    """A random walk, with a planted edge if ``reversion`` is not 0; the same seed gives the same noise for any edge."""
    rng = np.random.default_rng(list(seed))
    alpha, persistence = rng.uniform(*ALPHAS), rng.uniform(*PERSISTENCES)
    nature = Nature(reversion=reversion, alpha=alpha, beta=max(persistence - alpha, 0.0))
    frame, known = course(bars, timeframe, rng, nature)
    instrument = _instrument(Decimal("0.01"))
    made = Bars.from_frame(frame, instrument, timeframe)
    return Market(made, scaled(plan, made, BAR_SIGMA * (timeframe.seconds / _QUARTER_S) ** 0.5), known)


def shuffled(real: Bars, seed: Sequence[int], plan: PlanParams) -> Market:
    """The same bars in another order, see above; what is left over after the last whole block goes with that block."""
    rng = np.random.default_rng(list(seed))
    prices = np.stack([getattr(real, name) for name in COLUMNS], axis=1).astype(np.float64)
    before = prices[:-1, 3]
    # Each bar by its prices over the close before it; the first bar has none.
    shape = np.log(prices[1:] / before[:, None])
    shape -= np.log(np.mean(np.exp(shape[:, 3])))
    n = len(shape)
    blocks = np.array_split(np.arange(n), max(n // BLOCK, 1))
    order = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
    shape, volume = shape[order], real.volume[1:][order]
    level = np.concatenate([[0.0], np.cumsum(shape[:-1, 3])])
    ticks = np.maximum(np.rint(np.exp(shape + level[:, None] + np.log(1e7))), 1.0).astype(np.int64)
    # Prices begin at 100,000 and the mean volume is 100, so that any market suits the same instrument.
    volume = volume * (100 / max(float(volume.mean()), 1e-12))
    instrument = _instrument(Decimal("0.01"))
    opened, high, low, close = np.ascontiguousarray(ticks.T)
    made = Bars(instrument, real.timeframe, real.open_ns[1:].copy(), opened, high, low, close, volume)
    return Market(made, scaled(plan, made, float(np.std(shape[:, 3]))))


def scaled(params: PlanParams, bars: Bars, sigma: float) -> Plan:
    """The plan with exits as far away, in terms of a bar's volatility, as they are on 15-minute synthetic bars.

    What params.yaml says in per cent suits some timeframe; the same per cent on slower bars would be inside one bar.

    Args:
        sigma: standard deviation of the bars' log returns.
    """
    factor = sigma / BAR_SIGMA
    far = {
        name: Decimal(str(round(min(float(getattr(params, name)) * factor, 90.0), 4)))
        for name in ("take_profit", "stop_loss")
    }
    return params.model_copy(update=far).plan(bars.instrument, bars.timeframe)


def digest(bars: Bars) -> str:
    """SHA-256 of bars and their timeframe, hexadecimal."""
    found = hashlib.sha256(bars.timeframe.name.encode())
    for name in ("open_ns", *COLUMNS, "volume"):
        found.update(np.ascontiguousarray(getattr(bars, name)).tobytes())
    return found.hexdigest()


def _instrument(tick: Decimal) -> Instrument:
    return Instrument(
        symbol="WALK/USDT",
        source="synthetic",
        venue="synthetic",
        asset_class="crypto",
        base="WALK",
        quote="USDT",
        tick_size=tick,
        lot_size=Decimal("0.00000001"),
        min_notional=Decimal(5),
        maker_fee_ppm=1_000,
        taker_fee_ppm=1_000,
        synthetic=True,
    )
