"""Following the champion of the registry: a promotion, wherever it was made, reaches a running session."""

from __future__ import annotations

import threading
from typing import NamedTuple

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.learning import registry
from pregao.learning.model import UnusableError
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


def misfit(new: Model, old: Model) -> str:
    """Why a model cannot take another one's place in a session; empty if it can."""
    for what, said in (("feature_hash", "features"), ("instrument", "instrument"), ("timeframe", "timeframe")):
        if new.meta.get(what) != old.meta.get(what):
            return f"it was trained for other {said}: {new.meta.get(what)} instead of {old.meta.get(what)}"
    return ""


class Watch:
    """Asks the registry in a thread of its own, so that a session never waits for it.

    Args:
        model: what the session trades with.
        known: the version that the session knows of, taken or refused.
    """

    def __init__(self, model: Model, known: str) -> None:
        self._name, self._model = model.name, model
        self._known = known
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
                version = registry.champion(self._name)
                if version is None or str(version) == self._known:
                    continue
                offer = self._made(str(version))
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
