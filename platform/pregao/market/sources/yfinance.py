"""Yahoo Finance: stocks, funds, indices and coins of the world, as they were traded, with their splits and dividends.

Yahoo rewrites its whole history at every split, in its "unadjusted" prices too. Here the splits are undone: stored bars
are what was traded, and stay the same whatever Yahoo rewrites; splits and dividends are a table beside them, and prices
are adjusted when they are read (`pregao.market.store.Store.bars`). Yahoo's own adjusted close is never used.

How far back Yahoo keeps bars (`BACK_DAYS`): of 1 minute 30 days, of 5 to 30 minutes 60 days, of 1 hour 730 days, of
1 day all. What has been ingested stays in the store for longer.

The environment may say where Yahoo's hosts are found instead of at their own addresses (a gateway, a test server):
``PREGAO_YAHOO_URL``, or the option ``address``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.feeds.live import LiveFeed, Watch
from pregao.market.sources import Listed, Request, Series, SourceOptions
from pregao.market.sources.yfinance_client import Yahoo
from pregao.market.sources.yfinance_live import YahooWire
from pregao.market.sources.yfinance_rules import listed_of
from pregao.market.sources.yfinance_series import BACK_DAYS, YahooSeries

WATCH = Watch(stale_s=120.0, poll_s=15.0, settle_s=3.0, check_s=60.0, late_s=120.0)
"""How a feed of Yahoo watches its market, unless told otherwise."""
FOUND = 20
"""So many instruments are asked for in a search."""
SEARCH_WAIT_S = 8.0
"""Whoever searches sits before an empty list: an answer is not waited for longer, and no pause is."""


class YFinanceOptions(SourceOptions):
    """Options of the source ``yfinance``. What is left open is taken from the store, else from Yahoo's facts."""

    calendar: str | None = Field(default=None, description="24/7 or a name of exchange_calendars; else by the exchange")
    lot_size: Decimal | None = Field(default=None, gt=0, description="Quantity grid; a stock's is 1 unless given")
    fractional: bool = Field(default=False, description="Trade fractions of a share, down to 0.0001")
    allow_short: bool | None = Field(default=None, description="May be sold short; not unless given")
    address: str = Field(default="", pattern=r"^(https?://.+)?$", description="Where Yahoo's hosts are found instead")
    attempts: int = Field(default=4, ge=1, le=20, description="How often a question is asked before it is given up")
    pause_s: float = Field(default=1.0, ge=0, le=60, description="Wait after the first failure; then doubled")
    timeout_s: float = Field(default=20.0, gt=0, le=300, description="For how long an answer is waited for")


class YFinance:
    """The source ``yfinance``; the key of an instrument is ``yfinance/yahoo/SYMBOL``."""

    name: ClassVar[str] = "yfinance"
    Options: ClassVar[type[SourceOptions]] = YFinanceOptions
    watch: ClassVar[Watch] = WATCH
    closes: ClassVar[bool] = True
    whole: ClassVar[bool] = False

    def resuming(self, instrument: Instrument) -> dict[str, Any]:
        """The options to go on with a stored instrument: its rules are in the store."""
        return {}

    def fetch(self, request: Request) -> Iterable[Series]:
        """The bars of each symbol that the store lacks, and its splits and dividends. Day bars unless asked otherwise.

        The last ten stored bars are fetched again. Where up to three of them differ, by less than a fifth, Yahoo has
        corrected them, and they are brought as they are now. Where more do, or all by the same factor, nothing is added
        to the series: if Yahoo has changed its list of splits, a daily series is brought whole, with the reason; else
        it is refused.

        Raises:
            UsageError: if no symbol is named, one is not known or cannot be traded here, Yahoo has no such timeframe,
                or does not keep its bars for so long.
            BrokenOffError: if Yahoo cannot be reached or answers nonsense, after those series that are complete.
            PregaoError: if a series no longer agrees with the stored one.
        """
        options: YFinanceOptions = request.options
        timeframe = request.timeframe or Timeframe.parse("1d")
        if not request.symbols:
            raise UsageError("Yahoo has too many symbols to bring them all.", "Name some, for example AAPL MSFT.")
        if timeframe.name not in BACK_DAYS:
            raise UsageError(f"Yahoo has no {timeframe} bars.", f"It has {', '.join(BACK_DAYS)}.")
        yahoo = Yahoo(_address(options), options.attempts, options.pause_s, options.timeout_s)
        for symbol in dict.fromkeys(name.strip().upper() for name in request.symbols):
            yield from YahooSeries(symbol, timeframe, request, yahoo).bring()

    def listed(self, options: YFinanceOptions, words: str = "") -> list[Listed]:
        """The instruments that Yahoo finds by words, of those kinds that can be traded here, the best match first.

        Raises:
            UsageError: without words.
            PregaoError: if Yahoo cannot be reached, asks to be left alone, or answers nonsense.
        """
        if not words.strip():
            raise UsageError("Yahoo has too many symbols to list them all.", "Give a part of a symbol or of a name.")
        timeout_s = min(options.timeout_s, SEARCH_WAIT_S)
        yahoo = Yahoo(_address(options), 2, options.pause_s, timeout_s, SEARCH_WAIT_S)
        found = [listed_of(quote) for quote in yahoo.search(words.strip(), FOUND)]
        return [one for one in found if one is not None]

    def live(
        self,
        instrument: Instrument,
        timeframe: Timeframe,
        options: YFinanceOptions,
        after_ns: int | None = None,
        watch: Watch = WATCH,
    ) -> LiveFeed:
        """A feed of the market as Yahoo tells it, opened: some seconds late, for some exchanges 15 minutes.

        Args:
            instrument, timeframe: whose bars; not of a day.
            options: as for `fetch`.
            after_ns: open time of the last bar known; see `LiveFeed`.
            watch: how closely to watch; Yahoo does not like to be asked often.
        """
        yahoo = Yahoo(_address(options), 2, options.pause_s, options.timeout_s)
        return LiveFeed(YahooWire(yahoo, instrument, timeframe), instrument, timeframe, after_ns, watch)


def _address(options: YFinanceOptions) -> str:
    return options.address or os.environ.get("PREGAO_YAHOO_URL", "")
