"""Where a market can be followed as it is traded, and markets to begin with there; any other may be typed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from pregao.core.instrument import folder_name
from pregao.sessions.spec import Live
from pregao_ui.schemas.market import StoredInstrument

_COINS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT", "XRP/USDT", "ADA/USDT", "DOGE/USDT", "LTC/USDT")
_DOLLARS = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "ADA/USD", "DOGE/USD", "LTC/USD")
_TIMEFRAMES = ("1m", "5m", "15m", "30m", "1h")


class Venue(NamedTuple):
    """A place whose markets can be followed.

    Attributes:
        key: ``source/venue``, as instruments' keys begin.
        title: its name.
        symbols: well-known markets, by class of asset, as the source spells them.
        timeframes: that it has candles of.
    """

    key: str
    title: str
    symbols: dict[str, tuple[str, ...]]
    timeframes: tuple[str, ...] = _TIMEFRAMES

    @property
    def listed(self) -> bool:
        """Whether the venue tells all that it trades; else it is searched by words."""
        return self.source == "ccxt"

    @property
    def source(self) -> str:
        """The name of the source."""
        return self.key.split("/")[0]

    def instrument(self, symbol: str) -> str:
        """The key that a market has, or will have, as an instrument."""
        return f"{self.key}/{folder_name(symbol)}"

    def feed(self, symbol: str) -> Live:
        """The feed of a market."""
        return Live(source=self.source, symbol=symbol, options=self.options)

    @property
    def options(self) -> dict[str, str]:
        """Of the source, to reach this venue."""
        return {"exchange": self.key.split("/")[1]} if self.source == "ccxt" else {}


def _exchange(name: str, title: str, symbols: tuple[str, ...]) -> Venue:
    return Venue(f"ccxt/{name}", title, {"crypto": symbols}, (*_TIMEFRAMES, "4h", "1d"))


VENUES = (
    _exchange("binance", "Binance", _COINS),
    _exchange("kraken", "Kraken", _DOLLARS),
    _exchange("coinbase", "Coinbase", _DOLLARS),
    _exchange("bybit", "Bybit", _COINS),
    _exchange("okx", "OKX", _COINS),
    Venue(
        "yfinance/yahoo",
        "Yahoo Finance",
        {
            "stock": (
                "AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "SPY", "QQQ",
                "PETR4.SA", "VALE3.SA", "ITUB4.SA", "BBDC4.SA", "ABEV3.SA", "WEGE3.SA",
            ),
            "crypto": ("BTC-USD", "ETH-USD", "SOL-USD"),
            "index": ("^GSPC", "^IXIC", "^DJI", "^BVSP"),
        },
    ),
)  # fmt: skip
"""The venues that the form offers; the command line reaches all that the sources have."""


def venues(asset_class: object) -> list[Venue]:
    """Those that have a class of assets."""
    return [venue for venue in VENUES if asset_class in venue.symbols]


def venue(key: object) -> Venue | None:
    """The one with a key."""
    return next((venue for venue in VENUES if venue.key == key), None)


def symbols(
    venue: Venue, asset_class: str, stored: Sequence[StoredInstrument], listed: Sequence[str] = ()
) -> list[str]:
    """Markets to offer: those of the store first, then the well-known ones, then all others that the venue trades."""
    own = [i.symbol for i in stored if i.key.startswith(f"{venue.key}/") and i.asset_class == asset_class]
    known = [symbol for symbol in venue.symbols.get(asset_class, ()) if not listed or symbol in listed]
    return list(dict.fromkeys([*own, *known, *listed]))


def spelled(symbol: str, listed: Sequence[str]) -> tuple[str | None, list[str]]:
    """A listed market as the venue spells it, however it was typed (``btc-usdt``); if none, those near it."""
    by_plain = {_plain(each): each for each in listed}
    found = by_plain.get(_plain(symbol))
    near = [] if found else difflib.get_close_matches(_plain(symbol), by_plain, 3, 0.5)
    return found, [by_plain[each] for each in near]


def _plain(symbol: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())
