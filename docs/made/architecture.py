"""The picture of the architecture: the packages on their layers, and who imports whom, drawn from the code itself.

Layers come from the contract in ``pyproject.toml`` that ``make lint`` holds the code to, imports from the code itself
(grimp). An arrow leads from a package to what it imports. An import that follows from others (A imports B, B imports C,
and A imports C as well) is drawn faintly. Nothing is drawn by hand, so the picture cannot be out of date.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PACKAGES = ("pregao", "pregao_flows", "pregao_ui")
SETTINGS = "pregao.settings"
"""With the other modules beside it (secrets, keys): read by what is not pure and importing the core only, so they are
drawn as one box on a layer of its own above the core."""
PLUGINS = "plugins"
"""All plugins as one box at the top: nothing of the platform imports one."""
_WIDTH, _ROW, _BOX_W, _BOX_H = 900, 92, 210, 46


@dataclass(frozen=True)
class Structure:
    """Packages on layers, the highest first, and the imports between them: ``(importer, imported)``."""

    layers: tuple[tuple[str, ...], ...]
    imports: frozenset[tuple[str, str]]
    modules: Mapping[str, int]

    def level(self, package: str) -> int:
        """Which layer a package is on, 0 the highest."""
        return next(i for i, layer in enumerate(self.layers) if package in layer)

    @property
    def essential(self) -> frozenset[tuple[str, str]]:
        """The imports that do not follow from others."""
        below: dict[str, set[str]] = {name: {b for a, b in self.imports if a == name} for name in self.modules}
        for middle in below:
            for reached in below.values():
                if middle in reached:
                    reached |= below[middle]
        return frozenset(
            (a, c)
            for a, c in self.imports
            if not any((a, b) in self.imports and c in below[b] for b in below if b not in (a, c))
        )


@cache
def structure() -> Structure:
    """What the code is today; the imports at any depth within two packages, those inside functions too."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    named = next(one["layers"] for one in contract if one["type"] == "layers")
    layers = [tuple(name.strip() for name in row.split("|")) for row in named]
    layers.insert(-1, (SETTINGS,))
    layers[0] = (*layers[0], PLUGINS)
    plugins = {path.parent.name: path.parents[1] for path in ROOT.glob("plugins/*/src/*/__init__.py")}
    # The folders of this tree, wherever else the packages are installed.
    sys.path[:0] = [str(ROOT / folder) for folder in ("platform", "flows", "ui")] + [
        str(path) for path in plugins.values()
    ]
    graph = grimp.build_graph(*PACKAGES, *plugins, cache_dir=None)
    packages = [name for layer in layers for name in layer]

    def owner(module: str) -> str | None:
        if module.partition(".")[0] in plugins:
            return PLUGINS
        above = next((name for name in packages if module == name or module.startswith(f"{name}.")), None)
        return SETTINGS if above is None and module.startswith("pregao.") else above

    imports, modules = set(), dict.fromkeys(packages, 0)
    for module in graph.modules:
        if (above := owner(module)) is not None:
            modules[above] += 1
            below = {owner(name) for name in graph.find_modules_directly_imported_by(module)}
            imports |= {(above, name) for name in below if name is not None and name != above}
    return Structure(tuple(layers), frozenset(imports), modules)


def picture() -> str:
    """The picture as SVG, which follows the colours of the page's theme."""
    built = structure()
    height = _ROW * len(built.layers)
    places: dict[str, tuple[float, float]] = {}
    for i, layer in enumerate(built.layers):
        for j, name in enumerate(layer):
            # Rows of one box lean to one side in turn, so that arrows past a layer do not run through its box.
            lean = (-0.5, 0.5)[i % 2] * _BOX_W if len(layer) == 1 else 0.0
            x = _WIDTH * (j + 1) / (len(layer) + 1) + lean
            places[name] = (x, i * _ROW + _ROW / 2)
    arrows = [_arrow(places[a], places[b], a, b, (a, b) in built.essential) for a, b in sorted(built.imports)]
    boxes = [_box(name, built.modules[name], place) for name, place in places.items()]
    return "\n".join((_HEAD.format(width=_WIDTH, height=height), *arrows, *boxes, "</svg>\n"))


def _arrow(start: tuple[float, float], end: tuple[float, float], above: str, below: str, essential: bool) -> str:
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + _BOX_H / 2, y2 - _BOX_H / 2
    x1, x2 = x1 + (x2 - x1) * 0.12, x2 - (x2 - x1) * 0.12
    bend = max((y2 - y1) * 0.45, 16)
    kind = "essential" if essential else "implied"
    course = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    ends = f'data-from="{above}" data-to="{below}"'
    return f'<path class="{kind}" d="{course}" {ends}><title>{above} imports {below}</title></path>'


def _box(name: str, modules: int, place: tuple[float, float]) -> str:
    x, y = place
    return (
        f'<g data-package="{name}">'
        f'<rect x="{x - _BOX_W / 2:.1f}" y="{y - _BOX_H / 2:.1f}" width="{_BOX_W}" height="{_BOX_H}" rx="6"/>'
        f'<text x="{x:.1f}" y="{y - 2:.1f}">{escape(name)}</text>'
        f'<text class="small" x="{x:.1f}" y="{y + 14:.1f}">{modules} module{"s" * (modules != 1)}</text></g>'
    )


_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="Packages, imports">
<style>
rect {{ fill: #f4f8f8; stroke: #00796b; stroke-width: 1.5 }}
text {{ font: 15px ui-monospace, monospace; text-anchor: middle; fill: #16302d }}
.small {{ font-size: 11px; fill: #567 }}
path {{ fill: none; stroke: #00796b; marker-end: url(#head) }}
.essential {{ stroke-width: 1.8 }}
.implied {{ stroke-width: 1; opacity: 0.28 }}
@media (prefers-color-scheme: dark) {{
  rect {{ fill: #17302d; stroke: #4db6ac }} text {{ fill: #e6f2f0 }} .small {{ fill: #9bb }} path {{ stroke: #4db6ac }}
}}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z" style="fill: #00897b; stroke: none; marker-end: none"/></marker></defs>"""
