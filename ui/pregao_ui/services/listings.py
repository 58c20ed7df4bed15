"""What venues trade: asked over the network once an hour at most, beside the page, which never waits for it long."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from pregao.core.errors import PregaoError
from pregao.market import sources
from pregao.market.sources import Listed

FRESH_S = 3_600.0
AGAIN_S = 10.0
"""After which a venue that did not answer is asked again."""
PATIENCE_S = 20.0
KEPT = 256
"""Answers that are remembered at most."""


class Listing(NamedTuple):
    """The markets that a venue trades now, or those that it found by words; ``error`` if it did not say."""

    found: tuple[Listed, ...]
    error: PregaoError | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the markets."""
        return tuple(one.symbol for one in self.found)


class _Question(NamedTuple):
    source: str
    options: tuple[tuple[str, Any], ...]
    words: str

    @classmethod
    def of(cls, source: str, options: Mapping[str, Any], words: str) -> _Question:
        return cls(source, tuple(sorted(options.items())), " ".join(words.casefold().split()))


class Listings:
    """The lists of markets of venues, whole or by words; a source that has none is told apart by its error."""

    def __init__(self) -> None:
        self._asked: dict[_Question, tuple[float, Future[Listing]]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="listings")

    def known(self, source: str, options: Mapping[str, Any], words: str = "") -> Listing | None:
        """What is known of a venue without asking; None if it has not answered yet."""
        _, asked = self._asked.get(_Question.of(source, options, words), (0.0, None))
        return asked.result() if asked is not None and asked.done() else None

    def market(self, source: str, options: Mapping[str, Any], symbol: str) -> Listed | None:
        """The market with this symbol, in capitals or not, if any search has found it; without asking."""
        with self._lock:
            venue = _Question.of(source, options, "")[:2]
            asked = [each for question, (_, each) in self._asked.items() if question[:2] == venue]
        found = (one for each in asked if each.done() for one in each.result().found)
        return next((one for one in found if one.symbol.casefold() == symbol.casefold()), None)

    def ask(
        self, source: str, options: Mapping[str, Any], words: str = "", patience_s: float = PATIENCE_S
    ) -> Listing | None:
        """What a venue trades, as of an hour ago at most; None if it takes longer than ``patience_s``."""
        question = _Question.of(source, options, words)
        with self._lock:
            since, asked = self._asked.pop(question, (0.0, None))
            if asked is None or (asked.done() and time.monotonic() - since > _lasts_s(asked.result())):
                since, asked = time.monotonic(), self._pool.submit(_listed, question)
            self._asked[question] = (since, asked)  # the newest stands last
            for oldest in list(self._asked)[:-KEPT]:
                del self._asked[oldest]
        try:
            return asked.result(patience_s)
        except TimeoutError:
            return None

    def find(self, source: str, options: Mapping[str, Any], words: str) -> tuple[Listed, ...]:
        """As `ask`, for whom an error is an answer.

        Raises:
            NotFoundError: if there is no such source.
            UsageError: if it does not tell what it has, or not without words.
            PregaoError: if its venue does not answer.
        """
        listing = self.ask(source, options, words)
        if listing is None:
            raise PregaoError(f"{source} has not answered within {PATIENCE_S:.0f} s.", "Try again later.")
        if listing.error is not None:
            raise listing.error.with_traceback(None)
        return listing.found


def _lasts_s(listing: Listing) -> float:
    return FRESH_S if listing.error is None else AGAIN_S


def _listed(question: _Question) -> Listing:
    try:
        return Listing(tuple(sources.listed(question.source, dict(question.options), question.words)))
    except PregaoError as error:
        return Listing((), error)
