"""A plugin project to begin with: a strategy that trades, its settings, its tests and how to publish it."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path
from string import Template

from pregao import __version__
from pregao.core.errors import UsageError
from pregao.strategies.registry import discover

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 50
_RULE = "Use small letters, digits and single hyphens, such as mean-reverter."


def new_plugin(name: str, folder: Path, title: str = "") -> list[Path]:
    """Write a plugin project into ``folder / name``.

    Args:
        name: of the distribution and of the strategy; the module has underscores for the hyphens.
        title: for people; made of the name by default.

    Returns:
        The files, the project's folder before each.

    Raises:
        UsageError: for a name that cannot be one or that is taken, or a folder that exists or cannot be written to.
    """
    module = _module(name)
    title = title.strip() or name.replace("-", " ").capitalize()
    if '"' in title or "\\" in title or not title.isprintable():
        raise UsageError(f"The title {title!r} cannot stand in the code.", "Leave out quotes and backslashes.")
    words = {
        "name": name, "module": module, "title": title, "version": ".".join(__version__.split(".")[:2]),
        "class_name": "".join(part.capitalize() for part in name.split("-")),
    }  # fmt: skip
    project = folder / name
    places = {
        "pyproject.toml.txt": "pyproject.toml",
        "README.md.txt": "README.md",
        "gitignore.txt": ".gitignore",
        "init.py.txt": f"src/{module}/__init__.py",
        "strategy.py.txt": f"src/{module}/strategy.py",
        "test.py.txt": f"tests/test_{module}.py",
    }
    template = files("pregao.operations") / "plugin_template"
    written = []
    try:
        project.mkdir(parents=True)
        for source, place in places.items():
            path = project / place
            path.parent.mkdir(parents=True, exist_ok=True)
            text = Template((template / source).read_text(encoding="utf-8")).substitute(words)
            path.write_text(text, encoding="utf-8")
            written.append(path)
        typed = project / "src" / module / "py.typed"
        typed.touch()
    except FileExistsError as error:
        raise UsageError(f"{project} exists already.", "Choose another name, or another folder with --into.") from error
    except OSError as error:
        raise UsageError(f"{project} cannot be written: {error.strerror}.", "Choose another folder with --into.") from (
            error
        )
    return [*written, typed]


def _module(name: str) -> str:
    """The module of a name that can be one and is free."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(f"{name!r} cannot be the name of a plugin.", f"{_RULE} At most {_LONGEST} characters.")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module) or module in sys.stdlib_module_names:
        raise UsageError(f"{name!r} is a word of Python's own.", "Add a word to it, such as my-" + name + ".")
    taken = {plugin.entry.name: plugin.distribution for plugin in discover()}
    if name in taken:
        raise UsageError(f"There is a strategy {name!r} already, in {taken[name]}.", "Choose another name.")
    if module in packages_distributions():
        raise UsageError(
            f"There is a package {module!r} already, in {packages_distributions()[module][0]}.", "Choose another name."
        )
    return module
