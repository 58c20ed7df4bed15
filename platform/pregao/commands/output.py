"""How commands speak: one JSON document with ``--json``, otherwise text and tables, rich on a terminal only."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from pydantic import BaseModel

_NUMBER = re.compile(r"[+−-]?[\d,]*\.?\d+(e[+-]\d+)?( ?%)?")
F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add ``--json``: the command gets ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def plain(value: object) -> Any:
    """What JSON lacks: decimals and paths as text, NumPy scalars as numbers."""
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, default=plain, ensure_ascii=False, indent=2))


def progress(text: str) -> None:
    """A line about work in progress, on standard error, so that it never mixes with a result."""
    click.echo(text, err=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table on standard output: rich on a terminal, aligned text when piped; ``empty`` if there is no row.

    Columns of figures stand flush right.
    """
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    numbers = [_numbers(row[at] for row in cells) for at in range(len(columns))]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left", header_style="bold")
        for name, right in zip(columns, numbers, strict=True):
            table.add_column(name, justify="right" if right else "left")
        for row in cells:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(r[i]) for r in [list(columns), *cells]) for i in range(len(columns))]
    for row in [list(columns), *cells]:
        placed = zip(row, widths, numbers, strict=True)
        click.echo("  ".join(f"{cell:{'>' if right else '<'}{width}}" for cell, width, right in placed).rstrip())


def _numbers(column: Iterable[str]) -> bool:
    """Whether a column holds figures, which stand flush right; cells without one are dashes or empty."""
    told = [cell for cell in column if cell not in ("", "-", "–")]
    return bool(told) and all(_NUMBER.fullmatch(cell) for cell in told)


def verdict(findings: Any) -> str:
    """What was found wrong with a series in a few words: ``3 gap, 1 spike``, or ``clean``."""
    flagged = [f"{finding.count:,} {finding.kind}" for finding in findings if finding.level != "info"]
    return ", ".join(flagged) or "clean"
