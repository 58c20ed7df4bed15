"""The model registry: versions, what the gate said, who trades."""

from __future__ import annotations

import threading
import time

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
