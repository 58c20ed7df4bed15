"""The model registry: versions, what the gate said, who trades."""

from __future__ import annotations

import threading
import time
from typing import Any

from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.strategies.contract import Model
from pregao_ui.schemas.models import ModelOut

REGISTRY_FRESH_S = 3.0


class Models:
    """The registered models; MLflow is imported at the first question."""

    def __init__(self) -> None:
        self._listed: tuple[float, list[ModelOut]] | None = None
        self._champions: dict[str, tuple[float, Model | None]] = {}
        self._lock = threading.Lock()

    def all(self) -> list[ModelOut]:
        """The registered versions, newest first, as of three seconds ago at most."""
        with self._lock:
            if self._listed is None or time.monotonic() - self._listed[0] > REGISTRY_FRESH_S:
                from pregao.learning.registry import list_models

                self._listed = (time.monotonic(), [ModelOut.of(info) for info in list_models()])
            return self._listed[1]

    def report(self, name: str, version: str) -> str:
        """The page on a version of a model; raises `NotFoundError`."""
        from pregao.learning.registry import report_page

        return report_page(name, version)

    def portrait(self, name: str, version: str) -> dict[str, Any]:
        """A version with what its report has to draw, see `pregao.learning.portrait.portrait`."""
        from pregao.learning.portrait import portrait

        return portrait(name, version)

    def compared(self, name: str, one: str, other: str) -> dict[str, Any]:
        """Two versions of a model side by side, see `pregao.learning.portrait.side_by_side`."""
        from pregao.learning.portrait import side_by_side

        return side_by_side((name, one), (name, other))

    def drift(self, name: str) -> list[dict[str, Any]]:
        """What the monitor found of a model, check after check, the oldest first."""
        from pregao.learning.drift_history import history

        return history(name)

    def promote(self, name: str, version: str, reason: str) -> ModelOut:
        """Make a version the champion by hand, or go back to ``previous``; recorded with the person's reason.

        Raises:
            NotFoundError: if there is no such model or version.
            PregaoError: if the version cannot be used, or the registry cannot be reached.
        """
        from pregao.learning import registry

        with self._lock:
            try:
                return ModelOut.of(registry.promote(name, version, reason=reason))
            finally:
                self._listed = None
                self._champions.pop(name, None)

    def champion(self, instrument: Instrument, timeframe: Timeframe) -> Model | None:
        """The model that trades an instrument, as of a few seconds ago; None if the gate has passed none."""
        with self._lock:
            from pregao.learning import registry

            name = registry.model_name(instrument, timeframe)
            asked, found = self._champions.get(name, (-REGISTRY_FRESH_S, None))
            if time.monotonic() - asked > REGISTRY_FRESH_S:
                found = registry.load(name) if registry.champion(name) is not None else None
                self._champions[name] = (time.monotonic(), found)
            return found
