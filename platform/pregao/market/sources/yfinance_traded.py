"""Prices as they were traded, from Yahoo's: what it has divided by later splits is multiplied again.

Yahoo keeps prices as 32-bit floats. Before a split it divides all prices and dividends by its ratio, and multiplies
all volumes, in its unadjusted prices too; it rounds what it has divided to six decimals, and writes 32-bit floats.
Such a number, times the ratios, is as near to a multiple of the tick size as these roundings allow, which is checked
for every price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.actions import Action, Dividend, Split
from pregao.core.bars import COLUMNS, Floats, Ints
from pregao.market.grid import to_grid

_SIX_DECIMALS = 0.51e-6
_FINEST = 10
_SIMPLE_SHARES = 10_000
_TELLING = math.log(1.5)


class Traded(NamedTuple):
    """Bars as they were traded.

    Attributes:
        frame: columns ``timestamp open high low close volume``, as of `pregao.market.sources.Series`.
        tick_size: the grid on which all prices lie.
        rounding: how far each volume may be off the true one: a reverse split has cut its last digits off.
    """

    frame: pd.DataFrame
    tick_size: Decimal
    rounding: Floats


def open_times(index: pd.Index[Any], daily: bool) -> Ints:
    """Open times in ns since 1970 UTC; a day's bar opens at midnight UTC of its date at the exchange."""
    zoned = pd.DatetimeIndex(index)
    times = zoned.tz_localize(None).normalize() if daily else zoned.tz_convert("UTC").tz_localize(None)
    stamps: Ints = times.as_unit("ns").asi8
    return stamps


def ex_time(date: pd.Timestamp, zone: str) -> int:
    """When an action of a date at the exchange takes effect: before any bar of that day, of days or of minutes.

    That is its midnight, in UTC or at the exchange, whichever is earlier; ns since 1970 UTC.
    """
    day = date.tz_localize(None).normalize()
    local = day.tz_localize(ZoneInfo(zone), ambiguous=True, nonexistent="shift_forward")
    return min(int(day.as_unit("ns").value), int(local.as_unit("ns").value))


def splits_of(frame: pd.DataFrame, zone: str) -> dict[int, Fraction]:
    """The splits that Yahoo lists, by their ex-time."""
    told = frame["Stock Splits"][frame["Stock Splits"] > 0]
    ratios = [Fraction(float(ratio)).limit_denominator(_SIMPLE_SHARES) for ratio in told.to_numpy()]
    found = {ex_time(date, zone): ratio for date, ratio in zip(told.index, ratios, strict=True)}
    return {ts_ns: ratio for ts_ns, ratio in found.items() if ratio != 1 and ratio > 0}


def applied(splits: Mapping[int, Fraction], open_ns: Ints, frame: pd.DataFrame) -> dict[int, Fraction]:
    """The splits for which Yahoo's prices are adjusted: all but those over which its bars fall by the ratio.

    It sometimes lists a split before it adjusts the prices. Splits by less than 3 for 2 either way, and those without a
    bar on each side, count as adjusted.
    """
    opened, close = (frame[name].to_numpy(dtype=np.float64) for name in ("Open", "Close"))
    usable = np.isfinite(opened) & np.isfinite(close) & (opened > 0) & (close > 0)
    times, opened, close = open_ns[usable], opened[usable], close[usable]
    found = {}
    for ts_ns, ratio in splits.items():
        cut = int(np.searchsorted(times, ts_ns))
        step = math.log(ratio)
        if abs(step) >= _TELLING and 0 < cut < len(times):
            move = math.log(opened[cut] / close[cut - 1])
            if abs(move + step) < abs(move):
                continue
        found[ts_ns] = ratio
    return found


