"""``pregao trade host`` and ``hosts``: many sessions in one process."""

from __future__ import annotations

import time
from contextlib import closing

import click

from pregao.commands.attend import interrupts
from pregao.commands.output import json_option, print_json, print_table, progress


@click.command()
@click.argument("sessions", metavar="[SESSION]...", nargs=-1)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Sessions at most.")
@json_option
def host(sessions: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Run many sessions in this process, until Ctrl-C.

    Without SESSION it takes any that nobody runs, also those started while it runs, and shares them with the other
    hosts of the same database. Sessions of one market hear it through one feed and share their commits; each strategy
    still has a process of its own. Ctrl-C lets go of the sessions; another host, or `pregao trade resume`, goes on.
    """
    from pregao.sessions.hosting import Host
    from pregao.sessions.journal import Journal

    if sessions:
        with closing(Journal()) as journal:
            for each in sessions:
                journal.session(each)
    running = Host(capacity=limit, only=sessions or None)
    progress(f"Host {running.name} takes {len(sessions) or f'up to {limit}'} sessions. Ctrl-C lets go of them.")
    with interrupts() as interrupted:
        running.run(interrupted.is_set)
    progress("Every session was let go of between two events.")
    if as_json:
        print_json({"host": running.name})


@click.command()
@json_option
def hosts(as_json: bool) -> None:
    """List the hosts of the last week: what each runs, and what it takes of its machine."""
    from pregao.sessions import hosts as found
    from pregao.sessions.journal import Journal

    with closing(Journal()) as journal:
        rows = found.hosts(journal)
    now = time.time_ns()
    shown = [
        {
            "name": row.name, "runner": row.runner, "flow": row.flow, "live": found.is_live(row, now),
            "sessions": row.sessions, "capacity": row.capacity, "memory_mb": round(row.memory_bytes / 2**20),
            "cpu_s": row.cpu_ms / 1_000, "started": row.started_ns / 1e9, "heartbeat": row.heartbeat_ns / 1e9,
            "ended": row.ended_ns / 1e9 if row.ended_ns else None,
        }
        for row in rows
    ]  # fmt: skip
    if as_json:
        print_json(shown)
        return
    columns = ("Host", "State", "Sessions", "Memory MB", "a session", "CPU s")
    cells = [
        (
            row.name, "runs" if found.is_live(row, now) else "ended" if row.ended_ns else "gone",
            f"{row.sessions}/{row.capacity}", row.memory_bytes >> 20,
            (row.memory_bytes >> 20) // row.sessions if row.sessions else "", f"{row.cpu_ms / 1_000:,.1f}",
        )
        for row in rows
    ]  # fmt: skip
    print_table("", columns, cells, "There are no hosts. Start one with `pregao trade host`.")
