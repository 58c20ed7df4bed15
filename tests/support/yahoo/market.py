"""Generated stocks, minute by minute as traded, with splits and dividends; the same for ever by their seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property

import exchange_calendars
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]
DAY = 86_400


def seconds(day: str) -> int:
    """Midnight UTC of a date, in seconds since 1970."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


@dataclass(eq=False)
class Stock:
    """A listed instrument and all its trades since ``since``, in whole ticks.

    Attributes:
        symbol, name: as Yahoo spells them.
        since: its first day.
        price: the first one.
        splits: ex-date -> new shares for each old one.
        dividends: ex-date -> cash for each share of that time.
        delisted: the day from which it is not traded any more; empty if it still is.
        tick, grids: unit of the prices; and day -> of how many of these units prices are multiples from then on.
        exchange, zone, kind, currency, calendar: as Yahoo names them; the calendar as exchange_calendars does.
        unlisted: ex-dates of splits that Yahoo applies to the prices but does not tell.
        unapplied: ex-dates of splits that Yahoo tells but has not applied to the prices.
    """

    symbol: str
    name: str
    since: str
    price: float
    seed: int
    splits: dict[str, Fraction] = field(default_factory=dict)
    dividends: dict[str, float] = field(default_factory=dict)
    delisted: str = ""
    tick: float = 0.01
    grids: dict[str, int] = field(default_factory=dict)
    exchange: str = "NMS"
    zone: str = "America/New_York"
    kind: str = "EQUITY"
    currency: str = "USD"
    calendar: str = "XNYS"
    unlisted: set[str] = field(default_factory=set)
    unapplied: set[str] = field(default_factory=set)

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """Day (seconds, midnight UTC), open and close of every session, until a few days from now."""
        end = pd.Timestamp.now("UTC").tz_localize(None).normalize() + pd.Timedelta(days=3)
        hours = exchange_calendars.get_calendar(self.calendar, start=self.since, end=end).schedule
        if self.delisted:
            hours = hours[hours.index < self.delisted]
        columns = {
            "day": hours.index.tz_localize("UTC"), "open": pd.DatetimeIndex(hours["open"]),
            "close": pd.DatetimeIndex(hours["close"]),
        }  # fmt: skip
        return pd.DataFrame({name: times.as_unit("s").asi8 for name, times in columns.items()})

    @cached_property
    def minutes(self) -> dict[str, Ints]:
        """Open time (seconds), OHLC in ticks as they were traded, and volume, of every minute."""
        table = self.sessions
        lengths = ((table["close"] - table["open"]) // 60).to_numpy()
        whose = np.repeat(np.arange(len(table)), lengths)
        within = np.arange(len(whose)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rng = np.random.default_rng(self.seed)
        moves = rng.normal(0.0, 0.0006, len(whose))
        moves[within == 0] += rng.normal(0.0002, 0.006, len(table))
        level = np.log(self.price / self.tick)
        # Pulled back to its first price, in the shares of the beginning, so that years stay in a sensible range.
        path = level + np.cumsum(moves) * 0.6
        days = table["day"].to_numpy()[whose]
        shares = np.ones(len(whose))
        for day, ratio in self.splits.items():
            shares[days >= seconds(day)] *= float(ratio)
        end = np.exp(path) / shares
        start = np.exp(path - moves * 0.6 * (within != 0)) / shares
        wick = rng.exponential(0.0003, (2, len(whose)))
        ticks = [start, np.maximum(start, end) * (1 + wick[0]), np.minimum(start, end) * (1 - wick[1]), end]
        unit = np.ones(len(whose), np.int64)
        for day, units in self.grids.items():
            unit[days >= seconds(day)] = units
        opened, high, low, close = (np.maximum(np.rint(column / unit), 1).astype(np.int64) * unit for column in ticks)
        volume = (rng.integers(100, 5_000, len(whose)) * shares).astype(np.int64)
        times = table["open"].to_numpy()[whose] + 60 * within
        named = zip(
            ("time", "open", "high", "low", "close", "volume"), (times, opened, high, low, close, volume), strict=True
        )
        return dict(named) | {"session": whose}

    def bars(self, step: int, now: int) -> dict[str, Ints]:
        """The bars of ``step`` seconds (a day: of each session) of the trades until ``now``, as they were traded.

        Times are when the bar, or for days the session, opens. The last one may be unfinished.
        """
        traded = np.searchsorted(self.minutes["time"], now)
        minutes = {name: column[:traded] for name, column in self.minutes.items()}
        opens = self.sessions["open"].to_numpy()[minutes["session"]]
        times = opens if step >= DAY else opens + (minutes["time"] - opens) // step * step
        starts = np.flatnonzero(np.r_[True, times[1:] != times[:-1]]) if traded else np.empty(0, np.int64)
        ends = np.r_[starts[1:], traded] - 1 if traded else starts
        if not traded:
            return {name: column[:0] for name, column in minutes.items()}
        return {
            "time": times[starts],
            "open": minutes["open"][starts],
            "high": np.maximum.reduceat(minutes["high"], starts),
            "low": np.minimum.reduceat(minutes["low"], starts),
            "close": minutes["close"][ends],
            "volume": np.add.reduceat(minutes["volume"], starts),
            "session": minutes["session"][starts],
        }

    def known(self, now: int) -> dict[str, Fraction]:
        """The splits until ``now``."""
        return {day: ratio for day, ratio in self.splits.items() if self.opening(day) <= now}

    def opening(self, day: str) -> int:
        """When the first session on or after a day opens, seconds since 1970."""
        table = self.sessions
        at = int(np.searchsorted(table["day"].to_numpy(), seconds(day)))
        return int(table["open"].iloc[at]) if at < len(table) else 2**40

    def later_shares(self, days: Ints, now: int, applied: bool = True) -> list[Fraction]:
        """For each day (seconds) by what a share of it has been multiplied until ``now``."""
        ratios = {d: r for d, r in self.known(now).items() if not (applied and d in self.unapplied)}
        edges = np.array(sorted(seconds(d) for d in ratios), dtype=np.int64)
        after = [Fraction(1)]
        for day in sorted(ratios, reverse=True):
            after.append(after[-1] * ratios[day])
        return [after[len(edges) - int(i)] for i in np.searchsorted(edges, days, side="right")]


def a_market() -> dict[str, Stock]:
    """Stocks to practise on: splits like Apple's, a reverse split, a listing that ended, a coin, an index."""
    listed = [
        Stock(
            "AAPL", "Apple Inc.", "2012-01-03", 409.4, 1,
            splits={"2014-06-09": Fraction(7), "2020-08-31": Fraction(4)},
            dividends={"2014-05-08": 3.29, "2014-08-07": 0.47, "2015-02-05": 0.47, "2020-08-07": 0.82,
                       "2020-11-06": 0.205, "2024-02-09": 0.24, "2026-08-10": 0.26},
        ),
        Stock("GE", "General Electric", "2019-01-02", 7.5, 2, splits={"2021-08-02": Fraction(1, 8)},
              dividends={"2020-06-26": 0.01, "2022-03-07": 0.08}, exchange="NYQ"),
        Stock("NEWCO", "Newco Inc.", "2025-01-02", 120.0, 3, splits={"2026-06-15": Fraction(3, 2)}),
        Stock("GONE", "Gone Corporation", "2019-01-02", 40.0, 4, delisted="2023-03-10", exchange="PNK"),
        Stock("OLD", "Old Economy", "1996-06-03", 55.0, 10, delisted="2002-12-31", exchange="NYQ", tick=0.0025,
              splits={"1999-03-01": Fraction(2), "2000-06-01": Fraction(4), "2002-02-01": Fraction(1, 5)},
              grids={"1990-01-01": 50, "1997-06-24": 25, "2001-01-29": 4}),
        Stock("CBA.AX", "Commonwealth Bank", "2025-01-02", 150.0, 11, exchange="ASX", zone="Australia/Sydney",
              currency="AUD", calendar="XASX"),
        Stock("SHIB-USD", "Shiba Inu USD", "2026-05-01", 0.0000123456, 12, exchange="CCC", zone="UTC",
              kind="CRYPTOCURRENCY", calendar="24/7", tick=1e-12),
        Stock("BTC-USD", "Bitcoin USD", "2025-11-01", 64_000.0, 5, exchange="CCC", zone="UTC", kind="CRYPTOCURRENCY",
              calendar="24/7"),
        Stock("^GSPC", "S&P 500", "2024-01-02", 4_700.0, 6, exchange="SNP", kind="INDEX"),
        Stock("PENNY", "Penny Mining", "2025-01-02", 0.4321, 7, tick=0.0001),
        Stock("EURUSD=X", "EUR/USD", "2026-01-02", 1.1, 8, tick=0.0001, exchange="CCY", zone="Europe/London",
              kind="CURRENCY"),
        Stock("ODD.XX", "Odd Exchange", "2026-01-02", 10.0, 9, exchange="ZZZ"),
    ]  # fmt: skip
    return {stock.symbol: stock for stock in listed}
