"""Synthetic markets: seeded, realistic enough to practise on, always named as synthetic.

Each bar is walked in `STEPS` steps, so that its high and low come from a path. The log price moves by

    r = drift + sigma * season * noise + jump,      sigma**2 by GARCH(1, 1) over the bars,

with a season over the hours of the day, rare jumps and, if asked for, calm and wild regimes. ``NOISE/USDT`` has no
drift but the ``-variance / 2`` that makes its price a martingale: nothing can be earned in it but by luck.
``EDGE/USDT`` has a **planted edge**: a hidden state z, a slow mean-reverting process of unit variance, drifts the price
by ``edge * DRIFT`` standard deviations of a bar for each unit of z, and swells the volume by ``exp(FOOTPRINT * z)``.
The state outlasts the 2 %/1 % brackets of the defaults, and shows itself in returns over 4 to 64 bars and in volume.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pregao.core.compiled import compiled
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.sources import Request, Series, SourceOptions, pick
from pregao.market.sources.defects import KINDS, MARGIN, planted

END = "2025-01-01"
"""Every synthetic market ends here: the same seed gives the same bytes on any day."""
STEPS = 12
START_PRICE = 50_000.0
BAR_SIGMA = 0.0042
"""Standard deviation of a 15-minute log return; other timeframes by the square root of time."""
ALPHA, BETA = 0.05, 0.92
DRIFT = 0.20
FOOTPRINT = 0.5
REVERSION_WINDOW = 64
HALF_LIFE = 60.0
"""Bars in which the hidden state forgets half of itself."""
PULL = 1 / 2_000
"""Part of the log distance to `START_PRICE` that a bar of EDGE/USDT takes back, so that its drift cannot explode."""
JUMP_CHANCE = 1 / 2_500
JUMP_SIGMAS = 4.0
REGIME_DAYS = 30.0
CALM, WILD = 0.6, 1.7
"""Volatility of the two regimes, in terms of that without them."""
VOLUME = 90.0
"""Median base units traded in 15 minutes."""
MARKETS = {"EDGE/USDT": 1.0, "NOISE/USDT": 0.0}
DEFAULT_TIMEFRAME = "15m"


class SyntheticOptions(SourceOptions):
    """Options of the source ``synthetic``."""

    seed: int = Field(default=7, ge=0, lt=2**31, description="The same seed gives the same market")
    bars: int = Field(default=30_000, ge=100, le=1_000_000, description="How many bars, ending at the end of 2024")
    edge: float = Field(default=1.0, ge=0, le=3, description="Strength of the planted edge of EDGE/USDT; 0 is none")
    regimes: bool = Field(default=False, description="Calm and wild months take turns, by chance")
    defects: int = Field(default=0, ge=0, le=1_000, description="Planted gaps, spikes and duplicates, of each so many")

    @model_validator(mode="after")
    def _room(self) -> SyntheticOptions:
        least = MARGIN * (len(KINDS) * self.defects + 2)
        if self.defects and self.bars < least:
            raise ValueError(f"{self.defects} defects of each kind need at least {least:,} bars")
        return self


class Synthetic:
    """The source ``synthetic``: ``EDGE/USDT`` with a planted edge, ``NOISE/USDT`` without one."""

    name: ClassVar[str] = "synthetic"
    Options: ClassVar[type[SourceOptions]] = SyntheticOptions

    def fetch(self, request: Request) -> Iterable[Series]:
        """Whole markets of 1m to 4h bars. Raises `UsageError` for other symbols or timeframes."""
        options: SyntheticOptions = request.options
        timeframe = request.timeframe or Timeframe.parse(DEFAULT_TIMEFRAME)
        if timeframe.seconds > 4 * 3_600:
            raise UsageError(f"A synthetic market has no {timeframe} bars.", "Use 1m to 4h.")
        for symbol in pick(request.symbols, MARKETS, "synthetic"):
            frame = market(symbol, timeframe, options)
            at = frame["timestamp"].astype("int64").to_numpy()
            keep = np.ones(len(frame), dtype=bool)
            if request.start_ns is not None:
                keep &= at >= request.start_ns
            if request.end_ns is not None:
                keep &= at < request.end_ns
            yield Series(_instrument(symbol), timeframe, frame[keep].reset_index(drop=True), whole=True)


def _instrument(symbol: str) -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        symbol=symbol,
        source="synthetic",
        venue="synthetic",
        asset_class="crypto",
        base=base,
        quote=quote,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        min_notional=Decimal(5),
        maker_fee_ppm=1_000,
        taker_fee_ppm=1_000,
        synthetic=True,
    )


@dataclass(frozen=True)
class Nature:
    """What a market is like.

    Attributes:
        edge: drift by the hidden state, in terms of `DRIFT`; 0 has no state.
        reversion: a public edge: the price is drawn back to its mean. Each bar drifts by so many of its standard
            deviations, downwards, for each unit of the score that the bar before closed with: the log close less its
            mean over `REVERSION_WINDOW` bars, over their standard deviation.
        alpha, beta: of the GARCH(1, 1) variance.
    """

    edge: float = 0.0
    reversion: float = 0.0
    alpha: float = ALPHA
    beta: float = BETA


def market(symbol: str, timeframe: Timeframe, options: SyntheticOptions) -> pd.DataFrame:
    """One market as a frame ``timestamp open high low close volume``, prices on a grid of 0.01.

    Args:
        symbol: one of `MARKETS`.
        timeframe: length of the bars, up to 4h.
        options: seed, number of bars and strength of the edge.
    """
    rng = np.random.default_rng([options.seed, zlib.crc32(symbol.encode()), timeframe.seconds])
    mood = _regimes(options.bars, timeframe, options.seed, symbol) if options.regimes else None
    frame, _ = course(options.bars, timeframe, rng, Nature(edge=MARKETS[symbol] * options.edge), mood)
    return planted(frame, options.defects, _chance(options.seed, symbol, "defects")) if options.defects else frame


def course(
    n: int,
    timeframe: Timeframe,
    rng: np.random.Generator,
    nature: Nature,
    mood: NDArray[np.float64] | None = None,
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """The ``n`` bars that end at `END`, as `market` has them, and what an oracle knows at the close of each.

    Args:
        mood: factor of each bar's volatility, shape ``(n,)``; None is 1.

    Returns:
        The frame; and, shape ``(n,)``, the score where the market reverts to its mean, else the hidden state.
    """
    length = np.timedelta64(timeframe.ns, "ns")
    times = np.datetime64(END, "ns") - length * np.arange(n, 0, -1)
    hours = (times - times.astype("datetime64[D]")) / np.timedelta64(1, "h")
    # Quiet nights, busy when Europe and America overlap (peak at 15:00 UTC); mean about one.
    season = 0.85 + 0.5 * np.exp(-(((hours - 15.0) / 4.0) ** 2))
    scale = np.sqrt(timeframe.seconds / 900)
    if mood is not None:
        season = season * mood
    ticks, shock, state, score = _walk(
        rng.standard_normal((n, STEPS)),
        rng.standard_normal(n),
        np.where(rng.random(n) < JUMP_CHANCE, rng.standard_normal(n) * JUMP_SIGMAS, 0.0),
        season,
        BAR_SIGMA * scale,
        nature.edge * DRIFT,
        PULL if nature.edge > 0 else 0.0,
        nature.reversion,
        nature.alpha,
        nature.beta,
    )
    interest = _smooth(rng.standard_normal(n), 0.9)
    activity = 0.5 * interest + 0.25 * rng.standard_normal(n) + 0.35 * np.minimum(np.abs(shock), 6.0)
    if nature.edge > 0:
        activity += FOOTPRINT * state
    volume = np.round(VOLUME * scale**2 * season**2 * np.exp(activity - 0.28), 5)
    columns = dict(zip(("open", "high", "low", "close"), (ticks / 100.0).T, strict=True))
    frame = pd.DataFrame({"timestamp": pd.to_datetime(times, utc=True), **columns, "volume": volume})
    return frame, score if nature.reversion else state


def _chance(seed: int, symbol: str, what: str) -> np.random.Generator:
    """Chance of its own for an option, so that it leaves the rest of the market as it is."""
    return np.random.default_rng([seed, zlib.crc32(symbol.encode()), zlib.crc32(what.encode())])


def _regimes(n: int, timeframe: Timeframe, seed: int, symbol: str) -> NDArray[np.float64]:
    """How volatile each bar's regime is: a chain of two states, each left once in `REGIME_DAYS` on average."""
    rng = _chance(seed, symbol, "regimes")
    leaves = rng.random(n) < timeframe.seconds / (REGIME_DAYS * 86_400)
    wild = (np.cumsum(leaves) + rng.integers(2)) % 2 == 1
    return np.where(wild, WILD, CALM)


