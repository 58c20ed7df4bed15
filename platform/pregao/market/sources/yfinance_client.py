"""Asking Yahoo with its usual client, yfinance: patiently, one question at a time, its failures told in plain words.

This is the only module that imports yfinance.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import pandas as pd

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.settings import settings

LONGEST_WAIT_S = 90.0
"""If Yahoo asks for more patience than this, the person is told instead, unless told otherwise."""
_META = (
    *("currency", "currentTradingPeriod", "exchangeName", "exchangeTimezoneName", "firstTradeDate", "instrumentType"),
    "regularMarketTime",
)
_ANSWERS = ("/v8/finance/chart/", "/v1/finance/search")
_ONE_AT_A_TIME = threading.Lock()
"""yfinance has one session, one cookie and one crumb in each process."""

T = TypeVar("T")


class Answer(NamedTuple):
    """What Yahoo has of a symbol.

    Attributes:
        frame: index of times with a zone, ascending; columns ``Open High Low Close Volume Dividends`` and
            ``Stock Splits``, prices and dividends adjusted for splits as Yahoo does; may be empty.
        meta: some of Yahoo's facts: ``currency exchangeName exchangeTimezoneName instrumentType`` and the times
            ``firstTradeDate regularMarketTime``; ``currentTradingPeriod`` as Yahoo nests it.
    """

    frame: pd.DataFrame
    meta: Mapping[str, Any]


class _TroubleError(Exception):
    """A failure that may pass: what happened, and for how long Yahoo asks to wait, in seconds."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.wait_s = wait_s


