"""Clients of exchanges: ccxt's classes, pointed where they should and strict about what they are answered.

The environment of a process may say, for an exchange such as ``binance``:

- ``PREGAO_CCXT_BINANCE_URL``: where its API is, in place of its own hosts (a gateway, a test server);
- ``PREGAO_CCXT_BINANCE_KEY``, ``…_SECRET``, ``…_PASSWORD``: the credentials. They are nowhere else: never an option,
  never in a log. Market data needs none.
"""

from __future__ import annotations

import difflib
import os
import re
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import ccxt
from pydantic import Field, field_validator

from pregao import keys
from pregao.core.errors import NotFoundError, UsageError
from pregao.market.sources import SourceOptions

Kind = Literal["spot", "swap"]
TIMEOUT_MS = 15_000
_HOST = re.compile(r"^(http|ws)s?://[^/]+")
_SECRETS = {"apiKey": "KEY", "secret": "SECRET", "password": "PASSWORD"}
_TYPES = {"spot": "spot", "swap": "linear"}


class CcxtOptions(SourceOptions):
    """Options of the source ``ccxt``."""

    exchange: str = Field(default="binance", description="Which exchange, by ccxt's name")
    kind: Kind = Field(default="spot", description="Spot, or swap for linear perpetual contracts")
    base_url: str | None = Field(default=None, description="Where the exchange's API is, in place of its own hosts")
    tick_size: str | None = Field(default=None, description="A price grid finer than today's, for older prices")

    @field_validator("exchange")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ccxt.exchanges:
            near = difflib.get_close_matches(name.lower(), ccxt.exchanges, 3, 0.6) or ["binance", "kraken", "bybit"]
            raise ValueError(f"ccxt knows no exchange {name!r}; near it: {', '.join(near)}")
        return name

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        if url is not None and (not re.match(r"^https?://[^/@\s]+(/[^@\s]*)?$", url)):
            raise ValueError(f"{url!r} is not of the form http(s)://HOST[:PORT] without a name or password in it")
        return url.rstrip("/") if url else None


class _Strict:
    """What ccxt leaves out: an answer that is no JSON is an error, and Retry-After is kept.

    ccxt takes a page whose JSON is cut off for an empty one, which would look like the end of the history.
    """

    retry_after_s: float | None = None

    def handle_errors(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, response: Any, *rest: Any
    ) -> Any:
        if code >= 400:
            self.retry_after_s = _seconds(headers)
        elif response is None:
            raise ccxt.BadResponse(f"{url} answered {len(body or '')} characters that are no JSON")
        return super().handle_errors(code, reason, url, method, headers, body, response, *rest)  # type: ignore[misc]


def open_client(options: CcxtOptions, family: Any = ccxt, *mixins: type) -> Any:
    """A client of the exchange.

    Args:
        options: which exchange, which markets, where.
        family: the module with its class: ``ccxt``, ``ccxt.async_support`` or ``ccxt.pro``.
        mixins: classes whose methods come before the exchange's own.

    Raises:
        UsageError: if this family has no such exchange.
    """
    name = options.exchange
    kind = getattr(family, name, None)
    if kind is None:
        raise UsageError(f"ccxt offers no such access to {name}.", "Use another exchange.")
    settings: dict[str, Any] = {
        "enableRateLimit": True,
        "timeout": TIMEOUT_MS,
        "options": {"defaultType": options.kind},
    }
    if name.startswith("binance"):
        settings["options"] |= {
            "fetchMarkets": {"types": [_TYPES[options.kind]]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        }
    prefix = f"PREGAO_CCXT_{name.upper()}_"
    found = {ours: keys.find(prefix + theirs) for ours, theirs in _SECRETS.items()}
    settings |= {ours: key for ours, key in found.items() if key is not None}
    client = type(kind.__name__, (*mixins, _Strict, kind), {})(settings)
    if name.startswith("binance"):
        client.has["fetchCurrencies"] = False  # asked for with credentials, and of no use here
    base = options.base_url or os.environ.get(prefix + "URL")
    if base:
        client.urls["api"] = _moved(client.urls["api"], base.rstrip("/"))
    return client


def host(client: Any) -> str:
    """The host that the client talks to, for a person."""
    return _first_host(client.urls["api"]).replace("{hostname}", str(client.hostname or client.id))


def match(client: Any, wanted: str, kind: Kind) -> Any:
    """The market with this symbol, in ccxt's, the store's or the exchange's own spelling (BTC/USDT, BTC-USDT, BTCUSDT).

    Raises:
        NotFoundError: if the exchange has none; names those near it.
    """
    offered = {symbol: market for symbol, market in client.markets.items() if _is(market, kind)}
    spelled: dict[str, Any] = {}
    for symbol, market in offered.items():
        for name in (symbol, str(market["id"])):
            spelled.setdefault(plain(name), market)
        if kind == "swap":
            spelled.setdefault(plain(symbol.partition(":")[0]), market)
    found = spelled.get(plain(wanted))
    if found is not None:
        return found
    near = difflib.get_close_matches(plain(wanted), spelled, 5, 0.5)
    names = list(dict.fromkeys(spelled[name]["symbol"] for name in near)) or sorted(offered)[:5]
    raise NotFoundError(
        f"{client.id} has no {kind} symbol {wanted!r}.", f"Near it: {', '.join(names)}." if names else "It lists none."
    )


def traded(client: Any, kind: Kind) -> list[str]:
    """The symbols that the exchange trades now; ``active`` is None where it does not say."""
    return [s for s, market in client.markets.items() if _is(market, kind) and market.get("active") is not False]


def _is(market: Any, kind: Kind) -> bool:
    return bool(market.get("spot")) if kind == "spot" else bool(market.get("swap") and market.get("linear"))


def plain(symbol: str) -> str:
    """A symbol without what its spellings differ in."""
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())


def _moved(urls: Any, base: str) -> Any:
    """The same addresses at another host, however deep they are nested."""
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    return _HOST.sub(lambda found: base.replace("http", "ws", 1) if found[1] == "ws" else base, urls)


def _first_host(urls: Any) -> str:
    if isinstance(urls, dict):
        return _first_host(urls.get("public") or next(iter(urls.values())))
    return str(urls).partition("://")[2].partition("/")[0]


def _seconds(headers: Any) -> float | None:
    """The header Retry-After, as seconds or as a date, in seconds from now."""
    text = next((str(value) for name, value in dict(headers or {}).items() if name.lower() == "retry-after"), None)
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    import time

    return max(0.0, moment.timestamp() - time.time())
