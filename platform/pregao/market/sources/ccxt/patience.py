"""Trying again: which failures may pass, how long to wait, and what to say when patience ends."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ccxt

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.market.feeds.wire import BusyError
from pregao.market.sources.ccxt.client import host

T = TypeVar("T")
_OFFLINE = "Check the network. The sources `sample` and `synthetic` work without one."
AGAIN = "Run it again later: it goes on where it stopped."
_MISREAD = (TypeError, KeyError, AttributeError, IndexError, ValueError, ArithmeticError)
"""What ccxt raises where an answer is JSON, but not what its parser expects."""
_NO_ROUTE = ("ConnectionError", "ClientConnectorError", "ClientConnectorDNSError", "ConnectTimeout")


class UnreachableError(PregaoError):
    """No connection to the exchange could be made."""


class RateLimitedError(BusyError):
    """The exchange refuses requests for longer than we wait."""


class VenueError(PregaoError):
    """The exchange failed, or answered what cannot be understood, until patience ended."""


@dataclass(frozen=True)
class Patience:
    """How often and how long a failed request is tried again.

    The wait before try ``n`` is ``min(first_s * 2**(n - 1), most_s)`` times a random factor from 0.5 to 1, so that
    many clients do not come back together; or what the exchange asks for by Retry-After, if that is longer.

    Attributes:
        tries: requests in all.
        first_s, most_s: the first and the longest wait.
        longest_s: a longer Retry-After is not waited for.
    """

    tries: int = 6
    first_s: float = 0.5
    most_s: float = 30.0
    longest_s: float = 120.0
    _random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def wait_s(self, tried: int, asked_s: float | None) -> float:
        """Seconds to wait after ``tried`` failures."""
        own: float = min(self.first_s * 2.0 ** (tried - 1), self.most_s) * self._random.uniform(0.5, 1.0)
        return own if asked_s is None else max(own, asked_s * self._random.uniform(1.0, 1.05))

    def call(self, client: Any, request: Callable[[], T]) -> T:
        """The answer to a request, tried again while that can help. Raises as `plain` says."""
        for tried in range(1, self.tries + 1):
            client.retry_after_s = None
            try:
                return request()
            except (ccxt.BaseError, *_MISREAD) as error:
                time.sleep(self._after(client, error, tried))
        raise AssertionError

    async def acall(self, client: Any, request: Callable[[], Awaitable[T]]) -> T:
        """As `call`, for an asynchronous client."""
        for tried in range(1, self.tries + 1):
            client.retry_after_s = None
            try:
                return await request()
            except (ccxt.BaseError, *_MISREAD) as error:
                await asyncio.sleep(self._after(client, error, tried))
        raise AssertionError

    def _after(self, client: Any, error: Exception, tried: int) -> float:
        """How long to wait after this failure; raises where waiting does not help."""
        asked = client.retry_after_s
        if not passing(error) or tried >= self.tries or (asked is not None and asked > self.longest_s):
            raise plain(client, error, tried) from error
        return self.wait_s(tried, asked)


def passing(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    return isinstance(error, (ccxt.OperationFailed, ccxt.BadResponse, *_MISREAD))


def plain(client: Any, error: BaseException, tried: int) -> PregaoError:
    """ccxt's error in plain words.

    Returns:
        `NotFoundError` for a symbol, `UsageError` for anything else that was asked wrongly; `UnreachableError` without
        a connection, `RateLimitedError`, else `VenueError`.
    """
    name, asked = client.id, client.retry_after_s
    if isinstance(error, ccxt.BadSymbol):
        return NotFoundError(f"{name} does not know this symbol any more: {_said(error)}.", "It may be delisted.")
    if isinstance(error, ccxt.AuthenticationError):
        return UsageError(
            f"{name} refused the credentials: {_said(error)}.",
            f"Correct PREGAO_CCXT_{name.upper()}_KEY and …_SECRET, or unset them: market data needs none.",
        )
    if isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
        long = f"{name} refuses more requests from this address for {asked or 0:,.0f} s."
        said = long if asked else f"{name} refuses more requests from this address."
        return RateLimitedError(said, AGAIN, asked or 0.0)
    if isinstance(error, ccxt.RequestTimeout):
        who = f"{name} ({host(client)})"
        often = f"{who} did not answer in time {tried} times in a row."
        return VenueError(often if tried > 1 else f"{who} did not answer in time.", AGAIN)
    if isinstance(error, ccxt.NetworkError) and type(error.__cause__).__name__ in _NO_ROUTE:
        return UnreachableError(f"{name} cannot be reached: no connection to {host(client)}.", _OFFLINE)
    if passing(error):
        why = _said(error)
        often = f"{name} failed {tried} times in a row: {why}."
        return VenueError(often if tried > 1 else f"{name} failed: {why}.", AGAIN)
    return UsageError(
        f"{name} refused the request: {_said(error)}.", "Ask for something else, or use another exchange."
    )


def _said(error: BaseException) -> str:
    """What the exchange said, in one short line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}".rstrip(".")
