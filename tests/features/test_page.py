"""The page of features says what the code makes: tables are made from it, and its example is installed and conforms.

`python tests/features/test_page.py` writes the tables anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from expressions import evaluate, table
from pages import ROOT, blocks

from pregao.core.errors import NotFoundError, PregaoError
from pregao.features.conformance import FeatureConformance, market
from pregao.features.family import Family
from pregao.features.sets import FEATURE_SETS, feature_set, feature_set_names

PATH = ROOT / "docs" / "reference" / "features.md"
_NEEDS = {"hours": "trading hours", "market": "another instrument"}


def sets() -> str:
    """One row for each set."""
    rows = ["| set | features | warm after | needs | made of |", "|---|---|---|---|---|"]
    for features in FEATURE_SETS.values():
        needs = ", ".join(_NEEDS[name] for name in features.inputs)
        families = ", ".join(f"`{family.name}`" for family in features.families)
        rows.append(f"| `{features.name}` | {len(features.names)} | {features.warmup} bars | {needs} | {families} |")
    return "\n".join(rows)


def formulas() -> str:
    """A table for each family; features that differ in their window alone share a row."""
    families = {family.name: family for features in FEATURE_SETS.values() for family in features.families}
    parts = []
    for family in families.values():
        parts += [f"### {family.name}", "", "| feature | formula |", "|---|---|", *_rows(family), ""]
    return "\n".join(parts).rstrip()


def _rows(family: Family) -> list[str]:
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, formula in family.formulas.items():
        stem, window = re.fullmatch(r"(.*?)(\d*)", name).groups()  # type: ignore[union-attr]
        general = re.sub(rf"(?<![\w.]){window}(?![\w.])", "n", formula) if window else formula
        groups.setdefault((stem, general), []).append((name, formula))
    rows = []
    for (stem, general), members in groups.items():
        if len(members) == 1:
            rows.append(f"| `{members[0][0]}` | `{members[0][1]}` |")
        else:
            windows = ", ".join(name.removeprefix(stem) for name, _ in members)
            rows.append(f"| `{stem}`n, n = {windows} | `{general}` |")
    return rows


def written(page: str) -> str:
    """The page with its tables made anew."""
    for mark, content in (("sets", sets()), ("features", formulas())):
        pattern = rf"(<!-- {mark}: [^\n]*-->\n).*?(<!-- end -->)"
        page = re.sub(pattern, lambda found, text=content: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)
    return page


def test_the_tables_are_those_of_the_code() -> None:
    page = PATH.read_text(encoding="utf-8")
    assert written(page) == page, "run: python tests/features/test_page.py"


def test_every_feature_is_told() -> None:
    page = PATH.read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    for stem, windows in re.findall(r"^\| `(\w*)`n, n = ([\d, ]+) \|", page, re.MULTILINE):
        told |= {f"{stem}{window}" for window in windows.split(", ")}
    assert {name for features in FEATURE_SETS.values() for name in features.names} <= told


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's example as what `pip install` leaves behind: a module and a folder of metadata."""
    site = tmp_path / "site"
    metadata = site / "my_features-1.0.dist-info"
    metadata.mkdir(parents=True)
    [example] = [block.text for block in blocks(PATH) if "def run(" in block.text]
    (site / "my_features.py").write_text(example)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-features\nVersion: 1.0\n")
    points = ("mine = my_features:MINE", "broken = my_features:Nothing", "other = my_features:FAMILY")
    (metadata / "entry_points.txt").write_text("\n".join(("[pregao.features]", *points, "")))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.delitem(sys.modules, "my_features", raising=False)


class TestMine(FeatureConformance):
    features = "mine"


def test_it_is_found_by_its_name_and_its_values_are_its_formulas() -> None:
    assert feature_set_names() == [*FEATURE_SETS, "broken", "mine", "other"]
    bars = market(200)
    batch, columns = feature_set("mine").batch(bars), table(bars)
    for j, name in enumerate(("return_10", "range_growth")):
        want = np.asarray(evaluate(feature_set("mine").formulas[name], columns), dtype=float)
        np.testing.assert_allclose(batch[:, j], want, rtol=1e-9, equal_nan=True)


def test_one_that_is_broken_says_why_and_hurts_no_other() -> None:
    with pytest.raises(PregaoError, match="'broken' cannot be loaded: AttributeError"):
        feature_set("broken")
    with pytest.raises(PregaoError, match="my_features:FAMILY is no FeatureSet of that name"):
        feature_set("other")
    with pytest.raises(NotFoundError, match="mine"):
        feature_set("nine")
    assert feature_set("core25").name == "core25"


if __name__ == "__main__":
    PATH.write_text(written(PATH.read_text(encoding="utf-8")), encoding="utf-8")
