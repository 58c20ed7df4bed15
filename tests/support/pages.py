"""What the documents show: their fenced examples, run as a reader would run them, and what they say comes of it.

- ```` ```python ```` is run, all blocks of a page one after the other in one namespace.
- ```` ```sh run ```` is run by a shell. ```` ```sh ```` alone is only shown, and a comment before it says why:
  ``<!-- not run: the reason -->``.
- ```` ```text ```` after one of these is what it prints: each line comes in the output, in this order; ``…`` stands for
  what was left out, in a line or as one.
- A page that says ``<!-- long: why -->`` is run where time is given (``PREGAO_LONG=1``).
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md") if (ROOT / name).exists()),
    *sorted((ROOT / "docs").rglob("*.md")),
)
_FENCE = re.compile(r"^```(\S*)[ ]*(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_REASON = re.compile(r"<!-- not run: ([^>]+?) -->\n\Z")
LEFT_OUT = "…"


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the word after it, its text, the line of the page on which it begins, and the
    reason that the page gives for not running it."""

    language: str
    word: str
    text: str
    line: int
    reason: str = ""

    @property
    def runs(self) -> bool:
        """Whether a reader is meant to run it as it stands."""
        return not self.reason and (self.language == "python" or (self.language == "sh" and self.word == "run"))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        reason = _REASON.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(fence[1], fence[2], fence[3], line, reason[1] if reason else ""))
    return found


def long(page: Path) -> bool:
    """Whether the examples of a page take too long for each round."""
    return "<!-- long: " in page.read_text(encoding="utf-8")


def run_page(page: Path, folder: Path) -> int:
    """Run the examples of a page in a folder; returns how many. Raises `AssertionError` naming the line."""
    names: dict[str, Any] = {"__name__": "example"}
    printed, ran = "", 0
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.runs:
            printed = _python(block, names, where) if block.language == "python" else _shell(block, folder, where)
            ran += 1
        elif block.language == "text" and ran:
            _compare(block.text, printed, where)
    return ran


def _python(block: Block, names: dict[str, Any], where: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile("\n" * block.line + block.text, where, "exec"), names)
    return out.getvalue()


def _shell(block: Block, folder: Path, where: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", block.text], cwd=folder, env=os.environ | {"PATH": path}, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def _compare(told: str, printed: str, where: str) -> None:
    """Each line that the page tells comes in what was printed, in order; spaces between words do not count."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in told.splitlines():
        wanted = " ".join(line.split())
        if wanted and wanted != LEFT_OUT:
            shape = re.compile(".*".join(map(re.escape, wanted.split(LEFT_OUT))))
            found = any(shape.fullmatch(line) for line in lines)
            assert found, f"{where}: {wanted!r} is not in what was printed, or not at its place:\n{printed}"


def command_lines(page: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines ``pregao …`` of a page's shell blocks as words, each with the line of its block."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    words = words[1:]
                if words and Path(words[0]).name == "pregao":
                    yield block.line, words[1:]
