"""Every command helps, speaks JSON, starts light, and answers wrong use with one sentence and status 2."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pregao.cli import COMMANDS, Root, main
from pregao.cli import pregao as root
from pregao.commands.output import print_table

HEAVY = ("prefect", "mlflow", "gradio", "fastapi", "dvc", "ccxt", "yfinance", "catboost", "sqlalchemy")


def leaves() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(root)
    for name in COMMANDS:
        command = Root.get_command(root, context, name)  # type: ignore[arg-type]
        assert command is not None
        if isinstance(command, click.Group):
            for inner, leaf in command.commands.items():
                yield f"{name} {inner}", leaf
        else:
            yield name, command


def modules_after(code: str, home: Path | None = None) -> set[str]:
    script = f"{code}\nimport sys\nprint('\\n' + ' '.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.strip().splitlines()[-1].split())


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=lambda x: x if isinstance(x, str) else "")
def test_every_command_explains_itself_and_speaks_json(name: str, command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name=name))
    assert len(text.splitlines()) > 4
    assert "--json" in text
    undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not undocumented


def test_help_imports_nothing_heavy() -> None:
    code = """
from pregao.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
"""
    assert not modules_after(code) & {*HEAVY, "numpy", "pandas", "numba", "pyarrow", "rich"}


def test_a_backtest_needs_no_server_library() -> None:
    code = (
        "import pregao.commands.backtest, pregao.strategies.backtest, pregao.market.store, pregao.simulation.baselines"
    )
    assert not modules_after(code) & set(HEAVY)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], "No such command 'fly'"),
        (["backtest"], "Missing option '--strategy'"),
        (["backtest", "--strategy", "magic", "--data", "X"], "There is no strategy named 'magic'"),
        (["backtest", "--strategy", "ma-cross", "--data", "NOPE"], "NOPE"),
        (["backtest", "--strategy", "ma-cross", "--data", "X", "--set", "fast"], "is not name=value"),
        (["backtest", "--strategy", "ma-cross", "--data", "X", "--set", "fast=0"], "fast"),
        (["backtest", "--strategy", "ma-cross", "--data", "X", "--since", "yesterday"], "yesterday"),
    ],
)
def test_wrong_use_is_one_clear_sentence(
    home: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    said = capfd.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_plugins_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    main(["plugins", "--json"])
    names = {plugin["name"] for plugin in json.loads(capfd.readouterr().out)}
    assert {"buy-and-hold", "ma-cross"} <= names


def test_figures_of_a_table_stand_flush_right(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", "9.50", "+1.2%", None, "2024-01-01"), ("long", "1,234.00", "−10.5%", "-", "2024-01-02")]
    print_table("", ("Name", "Price", "P&L", "Nothing", "Day"), rows, "")
    assert capsys.readouterr().out.splitlines() == [
        "Name     Price     P&L  Nothing  Day",
        "a         9.50   +1.2%           2024-01-01",
        "long  1,234.00  −10.5%  -        2024-01-02",
    ]
