"""The cache of compiled functions is named after everything that is compiled."""

from __future__ import annotations

from pathlib import Path

import pregao
from pregao.core.compiled import stamp

PACKAGE = Path(pregao.__file__).parent


def test_the_stamp_follows_the_packages_in_which_something_is_compiled(tmp_path: Path) -> None:
    """All their modules: constants of others are part of the machine code. Packages of plain Python do not count."""
    step = tmp_path / "step"
    kernel, codes, report = step / "kernel.py", step / "codes.py", tmp_path / "ui" / "report.py"
    for module in (kernel, codes, report):
        module.parent.mkdir(exist_ok=True)
        module.write_text("X = 1\n")
    plain = stamp(tmp_path)
    kernel.write_text("@compiled\ndef f(): return X\n")
    first = stamp(tmp_path)
    assert first != plain, "from now on something is compiled here"
    report.write_text("X = 2\n")
    assert stamp(tmp_path) == first, "nothing is compiled in this package"
    codes.write_text("X = 2\n")
    second = stamp(tmp_path)
    assert second != first, "a constant that is compiled in"
    kernel.write_text("@inner\ndef f(): return X\n")
    assert stamp(tmp_path) not in (first, second), "the compiled function itself"


def test_nothing_is_compiled_behind_its_back() -> None:
    offenders = [p for p in PACKAGE.rglob("*.py") if "njit" in p.read_text() and p.name != "compiled.py"]
    assert offenders == []
