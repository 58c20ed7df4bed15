"""The commands `pregao export`, `pregao backup` and `pregao restore`: sessions taken elsewhere, and brought back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from pregao.commands.output import json_option, print_json, print_table, progress


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; default ./SESSION.")
@click.option(
    "--format", "form", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True, help="Of files."
)
@json_option
def export(session_id: str, out: Path | None, form: str, as_json: bool) -> None:
    """Write a session as tables: its journal, bars, fills, orders, decisions and trades.

    A session that goes on is written as far as it is now. Every row is held against the journal's hash chain on the
    way.
    """
    from pregao.sessions.export import export as write
    from pregao.sessions.journal import Journal

    folder = out or Path(session_id)
    with closing(Journal()) as journal:
        counts = write(journal, session_id, folder, "csv" if form == "csv" else "parquet", _rows)
    if as_json:
        print_json({"session": session_id, "folder": folder, "format": form, "rows": counts})
        return
    print_table("", ("Table", "Rows", "File"), [(n, c, folder / f"{n}.{form}") for n, c in counts.items()], "")


def _rows(done: int, whole: int) -> None:
    if done < whole:
        progress(f"{done:,} of {whole:,} rows")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Copy the sessions' database to one file, while sessions run.

    The copy is the database as it was at one moment. It is a SQLite file, also where the database is PostgreSQL:
    `pregao restore` brings it back into either.
    """
    from pregao.sessions.backup import back_up
    from pregao.sessions.journal import Journal

    with closing(Journal()) as journal:
        counts = back_up(journal, file, _tables)
    _told(counts, {"file": file}, as_json, f"{counts['sessions']} sessions, {counts['journal']:,} rows, are in {file}.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Delete the sessions that are there.")
@json_option
def restore(file: Path, replace: bool, as_json: bool) -> None:
    """Bring a backup of the sessions back, into the database that is set.

    Every journal in it is held against its hash chain first. Sessions that were running when it was made go on when
    `pregao up` is started: replays where they were, live ones after they have caught up.
    """
    from pregao.sessions.backup import restore as bring_back
    from pregao.sessions.journal import Journal

    with closing(Journal()) as journal:
        counts = bring_back(journal, file, replace, _tables)
    _told(counts, {"file": file}, as_json, f"{counts['sessions']} sessions, {counts['journal']:,} rows, are back.")


def _tables(name: str, done: int, whole: int) -> None:
    if name == "journal" and done < whole:
        progress(f"{done:,} of {whole:,} rows of the journal")


def _told(counts: dict[str, int], more: dict[str, object], as_json: bool, text: str) -> None:
    if as_json:
        print_json(more | {"rows": counts})
    else:
        click.echo(text)
