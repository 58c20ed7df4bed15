"""What venues trade: asked over the network once an hour at most, beside the page, which never waits for it long."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from pregao.core.errors import PregaoError
from pregao.market import sources

FRESH_S = 3_600.0
AGAIN_S = 10.0
"""After which a venue that did not answer is asked again."""
PATIENCE_S = 20.0


class Listing(NamedTuple):
    """The symbols that a venue trades now, by name; ``away`` if it did not say."""

    symbols: tuple[str, ...]
    away: bool = False


class Listings:
    """The lists of markets of venues; a source that has none for its venue is never asked."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], tuple[float, Future[Listing]]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="listings")

    def known(self, source: str, options: Mapping[str, Any]) -> Listing | None:
        """What is known of a venue without asking; None if it has not answered yet."""
        _, asked = self._asked.get(_key(source, options), (0.0, None))
        return asked.result() if asked is not None and asked.done() else None

    def ask(self, source: str, options: Mapping[str, Any], patience_s: float = PATIENCE_S) -> Listing | None:
        """What a venue trades, as of an hour ago at most; None if it takes longer than ``patience_s``."""
        key = _key(source, options)
        with self._lock:
            since, asked = self._asked.get(key, (0.0, None))
            age = time.monotonic() - since
            if asked is None or (asked.done() and age > (AGAIN_S if asked.result().away else FRESH_S)):
                asked = self._pool.submit(_listed, source, dict(options))
                self._asked[key] = (time.monotonic(), asked)
        try:
            return asked.result(patience_s)
        except TimeoutError:
            return None


def _key(source: str, options: Mapping[str, Any]) -> tuple[str, str]:
    return source, repr(sorted(options.items()))


def _listed(source: str, options: Mapping[str, Any]) -> Listing:
    try:
        found = sources.source(source)
        if not isinstance(found, sources.ListedSource):
            return Listing((), away=True)
        return Listing(tuple(found.symbols(sources.read_options(found.Options, options))))
    except PregaoError:  # told beside the field: any market may be typed, and the start says why it cannot be followed
        return Listing((), away=True)