class Yahoo:
    """Yahoo's charts and search.

    Args:
        address: where its hosts are found instead, each as the first part of the path; empty for the real ones.
        attempts: how often a question is asked before it is given up.
        pause_s: the wait after the first failure, in seconds; doubled after each further one.
        timeout_s: for how long an answer is waited for.
        longest_wait_s: if Yahoo asks for more patience than this, the person is told instead.
    """

    def __init__(
        self,
        address: str = "",
        attempts: int = 4,
        pause_s: float = 1.0,
        timeout_s: float = 20.0,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self.address = address.rstrip("/")
        self.attempts = attempts
        self.pause_s = pause_s
        self.timeout_s = timeout_s
        self.longest_wait_s = longest_wait_s

    def facts(self, symbol: str) -> Mapping[str, Any]:
        """What Yahoo knows of a symbol, as of `Answer.meta`. Errors as of `bars`."""
        return self._chart(symbol, interval="1d", period="5d").meta

    def bars(self, symbol: str, interval: str, start_s: int, end_s: int) -> Answer:
        """Its bars with ``start_s <= open time < end_s``, seconds since 1970 UTC, splits and dividends with them.

        Raises:
            NotFoundError: if Yahoo does not know the symbol; names similar ones.
            UsageError: if Yahoo does not keep such bars for so long; in its own words.
            PregaoError: if it cannot be reached, asks to wait too long, or keeps answering nonsense.
        """
        start, end = (pd.Timestamp(s, unit="s", tz="UTC") for s in (start_s, end_s))
        return self._chart(symbol, interval=interval, start=start, end=end)

    def search(self, words: str, count: int) -> list[Mapping[str, Any]]:
        """Instruments of every kind with words in their symbol or name, the best match first, as Yahoo tells them:
        ``symbol quoteType exchange`` and names.

        Raises:
            PregaoError: if it cannot be reached, asks to wait too long, or keeps answering nonsense.
        """
        return self._patiently(f"Yahoo gave no answer to {words!r}", lambda: self._search_once(words, count))

    def stream(self) -> Any:
        """yfinance's client of the stream of prices, not yet connected; ``closed`` is the error of a broken one."""
        from websockets.exceptions import ConnectionClosed

        url = "wss://streamer.finance.yahoo.com/?version=2"
        if self.address:
            url = f"ws{self.address.removeprefix('http')}/{url.removeprefix('wss://')}"
        client = _yfinance().AsyncWebSocket(url=url, verbose=False)
        client.closed = ConnectionClosed
        return client

    def _chart(self, symbol: str, **asked: Any) -> Answer:
        try:
            return self._patiently(f"Yahoo gave no bars of {symbol}", lambda: self._chart_once(symbol, asked))
        except KeyError:
            similar = self._similar(symbol)
            mend = f"Yahoo has {', '.join(similar)}." if similar else "Look it up on finance.yahoo.com."
            raise NotFoundError(
                f"Yahoo has no data of the symbol {symbol!r}: it does not exist, or is not listed any more.", mend
            ) from None

    def _chart_once(self, symbol: str, asked: Mapping[str, Any]) -> Answer:
        """One attempt. Raises `_TroubleError`, `UsageError`, or `KeyError` for a symbol that Yahoo does not know."""
        yfinance = _yfinance()
        session = _session(self.address)
        ticker = yfinance.Ticker(symbol, session=session)
        try:
            frame = ticker.history(auto_adjust=False, actions=True, timeout=self.timeout_s, **asked)
            return Answer(frame, _facts(ticker))
        except _TroubleError:
            raise
        except yfinance.exceptions.YFPricesMissingError as error:
            if error.yahoo_reason is None:
                facts = _facts(ticker)
                if facts.get("exchangeTimezoneName") is None:
                    raise _TroubleError("it answered without prices and without a reason") from error
                return Answer(_NOTHING, facts)
            if session.status == 404:
                raise KeyError(symbol) from error
            if session.status == 422:
                raise UsageError(f"Yahoo refuses: {error.yahoo_reason}", "Ask for a shorter span.") from error
            raise _TroubleError(f"it answered {error.yahoo_reason!r}") from error
        except yfinance.exceptions.YFTzMissingError as error:
            raise KeyError(symbol) from error
        except OSError as error:
            if session.status == 404:  # where it has no time zone of a symbol, yfinance looks for it elsewhere in vain
                raise KeyError(symbol) from error
            raise _TroubleError(f"it cannot be reached ({_short(error)})") from error
        except Exception as error:  # yfinance stumbles over nonsense in many ways: whatever it raises is the reason
            raise _TroubleError(f"it answered nonsense ({type(error).__name__}: {_short(error)})") from error

    def _search_once(self, words: str, count: int) -> list[Mapping[str, Any]]:
        """One attempt. Raises `_TroubleError`."""
        yfinance, session = _yfinance(), _session(self.address)
        yfinance.data.YfData.cache_get.cache_clear()
        asked = {"max_results": count, "news_count": 0, "lists_count": 0, "timeout": self.timeout_s}
        try:
            answer = yfinance.Search(words, session=session, **asked)
            if not isinstance(answer.response["quotes"], list):
                raise TypeError("no list")
            return list(answer.quotes)
        except _TroubleError:
            raise
        except OSError as error:
            raise _TroubleError(f"it cannot be reached ({_short(error)})") from error
        except Exception as error:  # as of a chart
            if session.status >= 400:
                raise _TroubleError(f"it refuses ({session.status})") from error
            raise _TroubleError(f"it answered nonsense ({type(error).__name__}: {_short(error)})") from error

    def _similar(self, symbol: str) -> list[str]:
        """Symbols that resemble one, with their names; empty if Yahoo does not say."""
        try:
            with _ONE_AT_A_TIME:
                found = self._search_once(symbol, 3)[:3]
        except _TroubleError:  # a suggestion is not worth an error of its own
            return []
        return [f"{quote['symbol']} ({quote.get('shortname', 'no name')})" for quote in found]

    def _patiently(self, failure: str, ask: Callable[[], T]) -> T:
        """The answer; where there is none, an error that begins with these words."""
        yfinance = _yfinance()  # before the warnings are turned off: its import turns its own on
        for attempt in range(1, self.attempts + 1):
            try:
                with _ONE_AT_A_TIME, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    # It remembers answers, the bad ones too.
                    yfinance.data.YfData.cache_get.cache_clear()
                    return ask()
            except _TroubleError as trouble:
                wait = self.pause_s * 2 ** (attempt - 1) if trouble.wait_s is None else trouble.wait_s
                if attempt == self.attempts or wait > self.longest_wait_s:
                    again = f"Try again in {wait:.0f} s." if trouble.wait_s is not None else _AGAIN
                    why = f" after {attempt} attempts: {trouble.what}." if attempt > 1 else f": {trouble.what}."
                    raise PregaoError(failure + why, again) from trouble
            time.sleep(wait)
        raise AssertionError("unreachable")


_AGAIN = "Check the network, and try again later; what is stored is unharmed."
_NOTHING = pd.DataFrame(
    {
        name: pd.Series(dtype="float64")
        for name in ("Open", "High", "Low", "Close", "Volume", "Dividends", "Stock Splits")
    },
    index=pd.DatetimeIndex([], tz="UTC"),
)


@cache
def _yfinance() -> Any:
    """The library, its caches in our own folder, its errors raised rather than logged."""
    import yfinance

    folder = settings().var / "yahoo"
    folder.mkdir(parents=True, exist_ok=True)
    yfinance.set_tz_cache_location(str(folder))
    yfinance.config.debug.hide_exceptions = False
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    return yfinance


@cache
def _session(address: str) -> Any:
    """A browser's session that tells a failing server from a failing answer, and may look elsewhere for the hosts."""
    from curl_cffi import requests

    class Session(requests.Session[Any]):
        status = 0

        def request(self, method: Any, url: str, *arguments: Any, **named: Any) -> Any:
            parts = urlsplit(url)
            if address:
                url = f"{address}/{parts.netloc}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
            self.status = 0
            response = super().request(method, url, *arguments, **named)
            self.status = response.status_code
            if parts.path.startswith(_ANSWERS):
                if self.status == 429:
                    raise _TroubleError("it asks to be left alone for a while (429)", _retry_after(response.headers))
                if self.status >= 500:
                    raise _TroubleError(f"its server failed ({self.status})", _retry_after(response.headers))
            return response

    return Session(impersonate="chrome")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, of a header with a number of them or with a date; None without one."""
    text = headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _facts(ticker: Any) -> dict[str, Any]:
    """What the last answer said besides the bars. (``ticker.history_metadata`` fails for a span without sessions.)"""
    meta = ticker._price_history._history_metadata or {}
    facts = {name: meta[name] for name in _META if meta.get(name) is not None}
    for name in ("firstTradeDate", "regularMarketTime"):
        if isinstance(facts.get(name), int | float):
            facts[name] = pd.Timestamp(facts[name], unit="s", tz="UTC")
    return facts


def _short(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:160].rstrip(". ")
