"""The meta-model beside a session's model: it may veto an entry, never choose one or its side.

What it says is part of the recorded intent, so recovery never asks it again.
"""

from __future__ import annotations

import logging

from pregao.core.errors import PregaoError
from pregao.learning import meta_store
from pregao.sessions.intents import Decision
from pregao.strategies.desk import Desk

_LOG = logging.getLogger(__name__)


class Adviser:
    """Looks at what the session's model wants; without a meta-model for that very version it says nothing."""

    def __init__(self) -> None:
        self._known: tuple[str, int] = ("", 0)
        self._advice: meta_store.Advice | None = None

    def advised(self, decision: Decision, desk: Desk) -> Decision:
        """The decision, each entry with the meta-model's chance (``meta``), its digest (``by``) and whether it is
        vetoed (``veto``)."""
        model = desk.model
        if model is None or not any(body["action"] == "enter" for body in decision.intents):
            return decision
        advice = self._in_use(model.name)
        if advice is None or not advice.suits(str(model.version), model.meta.get("features", ())):
            return decision
        features, intents = desk.features(), []
        for body in decision.intents:
            if body["action"] == "enter" and body["p"] is not None and body["ev"] is not None:
                threshold = float(model.meta["threshold"])
                chance, kept = advice.of(float(body["p"]), float(body["ev"]), threshold, features)
                body = body | {"meta": repr(chance), "by": advice.digest[:12], "veto": not kept}
            intents.append(body)
        return decision._replace(intents=tuple(intents))

    def _in_use(self, name: str) -> meta_store.Advice | None:
        now = (name, meta_store.stamp(name))
        if now != self._known:
            self._known = now
            try:
                self._advice = meta_store.in_use(name)
            except PregaoError as error:
                self._advice = None
                _LOG.warning("%s", error)
        return self._advice
