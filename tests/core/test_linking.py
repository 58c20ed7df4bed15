"""Functions that only compiled ones call are parts, optimised once in what Python calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import pytest

from pregao.core import compiled as compiling
from pregao.core import linking
from pregao.operations.processes import child_environment

MODULE = """
from pregao.core.compiled import compiled, inner

@inner
def doubled(x):
    return 2 * x

@inner
def summed(x, y):
    return doubled(x) + doubled(y) // max(y, 1)

@compiled
def answer(x, y):
    return summed(x, y) + doubled(y)

if __name__ == "__main__":
    print(answer(3, 4), sum(answer.stats.cache_hits.values()))
"""
ANSWER = 6 + 8 // 4 + 8


def loaded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the module, compiled here and now."""
    monkeypatch.setattr(compiling, "_folder", None)  # without a cache
    names: dict[str, Any] = {"__name__": "loaded"}
    exec(MODULE, names)
    return names


def library(function: Any) -> Any:
    [made] = function.overloads.values()
    return made.library


def test_parts_are_linked_once_into_what_python_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    names = loaded(monkeypatch)
    assert names["answer"](3, 4) == ANSWER
    assert isinstance(library(names["answer"]), linking.Whole)
    for name in ("doubled", "summed"):
        part = library(names[name])
        assert isinstance(part, linking.Part)
        defined = [f.name for f in part.own_module().functions if not f.is_declaration]
        assert len(defined) == 1, "nothing that it calls is linked into it"
        assert part.get_pointer_to_function(defined[0]) == 0, "there is no machine code of it alone"


def test_a_function_compiled_by_numba_alone_can_call_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    names = loaded(monkeypatch)
    summed = names["summed"]

    @numba.njit  # type: ignore[untyped-decorator]
    def foreign(x: int, y: int) -> int:
        return summed(x, y) + 1  # type: ignore[no-any-return]

    assert foreign(3, 4) == 6 + 8 // 4 + 1
    assert isinstance(library(summed), linking.Part)


def test_another_version_of_numba_compiles_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "version_info", numba.version_info._replace(minor=99, short=(0, 99)))
    part, whole = linking.options()
    assert (part, whole) == ({}, {})
    monkeypatch.setattr(compiling, "_PART", part)
    monkeypatch.setattr(compiling, "_WHOLE", whole)
    names = loaded(monkeypatch)
    assert names["answer"](3, 4) == ANSWER
    assert not isinstance(library(names["answer"]), linking.Whole)
    assert not isinstance(library(names["summed"]), linking.Part)


def test_what_was_linked_is_loaded_from_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "answers.py"
    path.write_text(MODULE)
    environment = child_environment({"NUMBA_CACHE_DIR": str(tmp_path / "cache")})
    told = [
        subprocess.run([sys.executable, path], env=environment, check=True, timeout=60, capture_output=True).stdout
        for _ in range(2)
    ]
    assert told == [f"{ANSWER} 0\n".encode(), f"{ANSWER} 1\n".encode()]