@compiled
def _walk(
    noise: NDArray[np.float64],
    innovation: NDArray[np.float64],
    jump: NDArray[np.float64],
    season: NDArray[np.float64],
    sigma: float,
    drift: float,
    pull: float,
    reversion: float,
    alpha: float,
    beta: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Prices in ticks of 0.01, shape (n, 4) as open, high, low, close; each bar's shock in sigmas; the state z; the
    score."""
    n, steps = noise.shape
    ticks = np.empty((n, 4), np.int64)
    shock = np.empty(n)
    states = np.empty(n)
    closes = np.empty(n)
    scores = np.zeros(n)
    keep = 0.5 ** (1.0 / HALF_LIFE)
    spread = np.sqrt(1.0 - keep * keep)
    state = 0.0
    variance = 1.0
    start = np.log(START_PRICE)
    log_price = start
    for i in range(n):
        bar_sigma = sigma * np.sqrt(variance) * season[i]
        step_sigma = bar_sigma / np.sqrt(steps)
        step_drift = (drift * state * bar_sigma - pull * (log_price - start) - 0.5 * bar_sigma * bar_sigma) / steps
        if reversion != 0.0 and i > 0:
            step_drift -= reversion * scores[i - 1] * bar_sigma / steps
        first = max(1, int(np.rint(np.exp(log_price) * 100.0)))
        high = first
        low = first
        last = first
        moved = 0.0
        for k in range(steps):
            change = step_sigma * noise[i, k]
            if k == steps // 2:
                change += bar_sigma * jump[i]
            moved += change
            log_price += step_drift + change
            last = max(1, int(np.rint(np.exp(log_price) * 100.0)))
            high = max(high, last)
            low = min(low, last)
        ticks[i, 0] = first
        ticks[i, 1] = high
        ticks[i, 2] = low
        ticks[i, 3] = last
        shock[i] = moved / bar_sigma
        states[i] = state
        # A jump feeds the variance like six ordinary sigmas at most, or one would shake the market for days.
        felt = min(shock[i] * shock[i], 9.0)
        variance = (1.0 - alpha - beta) + alpha * felt * variance + beta * variance
        state = keep * state + spread * innovation[i]
        closes[i] = log_price
        if reversion != 0.0 and i + 1 >= REVERSION_WINDOW:
            window = closes[i + 1 - REVERSION_WINDOW : i + 1]
            deviation = window.std()
            scores[i] = (log_price - window.mean()) / deviation if deviation > 0 else 0.0
    return ticks, shock, states, scores


@compiled
def _smooth(noise: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    """A first-order autoregression of unit variance."""
    out = np.empty(len(noise))
    level = 0.0
    for i in range(len(noise)):
        level = keep * level + np.sqrt(1.0 - keep * keep) * noise[i]
        out[i] = level
    return out