def traded(frame: pd.DataFrame, open_ns: Ints, splits: Mapping[int, Fraction], ticks: Sequence[Decimal]) -> Traded:
    """Bars as they were traded.

    Args:
        frame: Yahoo's, columns ``Open High Low Close Volume``.
        open_ns: its open times.
        splits: those that Yahoo's prices are adjusted for, by their ex-time.
        ticks: the tick size is the first of these that all prices fit; the last, if none: then those that do not fit
            are as Yahoo tells them, off the grid.
    """
    shares = later_shares(splits, open_ns)
    given = {name: frame[name.capitalize()].to_numpy(dtype=np.float64) for name in COLUMNS}

    def off(column: Floats) -> Floats:
        """By how much the price may be off the true one: what each of Yahoo's roundings may have taken."""
        size = np.abs(np.nan_to_num(column))
        six = (shares != 1.0) | (np.round(size, 6) == size)
        narrow = six | (size.astype(np.float32) == size)
        told: Floats = shares * np.where(narrow, _half(size), 4 * np.spacing(size))
        told += np.where(six, shares * _SIX_DECIMALS, 0.0) + np.where(shares != 1.0, _half(size * shares), 0.0)
        return told

    raw = {name: column * shares for name, column in given.items()}
    tick = next((tick for tick in ticks if all(_near(raw[n], off(given[n]), tick).all() for n in COLUMNS)), ticks[-1])
    columns: dict[str, Any] = {"timestamp": pd.to_datetime(open_ns, utc=True)}
    columns |= {
        name: np.where(_near(column, off(given[name]), tick), to_grid(column, tick), column)
        for name, column in raw.items()
    }
    volume = frame["Volume"].to_numpy(dtype=np.float64) / shares
    columns["volume"] = np.where(shares == 1.0, volume, np.rint(volume))
    return Traded(pd.DataFrame(columns), tick, np.where(shares < 1.0, 1.0 / shares, 0.0))


def later_shares(splits: Mapping[int, Fraction], times: Ints) -> Floats:
    """What a share of each time has become since: the product of the ratios of the later splits."""
    shares = np.ones(len(times))
    for ts_ns, ratio in splits.items():
        shares[times < ts_ns] *= float(ratio)
    return shares


def actions_of(
    frame: pd.DataFrame,
    zone: str,
    listed: Mapping[int, Fraction],
    undo: Mapping[int, Fraction],
    kept: Iterable[Action] = (),
) -> pd.DataFrame:
    """Yahoo's splits and dividends as a table for `pregao.market.store.Store.write_actions`.

    A dividend is what was paid for each share of its time. Yahoo writes it with six decimals in shares of today: of all
    amounts that this may stand for, the one with the fewest decimals is taken. Those ``kept`` from before are in the
    table too, unless Yahoo tells something else of their time and kind.
    """
    paid = frame["Dividends"][frame["Dividends"] > 0]
    times = np.array([ex_time(date, zone) for date in paid.index], dtype=np.int64)
    amounts = zip(paid.to_numpy(dtype=np.float64), later_shares(undo, times), strict=True)
    rows = [(ts_ns, f"{ratio.numerator}:{ratio.denominator}", 0.0) for ts_ns, ratio in listed.items()]
    rows += [
        (ts_ns, "1:1", _fewest_decimals(amount * shares, _SIX_DECIMALS * max(shares, 1e-3)))
        for ts_ns, (amount, shares) in zip(times.tolist(), amounts, strict=True)
    ]
    told = {(ts_ns, paid > 0) for ts_ns, _, paid in rows}
    for action in kept:
        if isinstance(action, Split) and (action.ts_ns, False) not in told:
            rows.append((action.ts_ns, f"{action.ratio.numerator}:{action.ratio.denominator}", 0.0))
        elif isinstance(action, Dividend) and (action.ts_ns, True) not in told:
            rows.append((action.ts_ns, "1:1", float(action.amount)))
    table = pd.DataFrame(sorted(rows), columns=["timestamp", "split", "dividend"])
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True)
    return table


def as_mapping(actions: Iterable[Action]) -> dict[int, Fraction]:
    """The splits among stored actions, by their ex-time."""
    return {action.ts_ns: action.ratio for action in actions if isinstance(action, Split)}


def _half(size: Floats) -> Floats:
    """Half a unit in the last place of 32-bit floats of these sizes, and a little."""
    half: Floats = 0.51 * np.spacing(size.astype(np.float32)).astype(np.float64)
    return half


def _near(price: Floats, off: Floats, tick: Decimal) -> NDArray[np.bool_]:
    """Which prices are as near to a multiple of the tick size as they can be; what is no number is not asked."""
    return np.asarray(
        ~np.isfinite(price) | (np.abs(to_grid(price, tick) - price) <= off + 4 * np.spacing(np.abs(price)))
    )


def _fewest_decimals(amount: float, off: float) -> float:
    for decimals in range(2, _FINEST + 1):
        if abs(round(amount, decimals) - amount) <= off:
            return round(amount, decimals)
    return amount
