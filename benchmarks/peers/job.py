"""The job that every engine does: bars, signals, sizes and levels, and the file that carries them.

Needs numpy only, so that it can be imported by each engine's own Python.

The rules of the job, the same for every engine:

- one-minute bars; a signal at bar ``t`` is known at its close;
- the moving averages EMA(12) and EMA(26) of the closes cross upwards: +1 (and downwards: -1, if the job has shorts),
  from bar 26 on (the sets that are there for exactness and not for speed have more signals, drawn or by price);
- one position an instrument; a signal while an order or a position is open counts for nothing;
- size: ``floor(10,000 / close)`` whole units, at the market (engines that size by the fill do so: see README.md);
- take profit 2 % beyond, stop loss 1 % before the entry; nothing else closes a position;
- 0.1 % fee of the notional, each side; no slippage; 1,000,000 of cash, shared by all instruments of the job;
- what is open at the end is marked at the last close.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CASH = 1_000_000.0
VALUE = 10_000.0
TAKE_PPM, STOP_PPM, FEE_PPM = 20_000, 10_000, 1_000
FAST, SLOW = 12, 26
START_S = 1_609_459_200
"""2021-01-01T00:00:00Z: the first bar opens."""
PPM = 1_000_000

TRADE = np.dtype([
    ("symbol", np.int32),        # which instrument of the job
    ("entry", np.int64),         # bar in (or at the close of) which it was entered
    ("exit", np.int64),          # bar in which it was left; -1: still open
    ("entry_price", np.float64),
    ("exit_price", np.float64),  # the last close if still open
    ("size", np.float64),        # signed units
    ("pnl", np.float64),         # after all fees paid so far
])  # fmt: skip
"""A round trip, as every runner reports it."""


@dataclass(frozen=True)
class Job:
    """Bars of ``m`` instruments as whole ticks, and what is to be done at each close.

    Attributes:
        decimals: a tick is ``10**-decimals``.
        open, high, low, close: ticks, int64, shape ``(m, n)``.
        volume: units, float64, shape ``(m, n)``.
        signal: int8, shape ``(m, n)``: +1 long, -1 short, 0 nothing.
    """

    name: str
    decimals: int
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    signal: np.ndarray
    cash: float = CASH
    value: float = VALUE
    take_ppm: int = TAKE_PPM
    stop_ppm: int = STOP_PPM
    fee_ppm: int = FEE_PPM

    @property
    def instruments(self) -> int:
        """Number of instruments."""
        return self.close.shape[0]

    @property
    def bars(self) -> int:
        """Bars of each instrument."""
        return self.close.shape[1]

    @property
    def time_s(self) -> np.ndarray:
        """Open time of each bar, seconds since 1970 UTC, shape ``(n,)``."""
        return START_S + 60 * np.arange(self.bars, dtype=np.int64)

    @property
    def fee(self) -> float:
        """Fee of a side, as a fraction."""
        return self.fee_ppm / PPM

    @property
    def take(self) -> float:
        """Distance of the take profit, as a fraction."""
        return self.take_ppm / PPM

    @property
    def stop(self) -> float:
        """Distance of the stop loss, as a fraction."""
        return self.stop_ppm / PPM

    def prices(self, column: str) -> np.ndarray:
        """A column (``open`` …) as floats, each the nearest to its decimal, shape ``(m, n)``."""
        return getattr(self, column) / 10**self.decimals

    @property
    def size(self) -> np.ndarray:
        """Units to trade at each bar's signal, ``floor(value / close)`` without rounding errors; float64 ``(m, n)``."""
        return (int(self.value) * 10**self.decimals // self.close).astype(np.float64)

    def levels(self, column: str = "close") -> tuple[np.ndarray, np.ndarray]:
        """Take profit and stop loss of an entry at the signal's sign, from a column's prices; float64 ``(m, n)`` each.

        Each is the float nearest to the exact decimal: nothing is rounded to ticks.
        """
        ticks = getattr(self, column)
        side = np.where(self.signal < 0, -1, 1)
        scale = 10**self.decimals * PPM
        return ticks * (PPM + side * self.take_ppm) / scale, ticks * (PPM - side * self.stop_ppm) / scale

    def save(self, path: Path) -> None:
        """Write the job as one .npz."""
        np.savez(path, **{k: np.asarray(v) for k, v in vars(self).items()})

    @classmethod
    def load(cls, path: Path | str) -> Job:
        """Read what `save` wrote."""
        with np.load(path) as file:
            return cls(**{k: file[k] if file[k].ndim else file[k].item() for k in file.files})


def average(closes: np.ndarray, span: int) -> np.ndarray:
    """Exponential moving average, ``e += 2 / (span + 1) * (x - e)`` from the first close on; shape ``(n,)``."""
    weight = 2.0 / (span + 1)
    out = np.empty(len(closes))
    e = float(closes[0])
    for i, x in enumerate(closes.tolist()):
        e += weight * (x - e)
        out[i] = e
    return out


def crosses(closes: np.ndarray, fast: int = FAST, slow: int = SLOW, sides: str = "long") -> np.ndarray:
    """+1 where the fast average comes above the slow one, -1 where it falls below (if ``sides`` has shorts); int8."""
    above = average(closes, fast) > average(closes, slow)
    signal = np.zeros(len(closes), np.int8)
    if sides in ("long", "both"):
        signal[1:][above[1:] & ~above[:-1]] = 1
    if sides in ("short", "both"):
        signal[1:][~above[1:] & above[:-1]] = -1
    signal[:SLOW] = 0
    return signal


def walk(
    n: int, seed: int, sigma: float, gap: float, jump: float, wick: int = 0, decimals: int = 4
) -> dict[str, np.ndarray]:
    """A geometric random walk from 100: eight steps inside each bar, a gap before it, and now and then a jump.

    Args:
        sigma: standard deviation of a bar's logarithmic return.
        gap: of the step from a close to the next open.
        jump: of the extra step that one open in 2,000 takes.
        wick: ticks that high and low lie at least beyond open and close.
    """
    rng = np.random.default_rng(seed)
    inside = np.cumsum(rng.normal(0.0, sigma / 8**0.5, (n, 8)), axis=1)
    before = rng.normal(0.0, gap, n) + np.where(rng.random(n) < 0.0005, rng.normal(0.0, jump, n), 0.0)
    before[0] = 0.0
    last = np.cumsum(inside[:, -1] + before)
    first = last - inside[:, -1]

    def ticks(logarithm: np.ndarray) -> np.ndarray:
        return np.rint(100 * 10**decimals * np.exp(logarithm)).astype(np.int64)

    opened, closed = ticks(first), ticks(last)
    high = np.maximum(np.maximum(opened, closed) + wick, ticks(first + inside.max(1)))
    low = np.minimum(np.minimum(opened, closed) - wick, ticks(first + inside.min(1)))
    volume = np.floor(rng.lognormal(12.5, 0.5, n)) + 100_000
    return {"open": opened, "high": high, "low": low, "close": closed, "volume": volume}


def coarse(n: int, seed: int) -> dict[str, np.ndarray]:
    """Bars on a grid of 0.5 around 100: levels are touched exactly, jumped over exactly and opened at, all the time."""
    rng = np.random.default_rng(seed)
    step = 50
    level = 10_000
    rows = np.empty((4, n), np.int64)
    for i in range(n):
        opened = level + step * int(rng.choice([-3, -2, -1, 0, 0, 0, 0, 1, 2, 3]))
        high = opened + step * int(rng.integers(0, 5))
        low = opened - step * int(rng.integers(0, 5))
        # half of the closes fall back to 100, where both levels (102 and 99) lie on the grid
        closed = (
            10_000
            if low <= 10_000 <= high and rng.random() < 0.5
            else int(rng.integers(low // step, high // step + 1)) * step
        )
        rows[:, i] = opened, high, low, closed
        level = closed + (step if closed < 9_500 else -step if closed > 10_500 else 0)
    return {"open": rows[0], "high": rows[1], "low": rows[2], "close": rows[3], "volume": np.full(n, 1_000_000.0)}


@dataclass(frozen=True)
class Market:
    """How the bars of a set come about."""

    bars: int
    seeds: tuple[int, ...] = (7,)
    sigma: float = 0.0015
    gap: float = 0.0002
    jump: float = 0.01
    wick: int = 0
    drawn: float = 0.0  # chance of a signal at a bar, instead of the crosses


SETS = {
    "500k": Market(500_000),
    "50k": Market(50_000),
    "10x50k": Market(50_000, tuple(range(101, 111))),
    "5k-wide": Market(5_000, (8,), sigma=0.04, gap=0.015, jump=0.03, wick=1, drawn=0.3),
    "5k-shaven": Market(5_000, (8,), sigma=0.04, gap=0.015, jump=0.03, drawn=0.3),
    "5k-ties": Market(5_000),
}
"""The sets of bars. ``5k-wide``: often both exits within a bar. ``5k-shaven``: the same, and many bars open or close at
their high or low. ``5k-ties``: levels touched exactly. There is also ``goog``, from a file."""
NAMES = (*SETS, "goog")


def make(name: str, sides: str = "long", goog: Path | None = None) -> Job:
    """The job on a set of bars.

    Args:
        name: of `SETS`, or ``goog``: daily bars of the file ``goog``, taken as consecutive minutes (columns
            ``open high low close volume`` in whole cents).
        sides: ``long``, ``short`` or ``both``.
    """
    decimals = 4
    if name == "goog":
        if goog is None or not goog.exists():
            raise FileNotFoundError(f"the set goog needs its file of daily bars, not {goog}")
        import pandas as pd

        frame = pd.read_parquet(goog)
        markets = [{k: np.rint(frame[k].to_numpy() * 100).astype(np.int64) for k in ("open", "high", "low", "close")}]
        markets[0]["volume"] = frame["volume"].to_numpy(np.float64)
        decimals = 2
    elif name == "5k-ties":
        markets = [coarse(SETS[name].bars, seed) for seed in SETS[name].seeds]
        decimals = 2
    else:
        market = SETS[name]
        markets = [walk(market.bars, seed, market.sigma, market.gap, market.jump, market.wick) for seed in market.seeds]
    columns = {k: np.stack([m[k] for m in markets]) for k in ("open", "high", "low", "close", "volume")}
    shape = columns["close"].shape
    rng = np.random.default_rng(1)
    side = {"long": np.ones(shape), "short": -np.ones(shape), "both": rng.choice([-1, 1], shape)}[sides]
    if name == "5k-ties":  # crosses would miss most of the exact cases: enter wherever a bar closes at 100
        signal = np.where((columns["close"] == 10_000) & (np.arange(shape[1]) >= SLOW), side, 0).astype(np.int8)
    elif name in SETS and SETS[name].drawn:
        signal = np.where((rng.random(shape) < SETS[name].drawn) & (np.arange(shape[1]) >= SLOW), side, 0).astype(
            np.int8
        )
    else:
        signal = np.stack([crosses(c / 10**decimals, sides=sides) for c in columns["close"]])
    suffix = "" if sides == "long" else f"-{sides}"
    return Job(name + suffix, decimals, **columns, signal=signal)
