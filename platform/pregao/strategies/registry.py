"""Discovery of strategy plugins: listed without importing them, each with its distribution and its state."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pregao.core.errors import PregaoError, UsageError, findings, refusals, unknown
from pregao.strategies.contract import API, APIS, StrategyConfig

GROUP = "pregao.strategies"
State = Literal["ok", "broken", "ambiguous"]


class BrokenPluginError(PregaoError):
    """A plugin that cannot be used: it fails to import, or does not keep the contract."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One registered strategy.

    Attributes:
        name: how it is asked for; ``distribution:name`` when two distributions register the same name.
        distribution, version: where it comes from.
        state: ``ok``, ``broken`` (see `error`), or ``ambiguous``: usable, by its qualified name only.
        error: why it is broken; empty otherwise.
        title, summary: for people; empty until `inspected`.
        needs_model: whether it needs a trained model.
    """

    name: str
    distribution: str
    version: str
    entry: EntryPoint
    state: State = "ok"
    error: str = ""
    title: str = ""
    summary: str = ""
    needs_model: bool = False

    def load(self) -> type[Any]:
        """Import the strategy class and hold it against the contract; raises `BrokenPluginError` with the reason."""
        try:
            found = self.entry.load()
        except BaseException as error:  # a plugin may fail in any way, even by SystemExit; it must hurt only itself
            if isinstance(error, KeyboardInterrupt):
                raise
            raise BrokenPluginError(
                f"The strategy {self.name!r} of {self.distribution} {self.version} fails to import: "
                f"{type(error).__name__}: {error}.",
                f"Mend or reinstall it: pip install --force-reinstall {self.distribution}",
            ) from error
        problem = breach_of(found)
        if problem:
            raise BrokenPluginError(
                f"The strategy {self.name!r} of {self.distribution} {self.version} does not keep the contract: "
                f"{problem}.",
                "See pregao.strategies.contract.",
            )
        return found  # type: ignore[no-any-return]

    def inspected(self) -> Plugin:
        """The same plugin after an attempt to import it: with its title, or as broken with its error."""
        try:
            strategy = self.load()
        except BrokenPluginError as error:
            return Plugin(self.name, self.distribution, self.version, self.entry, "broken", error.message)
        summary = (strategy.__doc__ or "").strip().split("\n")[0]
        return Plugin(
            self.name, self.distribution, self.version, self.entry, self.state, "",
            getattr(strategy, "title", self.name), summary, bool(getattr(strategy, "needs_model", False)),
        )  # fmt: skip


def breach_of(found: Any) -> str:
    """What a loaded object lacks of the contract, as the end of a sentence; empty if nothing."""
    if not isinstance(found, type):
        return f"it is a {type(found).__name__}, not a class"
    api = getattr(found, "api", None)
    if type(api) is int and api > API:
        return (
            f"it is written for api {api} of the contract, and this platform speaks {API}; "
            "upgrade Pregão (pip install --upgrade pregao), or install an older version of the plugin"
        )
    if api not in APIS:
        return f"its api is {getattr(found, 'api', 'missing')}, this platform speaks {API}"
    config = getattr(found, "Config", None)
    if not (isinstance(config, type) and issubclass(config, StrategyConfig)):
        return "its Config is not a StrategyConfig"
    missing = [name for name in ("warmup", "on_bar", "save", "load") if not callable(getattr(found, name, None))]
    return f"it lacks {', '.join(missing)}" if missing else ""


def discover() -> list[Plugin]:
    """Every registered strategy, by name, read from the installed distributions without importing any."""
    return list(_discovered(_installed()))


def _installed() -> tuple[tuple[str, int], ...]:
    """What changes when a distribution is installed or removed: the folders of the import path, and their times."""
    found = []
    for folder in sys.path:
        try:
            found.append((folder, os.stat(folder or ".").st_mtime_ns))
        except OSError:
            continue
    return tuple(found)


@lru_cache(maxsize=4)  # a process that begins a hundred sessions would read every distribution four hundred times
def _discovered(_installed: tuple[tuple[str, int], ...]) -> tuple[Plugin, ...]:
    entries = sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.dist.name if e.dist else ""))
    names = [entry.name for entry in entries]
    plugins = []
    for entry in entries:
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else ""
        shared = names.count(entry.name) > 1
        name = f"{distribution}:{entry.name}" if shared else entry.name
        plugins.append(Plugin(name, distribution, version, entry, "ambiguous" if shared else "ok"))
    return tuple(plugins)


def load(name: str) -> type[Any]:
    """The strategy class of a name, or of ``distribution:name``.

    Raises:
        NotFoundError: naming the strategies that are installed.
        BrokenPluginError: if it cannot be used.
    """
    plugins = discover()
    for plugin in plugins:
        if name in (plugin.name, f"{plugin.distribution}:{plugin.entry.name}"):
            return plugin.load()
    rivals = [p.name for p in plugins if p.entry.name == name]
    if rivals:
        raise UsageError(f"Two distributions have a strategy {name!r}.", f"Say which: {', '.join(rivals)}.")
    raise unknown("strategy", name, [p.name for p in plugins], "Install more with pip; `pregao plugins` lists them.")


def configured(name: str, config: dict[str, Any]) -> Any:
    """A strategy with its settings, validated by its own ``Config``.

    Raises:
        NotFoundError, BrokenPluginError: as `load`.
        UsageError: naming each setting that is wrong.
    """
    return made(load(name), name, config)


def made(strategy: type[Any], name: str, config: dict[str, Any]) -> Any:
    """A strategy of a loaded class with its settings; raises `UsageError` as `configured`."""
    from pydantic import ValidationError

    try:
        settings = strategy.Config(**config)
    except (ValidationError, TypeError) as error:
        problems = "; ".join(refusals(error)) if isinstance(error, ValidationError) else str(error)
        known = ", ".join(strategy.Config.model_fields) or "none"
        raise UsageError(
            f"The settings of {name!r} are wrong: {problems}.", f"Its settings: {known}.",
            findings(error) if isinstance(error, ValidationError) else (),
        ) from None  # fmt: skip
    return strategy(settings)
