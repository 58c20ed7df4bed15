"""The cache of compiled functions is named after everything that is compiled."""

from __future__ import annotations

from pathlib import Path

import pregao
from pregao.core.compiled import stamp

PACKAGE = Path(pregao.__file__).parent


def test_the_stamp_follows_the_content_of_compiled_modules_only(tmp_path: Path) -> None:
    module, other = tmp_path / "kernel.py", tmp_path / "report.py"
    module.write_text("@compiled\ndef f(): return 1\n")
    other.write_text("x = 1\n")
    first = stamp(tmp_path)
    other.write_text("x = 2\n")
    assert stamp(tmp_path) == first
    module.write_text("@compiled\ndef f(): return 2\n")
    assert stamp(tmp_path) != first


def test_nothing_is_compiled_behind_its_back() -> None:
    offenders = [p for p in PACKAGE.rglob("*.py") if "njit" in p.read_text() and p.name != "compiled.py"]
    assert offenders == []
