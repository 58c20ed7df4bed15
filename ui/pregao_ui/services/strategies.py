"""The installed strategies with the forms of their settings."""

from __future__ import annotations

from functools import cached_property

from pregao.strategies import registry
from pregao_ui.schemas.strategies import StrategyOut


class Strategies:
    """What is installed in this process."""

    @cached_property
    def all(self) -> list[StrategyOut]:
        """Every installed strategy, the broken ones with their error. Importing them takes a moment, once."""
        found = []
        for plugin in registry.discover():
            known = plugin.inspected()
            schema = None if known.state == "broken" else known.load().Config.model_json_schema()
            found.append(
                StrategyOut(
                    name=known.name,
                    title=known.title or known.name,
                    summary=known.summary,
                    distribution=known.distribution,
                    version=known.version,
                    state=known.state,
                    error=known.error,
                    needs_model=known.needs_model,
                    settings=schema,
                )
            )
        return found

    def usable(self, name: str | None) -> StrategyOut | None:
        """A strategy by its name that is not broken; None if there is none."""
        return next((s for s in self.all if s.name == name and s.state != "broken"), None)
