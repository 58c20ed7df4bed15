"""A command called in the test's own process, as from a terminal: its exit status, its output and its errors."""

from __future__ import annotations

import pytest

from pregao.cli import main


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """What ``pregao WORDS`` ends with: exit status, standard output, standard error."""
    try:
        main(list(words))
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    told = capsys.readouterr()
    return status, told.out, told.err
