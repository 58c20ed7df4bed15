"""What the tests of the source ``yfinance`` share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pregao.core.bars import COLUMNS, Bars
from pregao.core.timeframe import Timeframe
from pregao.market.ingest import ingest
from pregao.market.reports import IngestReport
from pregao.market.sources import Request, Series, read_options
from pregao.market.sources.yfinance import YFinance
from pregao.market.store import Store
from yahoo.market import DAY, Ints, Stock, seconds
from yahoo.server import YahooServer


@pytest.fixture
def yahoo(home) -> Iterator[YahooServer]:
    """A Yahoo with a market of its own, and an empty store to bring it to."""
    with YahooServer() as server:
        yield server


def ask(server: YahooServer, *symbols: str, timeframe: str = "1d", **given: Any) -> list[Series]:
    """What the source brings, not stored."""
    spans = {name: given.pop(name, None) for name in ("start_ns", "end_ns")}
    options = read_options(YFinance.Options, {"address": server.address, "pause_s": 0.01, **given})
    return list(YFinance().fetch(Request(symbols, Timeframe.parse(timeframe), **spans, options=options)))


def bring(server: YahooServer, *symbols: str, timeframe: str = "1d", **given: Any) -> IngestReport:
    """Ingest into the store."""
    ours = ("start_ns", "end_ns", "bad_rows", "anew")
    named = {name: given.pop(name) for name in ours if name in given}
    options = {"address": server.address, "pause_s": 0.01, **given}
    return ingest("yfinance", symbols, timeframe, options, **named)


def stored(symbol: str, timeframe: str = "1d", **given: Any) -> Bars:
    store = Store()
    return store.bars(store.instrument(symbol), Timeframe.parse(timeframe), **given)


def assert_prices_as_traded(stock: Stock, bars: Bars) -> dict[str, Ints]:
    """Every bar is, to the tick, one that the stock had, and none of its own is missing between them: returns those."""
    step = bars.timeframe.seconds
    true = stock.bars(step, 2**40)
    times = true["time"] if step < DAY else stock.sessions["day"].to_numpy()[true["session"]]
    first, last = (int(np.searchsorted(times, at // 10**9)) for at in (bars.open_ns[0], bars.open_ns[-1]))
    rows = slice(first, last + 1)
    np.testing.assert_array_equal(bars.open_ns, times[rows] * 10**9)
    scale = round(stock.tick / float(bars.instrument.tick_size))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(bars, name), true[name][rows] * scale, err_msg=name)
    return {name: column[rows] for name, column in true.items()}


def assert_as_traded(stock: Stock, bars: Bars) -> None:
    """As `assert_prices_as_traded`, and to the share."""
    np.testing.assert_array_equal(bars.volume, assert_prices_as_traded(stock, bars)["volume"])


def at(day: str) -> int:
    """Midnight UTC of a day, in ns."""
    return seconds(day) * 10**9


def bars_of(series: Series) -> Bars:
    return Bars.from_frame(series.frame, series.instrument, series.timeframe)


def days_ago(days: int) -> int:
    """Midnight UTC of a day, in ns."""
    return (pd.Timestamp.now("UTC").normalize() - pd.Timedelta(days=days)).value
