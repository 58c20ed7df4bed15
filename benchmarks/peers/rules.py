"""Each engine's rules in plain Python and floats, written from that engine's own code (see README.md).

Slow, obvious, and independent of Pregão's engine: what both agree on, trade by trade, is what the other engine does.
One loop over the bars for all; an engine differs in when it enters, where it measures the levels and the size from,
and in the function that says at which price a bar ends a position, if at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import floor
from typing import NamedTuple

import numpy as np
from benchmarks.peers.job import TRADE, Job


class Candle(NamedTuple):
    """A bar as an exit rule sees it."""

    open: float
    high: float
    low: float
    close: float


def mirrored(rule: Callable[[Candle, float, float], float]) -> Callable[[Candle, float, float], float]:
    """The rule for shorts that mirrors a rule for longs: prices change their sign, so highs and lows change places."""

    def short(bar: Candle, take: float, stop: float) -> float:
        return -rule(Candle(-bar.open, -bar.low, -bar.high, -bar.close), -take, -stop)

    return short


def stop_looked_at_first(bar: Candle, take: float, stop: float) -> float:
    """A long's exit price, 0 if it stays: the stop if the low reaches it, even where the bar opened beyond the target.

    A level that the open has jumped over fills at the open. Touching is enough. (backtesting.py, vectorbt, backtrader)
    """
    if bar.low <= stop:
        return min(bar.open, stop)
    if bar.high >= take:
        return max(bar.open, take)
    return 0.0


def stop_within_the_bar(bar: Candle, take: float, stop: float) -> float:
    """As freqtrade: the stop first, at its own price where that lies within the bar (even if the open was worse).

    The target must be passed, not only touched; it fills at its own price even where the open was better, or at the
    low if all of the bar lies beyond it.
    """
    if bar.low <= stop:
        return bar.open if stop > bar.high else stop
    if bar.high > take:
        return max(take, bar.low)
    return 0.0


def open_high_low_close_long(bar: Candle, take: float, stop: float) -> float:
    """As nautilus_trader for a long: open, high, low, close in this order; a target jumped over fills at the target."""
    if bar.open <= stop:
        return bar.open
    if bar.open >= take or bar.high >= take:
        return take
    return stop if bar.low <= stop else 0.0


def open_high_low_close_short(bar: Candle, take: float, stop: float) -> float:
    """As nautilus_trader for a short: the high, and with it the stop, comes before the low here too."""
    if bar.open >= stop:
        return bar.open
    if bar.open <= take:
        return take
    if bar.high >= stop:
        return stop
    return take if bar.low <= take else 0.0


def by_colour_long(bar: Candle, take: float, stop: float) -> float:
    """As jesse for a long: gaps fill at the open; a falling bar makes its high first, any other its low first."""
    if bar.open >= take or bar.open <= stop:
        return bar.open
    reached = [(take, bar.high >= take), (stop, bar.low <= stop)]
    for level, hit in reached if bar.open > bar.close else reversed(reached):
        if hit:
            return level
    return 0.0


def by_colour_short(bar: Candle, take: float, stop: float) -> float:
    """As jesse for a short: what lies above is still first in a falling bar, and here that is the stop."""
    if bar.open <= take or bar.open >= stop:
        return bar.open
    reached = [(stop, bar.high >= stop), (take, bar.low <= take)]
    for level, hit in reached if bar.open > bar.close else reversed(reached):
        if hit:
            return level
    return 0.0


SHORT_STOP_FIRST = mirrored(stop_looked_at_first)


@dataclass(frozen=True)
class Rules:
    """What sets one engine apart from another, on this job.

    Attributes:
        at_close: a signal fills at its own bar's close, and not at the next open.
        long, short: exit price of a bar for a position, from the bar, the target and the stop; 0 is none.
        entry_bar: whether the bar of an entry at its open is looked at for exits.
        levels_from_fill: levels are measured from the fill's price, and not from the signal's close.
        size_from_fill: so is the size.
        take_after_fees: the target is the gain after both fees.
        last_bar: whether an entry may fill in the last bar.
        back_in_time: a signal against a position that is left during the next bar fills at the *open* of that bar, so
            before what made room for it. (freqtrade in its futures mode, found here; no engine should do this.)
    """

    at_close: bool = False
    long: Callable[[Candle, float, float], float] = stop_looked_at_first
    short: Callable[[Candle, float, float], float] = SHORT_STOP_FIRST
    entry_bar: bool = True
    levels_from_fill: bool = False
    size_from_fill: bool = False
    take_after_fees: bool = False
    last_bar: bool = True
    back_in_time: bool = False


RULES = {
    "backtesting_py": Rules(),
    "vectorbt": Rules(entry_bar=False, levels_from_fill=True),
    "backtrader": Rules(entry_bar=False),
    "nautilus": Rules(at_close=True, long=open_high_low_close_long, short=open_high_low_close_short),
    "jesse": Rules(at_close=True, long=by_colour_long, short=by_colour_short),
    "freqtrade": Rules(
        long=stop_within_the_bar, short=mirrored(stop_within_the_bar), levels_from_fill=True, size_from_fill=True,
        take_after_fees=True, last_bar=False, back_in_time=True,
    ),
}  # fmt: skip
"""By the name of the profile in `pregao.simulation.terms`."""


def trades(job: Job, rules: Rules) -> tuple[np.ndarray, float]:
    """Run the job under an engine's rules.

    Returns:
        The round trips (`TRADE`, sorted by instrument and entry, open positions included) and the equity at the end.
    """
    found: list[tuple[float, ...]] = []
    for s in range(job.instruments):
        found += _one(job, s, rules)
    result = np.array(found, TRADE)
    return result, job.cash + float(result["pnl"].sum())


def _one(job: Job, s: int, rules: Rules) -> list[tuple[float, ...]]:
    opens, highs, lows, closes = (job.prices(k)[s].tolist() for k in ("open", "high", "low", "close"))
    signals, sizes = job.signal[s].tolist(), job.size[s].tolist()
    grid = 10**job.decimals * 1_000_000
    close_ticks, open_ticks = job.close[s].tolist(), job.open[s].tolist()
    last = len(closes) - 1
    found: list[tuple[float, ...]] = []
    pending = side = entered = 0
    size = price = take = stop = 0.0

    def levels(ticks: int, side: int) -> tuple[float, float]:
        """Target and stop around a price, without rounding to ticks."""
        target = ticks * (1_000_000 + side * job.take_ppm) / grid
        if rules.take_after_fees:  # the gain after both fees, as a part of what the entry cost with its fee
            target = ticks / 10**job.decimals * (1 + side * job.fee) * (1 + side * job.take) / (1 - side * job.fee)
        return target, ticks * (1_000_000 - side * job.stop_ppm) / grid

    for i in range(last + 1):
        bar = Candle(opens[i], highs[i], lows[i], closes[i])
        for _ in range(2):
            fresh = False
            if pending and (rules.last_bar or i < last):
                side, price, entered, fresh = pending, opens[i], i, True
                size = floor(job.value / price) if rules.size_from_fill else sizes[i - 1]
                take, stop = levels(open_ticks[i] if rules.levels_from_fill else close_ticks[i - 1], side)
            pending = was = 0
            if side and (rules.entry_bar or not fresh):
                out = (rules.long if side > 0 else rules.short)(bar, take, stop)
                if out:
                    gain = side * size * (out - price) - size * (price + out) * job.fee
                    found.append((s, entered, i, price, out, side * size, gain))
                    was, side = 0 if fresh else side, 0
            if not (rules.back_in_time and was and signals[i - 1] == -was):
                break
            pending = -was
        if not side and signals[i]:
            if rules.at_close:
                side, price, entered, size = signals[i], closes[i], i, sizes[i]
                take, stop = levels(close_ticks[i], side)
            else:
                pending = signals[i]
    if side:
        gain = side * size * (closes[last] - price) - size * price * job.fee
        found.append((s, entered, -1, price, closes[last], side * size, gain))
    return found


def variant(name: str, **changes: object) -> Rules:
    """An engine's rules with some changed."""
    return replace(RULES[name], **changes)
