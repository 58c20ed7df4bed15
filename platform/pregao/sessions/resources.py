"""What a process and all that it has started take of the machine."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import psutil


class Resources(NamedTuple):
    """Memory in bytes, each shared page counted once; processor time in ms since their start."""

    memory_bytes: int
    cpu_ms: int


def resources(pid: int | None = None) -> Resources:
    """Of a process, by default this one, and its descendants. Costs a millisecond or so for each of them."""
    memory, cpu = 0, 0.0
    own = psutil.Process(pid)
    for process in [own, *own.children(recursive=True)]:
        with suppress(psutil.Error):  # it has just ended
            held = process.memory_full_info()
            memory += getattr(held, "pss", held.uss)
            spent = process.cpu_times()
            cpu += spent.user + spent.system
            if process.pid != own.pid:  # those that have ended; its own also hold what was there before any session
                cpu += spent.children_user + spent.children_system
    return Resources(memory, round(cpu * 1_000))
