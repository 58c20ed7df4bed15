"""How commands speak: one JSON document with ``--json``, otherwise text and tables, rich on a terminal only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from pydantic import BaseModel

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
    """A table on standard output: rich on a terminal, aligned text when piped; ``empty`` if there is no row."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns, title=title, title_justify="left", header_style="bold")
        for row in cells:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(r[i]) for r in [list(columns), *cells]) for i in range(len(columns))]
    for row in [list(columns), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def verdict(findings: Any) -> str:
    """What was found wrong with a series in a few words: ``3 gap, 1 spike``, or ``clean``."""
    flagged = [f"{finding.count:,} {finding.kind}" for finding in findings if finding.level != "info"]
    return ", ".join(flagged) or "clean"
