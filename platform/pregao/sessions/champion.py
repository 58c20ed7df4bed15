"""Following the champion of the registry: a promotion, wherever it was made, reaches a running session."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import NamedTuple

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.learning import registry
from pregao.learning.model import UnusableError
from pregao.settings import settings
from pregao.strategies.contract import Model

POLL_S = 2.0
"""The registry is asked this often."""


class RegistryAwayError(PregaoError):
    """The registry cannot be reached: the session waits for it, and is not failed."""


class Offer(NamedTuple):
    """A new champion. ``model`` is None if it cannot be used by this session, for ``reason``."""

    version: str
    model: Model | None
    reason: str


def loaded(name: str, version: str) -> Model:
    """A version of a model.

    Raises:
        NotFoundError, UnusableError: if there is no such version, or it cannot be used.
        RegistryAwayError: if the registry cannot be reached.
    """
    try:
        return registry.load(name, version)
    except (NotFoundError, UsageError, UnusableError):
        raise
    except PregaoError as error:
        raise RegistryAwayError(error.message, "The session goes on when MLflow is back.") from error


class _Asked:
    """The champion of a name, asked once for all sessions of this process that want to know it at the same time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._at = float("-inf")
        self._found: str | None = None
        self._failed: PregaoError | None = None

    def version(self, name: str, alias: str) -> str | None:
        """Its version, no older than half of `POLL_S`; raises `PregaoError` if it cannot be told."""
        with self._turn:
            if time.monotonic() - self._at > POLL_S / 2:
                try:
                    found = registry.aliased(name, alias)
                    self._found, self._failed = None if found is None else str(found), None
                except PregaoError as error:
                    self._failed = error
                self._at = time.monotonic()
            if self._failed is not None:
                raise self._failed
            return self._found


@lru_cache(maxsize=1_024)
def _asked(name: str, alias: str, tracking: str) -> _Asked:
    return _Asked()


def current(name: str, alias: str = registry.CHAMPION) -> str | None:
    """The version that an alias points to, asked once for all sessions of this process within half of `POLL_S`; None
    if it points nowhere. Raises `PregaoError` if it cannot be told."""
    return _asked(name, alias, settings().tracking_uri).version(name, alias)


def misfit(new: Model, old: Model) -> str:
    """Why a model cannot take another one's place in a session; empty if it can."""
    for what, said in (("feature_hash", "features"), ("instrument", "instrument"), ("timeframe", "timeframe")):
        if new.meta.get(what) != old.meta.get(what):
            return f"it was trained for other {said}: {new.meta.get(what)} instead of {old.meta.get(what)}"
    if new.meta.get("others", {}) != old.meta.get("others", {}):
        return "its features look at other instruments"
    return ""


class Watch:
    """Asks the registry in a thread of its own, so that a session never waits for it.

    Args:
        model: what the session trades with.
        known: the version that the session knows of, taken or refused.
        alias: what is followed; a shadow follows the challenger.
    """

    def __init__(self, model: Model, known: str, alias: str = registry.CHAMPION) -> None:
        self._name, self._model = model.name, model
        self._known, self._alias = known, alias
        self._offer: Offer | None = None
        self._changed = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watches {model.name}", daemon=True)
        self._thread.start()

    def take(self) -> Offer | None:
        """The newest champion, once; None if there is no other than before."""
        with self._changed:
            offer, self._offer = self._offer, None
        return offer

    def close(self) -> None:
        """Stop asking; a question on its way is not waited for."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(POLL_S):
            try:
                version = current(self._name, self._alias)
                if version is None or version == self._known:
                    continue
                offer = self._made(version)
            except PregaoError:
                continue  # away: the champion of before stays until it is back
            with self._changed:
                self._known, self._offer = offer.version, offer

    def _made(self, version: str) -> Offer:
        try:
            model = loaded(self._name, version)
        except RegistryAwayError:
            raise
        except PregaoError as error:
            return Offer(version, None, error.message)
        reason = misfit(model, self._model)
        return Offer(version, None if reason else model, reason)
